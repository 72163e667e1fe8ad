"""The clock's sweeps: a deadline that cannot be fired stands in nobody's way; what has begun ends in time."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot import forgetting, scheduler
from bot.leftovers import remove
from bot.scheduler import AGAIN, Sweeper
from handlers import falling_due
from handlers.desk import Desk
from handlers.workdays import WorkCalendar
from models import inbox
from models.database import Database
from models.deadline import Deadline
from models.inbox import Inbox
from models.privacy import Erasure, Remnant, RemnantKind
from models.ticket import TicketEvent
from tests.conftest import HandClock
from tests.models.letters import letter, open_ticket


@pytest.fixture
def sweeper(town_db: Database, clock: HandClock) -> Sweeper:
    """Over the demo town."""
    return Sweeper(town_db, WorkCalendar(ZoneInfo("Asia/Shanghai")), clock=clock)


def due(db: Database, clock: HandClock, count: int) -> list[int]:
    """Tickets whose reminder is due, oldest first."""

    def work(session: Session) -> list[int]:
        found = []
        for number in range(count):
            ticket = open_ticket(session, clock())
            at = clock() - timedelta(minutes=count - number)
            session.add(Deadline(ticket=ticket.id or 0, kind="remind", since=at, due_at=at))
            found.append(ticket.id or 0)
        return found

    return db.tx(work)


def rows(db: Database) -> list[Deadline]:
    return db.tx(lambda session: list(session.scalars(sa.select(Deadline).order_by(Deadline.id))))  # type: ignore[arg-type]


def test_a_deadline_that_raises_is_tried_later_and_the_others_fire(
    town_db: Database, sweeper: Sweeper, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = due(town_db, clock, 3)

    def fire(desk: Desk, row: Deadline) -> str:
        kind = falling_due.fire(desk, row)
        if row.ticket == tickets[1]:
            raise RuntimeError("after it has written")
        return kind

    monkeypatch.setattr(scheduler, "fire", fire)
    assert sweeper.deadlines() == 3
    first, guilty, last = rows(town_db)
    assert first.fired
    assert last.fired
    assert (guilty.fired, guilty.done_at, guilty.due_at) == (False, None, clock() + AGAIN)
    events = sa.select(TicketEvent.ticket).where(TicketEvent.what == "reminded")  # type: ignore[call-overload]
    assert sorted(town_db.tx(lambda session: session.scalars(events).all())) == [tickets[0], tickets[2]]

    monkeypatch.setattr(scheduler, "fire", falling_due.fire)
    clock.forward(minutes=10)
    assert sweeper.deadlines() == 1
    assert rows(town_db)[1].fired


def test_who_is_told_to_end_begins_no_further_batch(
    town_db: Database, sweeper: Sweeper, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "BATCH", 1)
    due(town_db, clock, 3)

    def fire(desk: Desk, row: Deadline) -> str:
        sweeper.end()
        return falling_due.fire(desk, row)

    monkeypatch.setattr(scheduler, "fire", fire)
    assert sweeper.deadlines() == 1
    assert [row.fired for row in rows(town_db)] == [True, False, False]
    assert sweeper.deadlines() == sweeper.recount() == sweeper.forget(0) == 0


def test_who_is_told_to_end_begins_no_further_deletion(
    town_db: Database, sweeper: Sweeper, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "SOME", 1)
    sweeper._media = tmp_path / "media"
    sweeper._media.mkdir()

    def write(session: Session) -> None:
        session.add(Erasure(at=clock()))
        session.flush()
        for name in ("a.jpg", "b.jpg"):
            session.add(Remnant(erasure=1, kind=RemnantKind.FILE, value=name, before=clock(), due_at=clock()))
            (tmp_path / "media" / name).write_bytes(b"x")

    town_db.tx(write)

    def removed(*of: Any) -> int:
        sweeper.end()
        return remove(*of)

    monkeypatch.setattr(forgetting, "remove", removed)
    assert sweeper.finish_erasures() == 1
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["b.jpg"]


def test_old_messages_go_a_few_at_a_time(
    town_db: Database, sweeper: Sweeper, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "OLD", 2)
    town_db.tx(lambda session: inbox.receive(session, [letter(number) for number in range(6)], clock()))
    handled = sa.update(Inbox).where(Inbox.message != "m0").values(finished_at=clock())  # type: ignore[arg-type]
    town_db.tx(lambda session: session.connection().execute(handled))
    assert sweeper.forget(90) == 0
    clock.forward(days=91)
    assert sweeper.forget(90) == 5
    assert town_db.tx(lambda session: session.scalars(sa.select(Inbox.message)).all()) == ["m0"]  # type: ignore[call-overload]
