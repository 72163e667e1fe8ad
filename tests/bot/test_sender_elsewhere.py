"""A channel that may only answer: what is for one person leaves by another of her channels that can push now."""

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.base import Capabilities, NotNow, SendFailed
from bot.channels.wecom_bot import mailbox
from bot.sender import Sender
from handlers.unreached import UNREACHABLE
from models import outbox
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing, Purpose
from models.outbox import DEAD, SENT, WAITS
from models.person import Identity
from models.ticket import Status, TicketEvent
from tests.bot.test_sender import Bench, Recorder
from tests.conftest import HandClock
from tests.models.letters import TASK, open_ticket

MUTE = "wecom_bot"


class Here(Bench):
    """网格员小顾 (W01) is on a bot that waits for her word, and on others, in the order given."""

    def __init__(self, db: Database, clock: HandClock, *others: str) -> None:
        super().__init__(db, clock, Recorder(MUTE))
        self.app, self.kf = Recorder("wecom_app"), Recorder("wecom_kf")
        self.kf.can = Capabilities(dedups=True, max_bytes=2000, rate=100, push=False)
        self.sender = Sender(db, {one.name: one for one in (self.channel, self.kf, self.app)}, clock)

        def write(session: Session) -> None:
            for channel in (MUTE, *others):
                session.add(Identity(person="W01", channel=channel, user="GuYi"))
            bump(session, TOWN)

        db.tx(write)

    async def say(self, *letters: Outgoing) -> list[tuple[str, str]]:
        """(channel, text) of what arrived, while the bot waits."""
        self.channel.troubles = [NotNow("nobody has spoken", after=600) for _ in letters]
        self.put(*letters)
        while await self.sender.step():
            pass
        return [(one.channel, one.text) for one in (*self.kf.heard, *self.app.heard)]


def alert(text: str = "【新任务】", **more: object) -> Outgoing:
    told = {"channel": MUTE, "chat": "GuYi", "text": text, "purpose": Purpose.ALERT, "to_person": "W01"}
    return Outgoing.model_validate(told | {"card": TASK, "ticket": 1} | more)


async def test_an_alert_goes_where_she_can_be_told_now(town_db: Database, clock: HandClock) -> None:
    here = Here(town_db, clock, "wecom_kf", "wecom_app")
    assert await here.say(alert()) == [("wecom_app", "【新任务】")]
    (went,) = here.app.heard
    assert (went.chat, went.card, went.ticket, went.to_person) == ("GuYi", TASK, 1, "W01")
    assert [(row.channel, row.outcome) for row in here.rows()] == [(MUTE, SENT), ("wecom_app", SENT)]


async def test_what_waits_before_it_holds_no_alert_up(town_db: Database, clock: HandClock) -> None:
    here = Here(town_db, clock, "wecom_app")
    news = Outgoing(channel=MUTE, chat="GuYi", text="LS00001 已评价。")
    assert await here.say(news, alert()) == [("wecom_app", "LS00001 已评价。"), ("wecom_app", "【新任务】")]


async def test_while_the_bot_can_answer_it_does(town_db: Database, clock: HandClock) -> None:
    here = Here(town_db, clock, "wecom_app")
    here.put(alert())
    await here.sender.step()
    assert (len(here.channel.heard), here.app.heard) == (1, [])


@pytest.mark.parametrize(
    ("others", "letter"),
    [
        ((), alert()),
        (("wecom_kf",), alert()),
        (("wecom_app",), Outgoing(channel=MUTE, chat="a-group", text="LS00001 已接单。")),
    ],
)
async def test_otherwise_it_waits(
    town_db: Database, clock: HandClock, others: tuple[str, ...], letter: Outgoing
) -> None:
    here = Here(town_db, clock, *others)
    # The register's own address of her is on the web chat, which no process here has.
    assert await here.say(letter) == []
    (row,) = here.rows()
    assert (row.outcome, row.attempts, outbox.read(row).chat) == (WAITS, 1, letter.chat)
    clock.forward(minutes=11)
    await here.sender.step()
    assert [row.outcome for row in here.rows()] == [SENT]


async def test_what_a_poll_took_meanwhile_is_not_said_again(town_db: Database, clock: HandClock) -> None:
    """She speaks between the bot's last look and its word that nothing can be said there."""
    here = Here(town_db, clock, "wecom_app")

    async def shown(_: Outgoing) -> None:
        town_db.tx(lambda session: mailbox.take(session, "k0", "stream:hers"))

    here.channel.meanwhile = shown
    assert await here.say(Outgoing(channel=MUTE, chat="GuYi", text="LS00001 已评价。")) == []
    assert [(row.channel, row.outcome, row.platform_id) for row in here.rows()] == [(MUTE, SENT, "stream:hers")]


async def test_no_poll_takes_what_was_handed_on(town_db: Database, clock: HandClock) -> None:
    here = Here(town_db, clock, "wecom_app")
    assert len(await here.say(Outgoing(channel=MUTE, chat="GuYi", text="LS00001 已评价。"))) == 1
    assert town_db.tx(lambda session: mailbox.take(session, "k0", "stream:hers")) == ""


async def test_it_never_goes_back_to_a_channel_where_it_has_been(town_db: Database, clock: HandClock) -> None:
    """The app does not know her, and the bot may not write to her: neither hands her alert to the other for ever."""
    here = Here(town_db, clock, "wecom_app")
    told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}

    def settle(session: Session) -> int:
        session.connection().execute(sa.delete(Identity).where(col(Identity.channel) == "web"))
        bump(session, TOWN)
        return open_ticket(session, clock(), **told).id or 0

    ticket = town_db.tx(settle)
    here.app.troubles = [SendFailed("the platform has no such member", final=True) for _ in range(20)]
    here.channel.troubles = [NotNow("nobody has spoken", after=600) for _ in range(20)]
    here.put(alert(channel="wecom_app", ticket=ticket))
    for _ in range(20):
        await here.sender.step()
    hers = [row for row in here.rows() if row.channel in (MUTE, "wecom_app")]
    assert [(row.channel, row.outcome) for row in hers] == [("wecom_app", DEAD), (MUTE, WAITS)]
    lines = sa.select(sa.func.count()).where(col(TicketEvent.what) == UNREACHABLE)
    assert town_db.tx(lambda session: session.scalar(lines)) == 1
