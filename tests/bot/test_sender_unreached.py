"""An alert that is given up, on any channel and for any reason: somebody else hears of it, or it waits."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, col

from bot.channels.base import Capabilities, NotNow, SendFailed, Uncertain
from bot.ingest import Ingest
from handlers.desk import Desk
from handlers.texts import say
from handlers.unreached import not_reached
from models import outbox
from models.database import Database
from models.message import Incoming, Outgoing, Purpose
from models.outbox import DEAD, LOST, SENT, WAITS
from models.ticket import Status, Ticket, TicketEvent
from tests.bot.test_sender import Bench, Recorder
from tests.conftest import HandClock
from tests.models.letters import TASK, open_ticket
from tests.scenario.matters import everybody_to

HERE = "wechat_mp"


class Here(Bench):
    """The whole town on one channel that may only answer, and one ticket of 网格员小顾's (W01)."""

    def __init__(self, db: Database, clock: HandClock) -> None:
        everybody_to(db, HERE)
        super().__init__(db, clock, Recorder(HERE))
        self.channel.can = Capabilities(dedups=False, max_bytes=2000, rate=1000, push=False)
        told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
        self.ticket = db.tx(lambda session: open_ticket(session, clock(), **told).id or 0)

    def alert(self, **more: object) -> Outgoing:
        told = {"channel": HERE, "chat": "w01", "text": "【新任务】", "purpose": Purpose.ALERT, "to_person": "W01"}
        return Outgoing.model_validate(told | {"card": TASK, "ticket": self.ticket} | more)

    async def go(self, *troubles: Exception) -> None:
        """Everything that is due leaves, the first into trouble."""
        self.channel.troubles = list(troubles)
        while await self.sender.step():
            pass

    @property
    def worker(self) -> str | None:
        return self.db.tx(lambda session: session.get_one(Ticket, self.ticket).worker)

    def told(self) -> list[tuple[str, str]]:
        return [(out.chat, out.text[:5]) for out in self.channel.heard]

    def unreachable(self) -> Sequence[str]:
        notes = sa.select(col(TicketEvent.note)).where(col(TicketEvent.what) == "unreachable")
        return self.db.tx(lambda session: session.scalars(notes).all())


@pytest.fixture
def here(town_db: Database, clock: HandClock) -> Here:
    return Here(town_db, clock)


def closed() -> NotNow:
    return NotNow("her messages are used up", final=True, after=6 * 3600)


@pytest.mark.parametrize("trouble", [SendFailed("48002 she refuses", final=True), closed()])
async def test_it_goes_to_the_next_one_and_the_staff(here: Here, trouble: Exception) -> None:
    here.put(here.alert())
    await here.go(trouble)
    assert sorted(here.told()[1:]) == [("c01", "【新任务】"), ("c02", "【未通知到")]  # two chats, side by side
    assert (here.worker, [row.outcome for row in here.rows()]) == ("C01", [DEAD, SENT, SENT])


async def test_a_reply_goes_nowhere(here: Here) -> None:
    here.put(here.alert(purpose=Purpose.REPLY))
    await here.go(SendFailed("48002 she refuses", final=True))
    assert (len(here.told()), here.worker, here.unreachable()) == (1, "W01", [])


async def test_after_the_last_try_too(here: Here) -> None:
    here.put(here.alert())
    for _ in range(10):
        await here.go(SendFailed("busy"))
        here.clock.forward(minutes=10)
    assert (here.worker, here.rows()[0].outcome, here.unreachable()) == ("C01", DEAD, ["W01"])


async def test_what_the_platform_lost_goes_on_once(here: Here) -> None:
    here.put(here.alert())
    await here.go()
    number = here.rows()[0].id or 0
    said = [here.db.tx(lambda s: outbox.lost(s, number, "user block", here.clock())) for _ in range(2)]
    assert (said, here.rows()[0].outcome) == ([True, False], LOST)
    await here.go()
    assert not here.db.tx(lambda s: outbox.lost(s, number, "user block", here.clock()))
    await here.go()
    assert (here.rows()[0].outcome, here.rows()[0].error, here.worker) == (DEAD, "user block", "C01")
    assert sorted(here.told()[1:]) == [("c01", "【新任务】"), ("c02", "【未通知到")]  # two chats, side by side


