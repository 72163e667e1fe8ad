"""The demo town on another channel than the web chat: its people's addresses and its groups moved there."""

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.base import Channel
from bot.sender import Sender
from bot.worker import drain
from handlers.town import load
from models import outbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.inbox import find
from models.mark import TOWN, bump
from models.message import Outgoing
from models.outbox import Outbox
from models.person import Identity
from tests.onebot.fake import so
from tests.scenario.chat import Scene


def move(chat: Scene, channel: str, *, people: dict[str, str], groups: dict[str, str]) -> None:
    """people: name → user id there, instead of the web chat's. groups: how a group's name begins → its code there."""
    codes = {person.name: person.code for person in chat.town.people.values()}

    def write(session: Session) -> None:
        for name, user in people.items():
            session.connection().execute(
                sa.update(Identity).where(col(Identity.person) == codes[name]).values(channel=channel, user=user)
            )
        for name, code in groups.items():
            like = chat.group(name)
            grid = chat.town.chats[(like.channel, like.code)].grid
            session.add(Chat(channel=channel, code=code, kind=ChatKind.GROUP, grid=grid, name=f"{name}邻里群"))
        bump(session, TOWN)

    chat.db.tx(write)
    chat.town = chat.db.tx(load)
    chat.room = None


async def heard(db: Database, channel: str, where: str, message: object) -> None:
    """Wait until a message is on disk."""
    await so(lambda: db.tx(lambda session: find(session, channel, where, str(message))) is not None)


async def work(chat: Scene, *channels: Channel) -> None:
    """The worker handles what is there, and the sender takes to the platforms what it decided."""
    await chat.db.call(drain, chat.worker)
    sender = Sender(chat.db, {channel.name: channel for channel in channels}, chat.clock)
    while await sender.step():
        pass


def sent(db: Database, channel: str) -> list[Outgoing]:
    """What went to a channel, oldest first."""

    def read(session: Session) -> list[Outgoing]:
        rows = session.scalars(sa.select(Outbox).where(col(Outbox.channel) == channel).order_by(col(Outbox.id)))
        return [outbox.read(row) for row in rows]

    return db.tx(read)
