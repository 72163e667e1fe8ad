"""Due times as rows."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from models import deadline
from models.database import Database
from models.deadline import Deadline
from tests.conftest import HandClock
from tests.models.letters import open_ticket


def diary(db: Database, now: datetime, *minutes: int, ticket: int | None = None) -> int:
    """A ticket with something due after so many minutes each; returns its id."""

    def write(session: Session) -> int:
        number = ticket or open_ticket(session, now).id or 0
        for round_, after in enumerate(minutes):
            at = now + timedelta(minutes=after)
            session.add(Deadline(ticket=number, kind="due", round=round_, since=now, due_at=at))
        return number

    return db.tx(write)


def due(db: Database, now: datetime, limit: int = 10) -> list[int]:
    """The rounds of what is due."""
    return db.tx(lambda session: [row.round for row in deadline.due(session, now, limit)])


def test_only_what_is_due_and_oldest_first(db: Database, clock: HandClock) -> None:
    diary(db, clock(), 30, 10, 20, 60)
    assert due(db, clock()) == []
    assert due(db, clock.forward(minutes=30)) == [1, 2, 0]
    assert due(db, clock(), limit=2) == [1, 2]


def test_the_same_moment_goes_by_the_order_written(db: Database, clock: HandClock) -> None:
    diary(db, clock(), 5, 5, 5)
    assert due(db, clock.forward(minutes=5)) == [0, 1, 2]


def test_what_is_done_is_not_due(db: Database, clock: HandClock) -> None:
    diary(db, clock(), 1, 2)
    clock.forward(minutes=5)

    def fire(session: Session) -> None:
        (first,) = deadline.due(session, clock(), 1)
        first.done_at, first.fired = clock(), True

    db.tx(fire)
    assert due(db, clock()) == [1]


def test_cancel_is_for_one_ticket_and_leaves_what_fired(db: Database, clock: HandClock) -> None:
    mine, other = diary(db, clock(), 1, 2), diary(db, clock(), 3)
    fired_at = clock.forward(minutes=1)

    def fire(session: Session) -> None:
        (first,) = deadline.due(session, clock(), 1)
        first.done_at, first.fired = clock(), True

    db.tx(fire)
    clock.forward(minutes=10)
    db.tx(lambda session: deadline.cancel(session, mine, clock()))
    rows = db.tx(lambda session: session.scalars(sa.select(Deadline).order_by(sa.text("id"))).all())
    assert [(row.ticket, row.done_at, row.fired) for row in rows] == [
        (mine, fired_at, True),
        (mine, clock(), False),
        (other, None, False),
    ]


def test_one_of_a_kind_for_each_round(db: Database, clock: HandClock) -> None:
    number = diary(db, clock(), 1)
    with pytest.raises(sa.exc.IntegrityError):
        diary(db, clock(), 2, ticket=number)


def test_rows_that_another_process_holds_are_left_to_it(db: Database, clock: HandClock) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has one writer at a time: nobody else can hold rows")
    diary(db, clock(), 1, 2, 3)
    clock.forward(minutes=5)
    other = Database(db.url)

    def hold(session: Session) -> None:
        held = deadline.due(session, clock(), 2)
        assert [row.round for row in held] == [0, 1]
        assert due(other, clock()) == [2]

    db.tx(hold)
    assert due(other, clock()) == [0, 1, 2]
    other.close()
