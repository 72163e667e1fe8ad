"""Tickets' histories read on from where one was: nothing missed, nothing made twice, no long table gone through."""

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.histories import FRESH, OVERLAP, Histories, Told
from handlers.workflow import record
from models.database import Database
from models.message import Outgoing
from models.outbox import Outbox
from models.ticket import Ticket, TicketEvent
from tests.conftest import HandClock
from tests.models.letters import open_ticket


class Reader:
    """One process that reads; `made` are the ids of the lines it made a message of."""

    def __init__(self, db: Database, clock: HandClock) -> None:
        self.made: list[int] = []
        self.again = False
        self._histories = Histories(db, ["urgent"], self._told, clock)
        self.look = self._histories.look

    def _told(self, _session: Session, event: TicketEvent, ticket: Ticket) -> Told:
        if self.again:
            return Told(again=True)
        self.made.append(event.id or 0)
        out = Outgoing(channel="group_robot", chat="duty", text="【紧急】", ticket=ticket.id)
        return Told([(f"h:{event.id}", out)])


class Here:
    def __init__(self, db: Database, clock: HandClock) -> None:
        self.db, self.clock = db, clock
        self.ticket = db.tx(lambda session: open_ticket(session, clock()).id or 0)

    def happens(self, what: str = "urgent", count: int = 1) -> list[int]:
        """Lines more; returns their ids."""

        def write(session: Session) -> list[int]:
            ticket = session.get_one(Ticket, self.ticket)
            for _ in range(count):
                record(session, ticket, what, "system", self.clock())
            session.flush()
            ids = sa.select(col(TicketEvent.id)).order_by(sa.desc(col(TicketEvent.id))).limit(count)
            return sorted(session.scalars(ids))

        return self.db.tx(write)

    def late(self, number: int) -> None:
        """A line whose transaction commits after later ones did."""

        def write(session: Session) -> None:
            old = session.get_one(TicketEvent, number)
            session.add(old)
            old.what = "urgent"

        self.db.tx(write)


@pytest.fixture
def here(db: Database, clock: HandClock) -> Here:
    return Here(db, clock)


async def test_each_line_once(here: Here, db: Database, clock: HandClock) -> None:
    first = here.happens()
    reader = Reader(db, clock)
    assert [await reader.look(), await reader.look()] == [1, 0]
    second = here.happens(count=2)
    assert [await reader.look(), await reader.look()] == [2, 0]
    assert reader.made == first + second  # and none was made anew only to be thrown away


async def test_a_second_process_adds_nothing(here: Here, db: Database, clock: HandClock) -> None:
    here.happens(count=3)
    assert [await Reader(db, clock).look(), await Reader(db, clock).look()] == [3, 0]


async def test_one_that_commits_late_is_not_missed(here: Here, db: Database, clock: HandClock) -> None:
    (slow,) = here.happens("noted")
    reader = Reader(db, clock)
    here.happens(count=2)
    assert await reader.look() == 2
    here.late(slow)
    assert await reader.look() == 1
    assert reader.made[-1] == slow


async def test_one_for_whom_nobody_is_known_yet_waits_however_much_happens(
    here: Here, db: Database, clock: HandClock
) -> None:
    reader = Reader(db, clock)
    reader.again = True
    first = here.happens()
    assert await reader.look() == 0
    here.happens("noted", count=OVERLAP + 1)
    assert await reader.look() == 0
    reader.again = False
    assert [await reader.look(), await reader.look()] == [1, 0]
    assert reader.made == first


async def test_it_waits_for_a_day(here: Here, db: Database, clock: HandClock) -> None:
    reader = Reader(db, clock)
    reader.again = True
    here.happens()
    assert await reader.look() == 0
    clock.forward(hours=25)
    reader.again = False
    assert await reader.look() == 0


async def test_what_was_rolled_back_is_looked_at_again(
    here: Here, db: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(db, clock)
    await reader.look()
    here.happens()

    def fails(*_: object) -> int:
        raise sa.exc.OperationalError("", None, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr("models.outbox.put", fails)
        with pytest.raises(sa.exc.OperationalError):
            await reader.look()
    assert await reader.look() == 1
    assert len(db.tx(lambda session: session.scalars(sa.select(Outbox)).all())) == 1


async def test_a_process_begins_with_the_last_day(here: Here, db: Database, clock: HandClock) -> None:
    here.happens(count=3)
    clock.forward(hours=13)
    today = here.happens(count=2)
    clock.forward(hours=13)
    reader = Reader(db, clock)
    await reader.look()
    assert reader.made == today


async def test_of_a_long_history_only_the_end_is_read(here: Here, db: Database, clock: HandClock) -> None:
    here.happens(count=OVERLAP)
    clock.forward(hours=FRESH.total_seconds() / 3600 + 1)
    reader = Reader(db, clock)
    here.happens("noted", count=OVERLAP)
    await reader.look()
    new = here.happens()
    seen: list[object] = []

    def loaded(row: object, _context: object) -> None:
        seen.append(row)

    sa.event.listen(TicketEvent, "load", loaded)
    try:
        await reader.look()
    finally:
        sa.event.remove(TicketEvent, "load", loaded)
    assert reader.made == new
    assert len(seen) == 1
