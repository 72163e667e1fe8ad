"""The five functions under inbox and outbox, one claimer at a time. Several at once: test_queue_storm."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from models import inbox, queue
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming
from models.queue import LeaseLost
from models.webchat import WebMessage
from tests.conftest import HandClock
from tests.models.letters import letter

LEASE = timedelta(seconds=60)


def put(db: Database, clock: HandClock, *messages: Incoming) -> int:
    return db.tx(lambda session: inbox.receive(session, messages, clock()))


def claim(db: Database, clock: HandClock, limit: int = 10) -> Sequence[Inbox]:
    return db.tx(lambda session: queue.claim(session, Inbox, now=clock(), lease=LEASE, limit=limit))


def finish(db: Database, clock: HandClock, row: Inbox) -> None:
    db.tx(lambda session: queue.finish(session, Inbox, row, now=clock(), outcome="done"))


def names(rows: Sequence[Inbox]) -> list[str]:
    return [f"{row.chat}/{row.message}" for row in rows]


def test_the_same_message_twice_is_one_row(db: Database, clock: HandClock) -> None:
    assert put(db, clock, letter(1), letter(2), letter(1)) == 2
    assert put(db, clock, letter(2), letter(3)) == 1
    assert put(db, clock) == 0
    assert db.tx(lambda session: session.scalars(sa.select(sa.func.count()).select_from(Inbox)).one()) == 3


def test_a_finished_message_delivered_again_is_still_a_duplicate(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1))
    finish(db, clock, claim(db, clock)[0])
    assert put(db, clock, letter(1)) == 0
    assert claim(db, clock) == []


def test_a_row_holds_the_message(db: Database, clock: HandClock) -> None:
    message = letter(1, text="3幢楼道灯坏了", mentions=("bot",), lon=118.9, lat=28.9)
    put(db, clock, message)
    (row,) = claim(db, clock)
    assert inbox.read(row) == message
    found = db.tx(lambda session: inbox.find(session, "web", "g1", "m1"))
    assert found is not None
    assert found.id == row.id
    assert db.tx(lambda session: inbox.find(session, "web", "g2", "m1")) is None


def test_only_the_first_of_each_conversation(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1, "g1"), letter(2, "g1"), letter(3, "g2"), letter(4, "g2"), letter(5, "g3"))
    assert names(claim(db, clock)) == ["g1/m1", "g2/m3", "g3/m5"]


def test_oldest_first_and_no_more_than_asked_for(db: Database, clock: HandClock) -> None:
    put(db, clock, *(letter(n, f"g{n}") for n in range(1, 6)))
    assert names(claim(db, clock, limit=2)) == ["g1/m1", "g2/m2"]
    assert names(claim(db, clock, limit=2)) == ["g3/m3", "g4/m4"]


def test_the_next_comes_when_the_first_is_finished(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1), letter(2))
    (first,) = claim(db, clock)
    assert claim(db, clock) == []
    finish(db, clock, first)
    assert names(claim(db, clock)) == ["g1/m2"]


def test_a_lease_hides_until_it_runs_out(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1))
    (first,) = claim(db, clock)
    clock.forward(seconds=59)
    assert claim(db, clock) == []
    clock.forward(seconds=1)
    (second,) = claim(db, clock)
    assert second.id == first.id
    assert second.lease != first.lease
    assert (first.attempts, second.attempts) == (1, 2)


def test_whose_lease_ran_out_loses_all_its_effects(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1))
    (late,) = claim(db, clock)
    clock.forward(minutes=2)
    (current,) = claim(db, clock)

    def work(session: Session, row: Inbox) -> None:
        session.add(WebMessage(client_id=f"by {row.lease}", chat="g1", sender="bot", body="{}", at=clock()))
        session.flush()
        queue.finish(session, Inbox, row, now=clock(), outcome="done")

    with pytest.raises(LeaseLost):
        db.tx(lambda session: work(session, late))
    db.tx(lambda session: work(session, current))
    said = db.tx(lambda session: [line.client_id for line in session.scalars(sa.select(WebMessage))])
    assert said == [f"by {current.lease}"]


def retry(session: Session, row: Inbox, clock: HandClock) -> None:
    queue.retry(session, Inbox, row, at=clock(), error="")


def bury(session: Session, row: Inbox, clock: HandClock) -> None:
    queue.bury(session, Inbox, row, now=clock(), outcome="dead", error="")


@pytest.mark.parametrize("again", [retry, bury])
def test_what_is_finished_stays_finished(
    db: Database, clock: HandClock, again: Callable[[Session, Inbox, HandClock], None]
) -> None:
    put(db, clock, letter(1))
    (row,) = claim(db, clock)
    finish(db, clock, row)
    with pytest.raises(LeaseLost):
        finish(db, clock, row)
    with pytest.raises(LeaseLost):
        db.tx(lambda session: again(session, row, clock))
    assert claim(db, clock) == []


def test_a_retry_holds_back_those_behind_it(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1), letter(2), letter(3, "g2"))
    first, other = claim(db, clock)
    finish(db, clock, other)
    later = clock() + timedelta(seconds=30)
    db.tx(lambda session: queue.retry(session, Inbox, first, at=later, error="x" * 900))
    assert claim(db, clock) == []
    clock.forward(seconds=30)
    (again,) = claim(db, clock)
    assert names([again]) == ["g1/m1"]
    assert again.error == "x" * 500
    finish(db, clock, again)
    assert names(claim(db, clock)) == ["g1/m2"]


def test_a_buried_row_lets_the_others_go(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1), letter(2))
    (first,) = claim(db, clock)
    db.tx(lambda session: queue.bury(session, Inbox, first, now=clock(), outcome="dead", error="no sense"))
    assert names(claim(db, clock)) == ["g1/m2"]
    kept = db.tx(lambda session: session.get_one(Inbox, first.id))
    assert (kept.outcome, kept.error, kept.finished_at, kept.lease) == ("dead", "no sense", clock(), None)


def test_what_is_put_off_waits(db: Database, clock: HandClock) -> None:
    put(db, clock, letter(1))
    clock.forward(seconds=-1)
    assert claim(db, clock) == []


@pytest.mark.parametrize("rows", [0, 2_000])
def test_sqlite_claims_by_the_partial_index(sqlite_db: Database, clock: HandClock, rows: int) -> None:
    db = sqlite_db
    put(db, clock, *(letter(n, f"g{n % 50}") for n in range(rows)))
    seen: list[tuple[str, tuple[object, ...]]] = []

    @sa.event.listens_for(db.engine, "before_cursor_execute")
    def note(_c: object, _u: object, statement: str, values: tuple[object, ...], _x: object, _many: bool) -> None:
        if statement.startswith("UPDATE inbox"):
            seen.append((statement, values))

    claim(db, clock)
    ((statement, values),) = seen
    with db.engine.connect() as connection:
        plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any("head" in step and "ix_inbox_due" in step for step in plan), plan
    assert any("earlier" in step and "ix_inbox_order" in step for step in plan), plan
    assert not any(step.startswith("SCAN") and "INDEX" not in step for step in plan), plan