async def test_where_nobody_can_be_told_it_waits_and_is_given_up_in_the_end(here: Here) -> None:
    here.put(here.alert())
    await here.go(*(closed() for _ in range(30)))
    first = here.rows()
    assert {row.outcome for row in first} == {DEAD, WAITS}, "there is somebody whose next word brings it"
    asked = len(here.unreachable())
    for _ in range(10):
        here.clock.forward(hours=6)
        await here.go(*(closed() for _ in range(30)))
    assert {row.outcome for row in here.rows()} == {DEAD}
    assert (len(here.rows()), len(here.unreachable())) == (len(first), asked), "each was looked for once"


async def test_a_repeat_stays_one_while_it_waits(here: Here) -> None:
    """It may have arrived at first, was then refused, could go to nobody else, and leaves at her next word."""
    here.put(here.alert(card=None))  # news only: nobody else is told
    await here.go(Uncertain("no answer"))
    here.clock.forward(minutes=1)
    await here.go(closed())
    assert [row.outcome for row in here.rows()] == [WAITS]
    here.clock.forward(hours=6)
    await here.go()
    assert [out.repeat for out in here.channel.heard] == [False, True, True]
    assert here.channel.heard[-1].text == say("repeat_prefix") + "【新任务】"
    assert here.rows()[0].outcome == SENT


async def test_her_word_brings_what_waits_in_its_order(here: Here) -> None:
    replies = [here.alert(purpose=Purpose.REPLY, text=text, card=None) for text in "一二"]
    here.put(*replies)
    await here.go(NotNow("over", after=3600), NotNow("over", after=3600))
    assert [row.outcome for row in here.rows()] == [WAITS, WAITS], "the second does not wait for the first"
    here.put(here.alert())
    await here.go()
    assert here.told()[2:] == [("w01", "【新任务】")], "nor does an alert"
    word = Incoming(id="m1", channel=HERE, chat="w01", sender="w01", sent_at=here.clock(), direct=True, text="在")
    await Ingest(here.db, clock=here.clock).accept(word)
    await here.go()
    assert [text for _, text in here.told()[3:]] == ["一", "二"]


async def test_a_ticket_in_somebody_elses_hand_is_waited_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing: what was decided on an older ticket is decided anew, and the row is settled with it."""
    tries = []

    def conflict(desk: Desk, out: Outgoing) -> str:
        outcome = not_reached(desk, out)
        tries.append(outcome)
        if len(tries) == 1:
            raise StaleDataError
        return outcome

    monkeypatch.setattr("bot.unreached.not_reached", conflict)
    here.put(here.alert())
    await here.go(SendFailed("48002 she refuses", final=True))
    assert (tries, here.unreachable(), here.worker) == (["next", "next"], ["W01"], "C01")


async def test_what_cannot_be_decided_holds_up_nothing_and_is_not_lost(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_desk: Desk, _out: Outgoing) -> str:
        raise LookupError("nobody thought of it")

    async def refuses(out: Outgoing) -> None:  # both leave side by side: which of them first, nobody promises
        if out.purpose == Purpose.ALERT:
            raise SendFailed("48002 she refuses", final=True)

    here.put(here.alert(), here.alert(chat="c02", purpose=Purpose.REPLY))
    here.channel.meanwhile = refuses
    with monkeypatch.context() as patch:
        patch.setattr("bot.unreached.not_reached", broken)
        await here.go()
        assert sorted(row.outcome for row in here.rows()) == ["", SENT]
    here.channel.meanwhile = None
    here.clock.forward(seconds=61)
    await here.go(SendFailed("48002 she refuses", final=True))
    assert (here.rows()[0].outcome, here.worker) == (DEAD, "C01")


def test_settled_in_one_transaction(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be sent instead is there when the row is finished, or the row is not finished."""
    here.put(here.alert())

    def fails(session: Session) -> None:
        (row,) = session.scalars(sa.select(outbox.Outbox)).all()
        result = here.sender._given_up(row, here.alert(), DEAD, "refused")
        result.write(session)
        raise RuntimeError("the process ends")

    with pytest.raises(RuntimeError):
        here.db.tx(fails)
    assert ([row.outcome for row in here.rows()], here.worker) == ([""], "W01")
