"""Groups as the inbox knows them: which were heard, and whether the town names them."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from models import inbox
from models.chat import Chat
from models.inbox import Inbox


class HeardGroup(NamedTuple):
    """One group. messages: those that are still kept. last: when the newest of them came in, aware UTC. listed: the
    town names it."""

    channel: str
    chat: str
    messages: int
    last: datetime
    listed: bool


def groups(session: Session, *, unlisted: bool = False, limit: int) -> list[HeardGroup]:
    """Groups of all channels, the last heard first. unlisted: only those that the town does not name.

    Whether a chat is a group only its messages say, so the newest of each is read: as many as there are chats.
    """
    named = sa.exists().where(col(Chat.channel) == col(Inbox.channel), col(Chat.code) == col(Inbox.chat))
    chats = (
        sa.select(sa.func.max(col(Inbox.id)).label("newest"), sa.func.count().label("messages"))
        .group_by(col(Inbox.channel), col(Inbox.chat))
        .subquery()
    )
    statement = (
        sa.select(Inbox, chats.c.messages, named.label("listed"))
        .join(chats, chats.c.newest == col(Inbox.id))
        .order_by(sa.desc(chats.c.newest))
    )
    if unlisted:
        statement = statement.where(~named)
    found: list[HeardGroup] = []
    for row, messages, listed in session.execute(statement.execution_options(yield_per=500)):
        if len(found) < limit and _is_group(row):
            found.append(HeardGroup(row.channel, row.chat, messages, row.received_at, bool(listed)))
    return found


def _is_group(row: Inbox) -> bool:
    if row.chat in (row.sender, f"d-{row.sender}"):
        return False  # so channels name a direct chat, also where nothing is left in the message to say so
    try:
        return not inbox.read(row).direct
    except ValidationError:
        return True
