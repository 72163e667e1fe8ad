"""What goes out: once for each key, in order for each conversation, and back again on an operator's word."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from models import outbox, queue
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import DEAD, SENT, UNCERTAIN, Outbox
from tests.conftest import HandClock

LEASE = timedelta(seconds=30)


def out(text: str, chat: str = "g1") -> Outgoing:
    return Outgoing(channel="web", chat=chat, text=text)


def put(db: Database, clock: HandClock, **messages: Outgoing) -> int:
    return db.tx(lambda session: outbox.put(session, messages.items(), clock()))


def claim(db: Database, clock: HandClock) -> list[Outbox]:
    return list(db.tx(lambda session: queue.claim(session, Outbox, now=clock(), lease=LEASE, limit=10)))


def end(db: Database, clock: HandClock, outcome: str) -> Outbox:
    """Claim the one row that is due, and end it."""
    (row,) = claim(db, clock)
    db.tx(lambda session: queue.bury(session, Outbox, row, now=clock(), outcome=outcome, error="why"))
    return row


def test_the_same_key_is_one_message(db: Database, clock: HandClock) -> None:
    assert put(db, clock, a=out("收到"), b=out("已办结", "g2")) == 2
    assert put(db, clock, a=out("收到！")) == 0
    assert [outbox.read(row).text for row in claim(db, clock)] == ["收到", "已办结"]


def test_a_row_holds_the_message(db: Database, clock: HandClock) -> None:
    message = Outgoing(channel="web", chat="d-w01", text="【新任务】", purpose=Purpose.ALERT, ticket=7, to_person="W01")
    put(db, clock, a=message)
    (row,) = claim(db, clock)
    assert outbox.read(row) == message
    assert (row.channel, row.ticket, row.created_at, row.sending_at) == ("web", 7, clock(), None)


def test_messages_of_a_conversation_leave_in_order(db: Database, clock: HandClock) -> None:
    put(db, clock, a=out("一"), b=out("二"), c=out("三", "g2"))
    first, other = claim(db, clock)
    assert [outbox.read(row).text for row in (first, other)] == ["一", "三"]
    assert claim(db, clock) == []
    db.tx(lambda session: queue.finish(session, Outbox, first, now=clock(), outcome=SENT))
    assert [outbox.read(row).text for row in claim(db, clock)] == ["二"]


def test_failed_rows_newest_first(db: Database, clock: HandClock) -> None:
    for number, outcome in enumerate((DEAD, UNCERTAIN, SENT, DEAD)):
        put(db, clock, **{f"k{number}": out(str(number))})
        end(db, clock, outcome)
    texts = db.tx(lambda session: [outbox.read(row).text for row in outbox.failed(session, (DEAD, UNCERTAIN), 10)])
    assert texts == ["3", "1", "0"]
    assert len(db.tx(lambda session: outbox.failed(session, (DEAD, UNCERTAIN), 2))) == 2
    assert db.tx(lambda session: outbox.failed(session, (), 10)) == []


@pytest.mark.parametrize("outcome", [DEAD, UNCERTAIN])
def test_a_failed_row_is_revived_as_new(db: Database, clock: HandClock, outcome: str) -> None:
    put(db, clock, a=out("收到"))
    number = end(db, clock, outcome).id or 0
    db.tx(lambda session: session.connection().execute(sa.update(Outbox).values(sending_at=clock())))
    clock.forward(hours=1)
    assert db.tx(lambda session: outbox.revive(session, number, clock()))
    (row,) = claim(db, clock)
    assert (row.id, row.attempts, row.outcome, row.error, row.sending_at) == (number, 1, "", "", None)


def test_only_a_failed_row_is_revived(db: Database, clock: HandClock) -> None:
    put(db, clock, a=out("收到"), b=out("好", "g2"))
    sent, waiting = claim(db, clock)
    db.tx(lambda session: queue.finish(session, Outbox, sent, now=clock(), outcome=SENT))
    for number in (sent.id or 0, waiting.id or 0, 999):
        assert not db.tx(lambda session, number=number: outbox.revive(session, number, clock()))  # type: ignore[misc]


def take(db: Database, clock: HandClock) -> list[str]:
    """What may leave now, as the sender asks for it."""
    now = clock()
    rows = db.tx(
        lambda session: queue.claim(
            session, Outbox, now=now, lease=LEASE, limit=50, only=lambda table: outbox.interrupts_nothing(table, now),
            before=lambda earlier, one: outbox.leaves_before(earlier, one, now),
        )
    )  # fmt: skip
    return [outbox.read(row).text for row in rows]


def leave(db: Database, clock: HandClock) -> None:
    """What is under way arrives."""
    gone = sa.update(Outbox).where(Outbox.lease.is_not(None))  # type: ignore[union-attr]
    db.tx(lambda session: session.connection().execute(gone.values(finished_at=clock(), lease=None, outcome=SENT)))


def in_order(db: Database, clock: HandClock) -> list[str]:
    """All that leaves, one after another."""
    told = []
    while some := take(db, clock):
        told += some
        leave(db, clock)
    return told


def alert(text: str, ticket: int, *, urgent: bool = False, chat: str = "g1") -> Outgoing:
    return Outgoing(channel="web", chat=chat, text=text, purpose=Purpose.ALERT, ticket=ticket, urgent=urgent)


def reply(text: str, ticket: int | None = None) -> Outgoing:
    return Outgoing(channel="web", chat="g1", text=text, ticket=ticket)


def test_what_is_urgent_leaves_before_two_hundred_that_wait(db: Database, clock: HandClock) -> None:
    overdue = {f"k{n}": alert(f"超期{n}", n) for n in range(200)}
    put(db, clock, **overdue)
    put(db, clock, x=alert("有人被困", 900, urgent=True), y=alert("别处", 901, urgent=True, chat="g2"))
    assert take(db, clock) == ["有人被困", "别处"]
    assert take(db, clock) == [], "and nothing beside it"
    leave(db, clock)
    assert in_order(db, clock) == [out.text for out in overdue.values()]


def test_urgent_ones_leave_in_their_order(db: Database, clock: HandClock) -> None:
    put(db, clock, a=alert("一", 1), b=alert("急一", 2, urgent=True), c=alert("二", 3), d=alert("急二", 4, urgent=True))
    assert in_order(db, clock) == ["急一", "急二", "一", "二"]


def test_a_tickets_own_messages_come_with_it_in_their_order(db: Database, clock: HandClock) -> None:
    put(db, clock, a=alert("一", 1), b=alert("七：新任务", 7), c=alert("二", 2), d=alert("七：又一人", 7))
    put(db, clock, e=alert("七：危险", 7, urgent=True))
    put(db, clock, f=alert("七：已撤", 7))
    assert in_order(db, clock) == ["七：新任务", "七：又一人", "七：危险", "一", "二", "七：已撤"]


def test_replies_keep_their_order(db: Database, clock: HandClock) -> None:
    """A reply about the ticket draws those before it, and whatever is about what they are about."""
    put(
        db,
        clock,
        a=alert("一", 1),
        b=alert("三：新任务", 3),
        c=reply("三：已转派", 3),
        d=reply("好的"),
        e=alert("二", 2),
    )
    put(db, clock, f=reply("七：已记录", 7), g=reply("八：后来的", 8), h=alert("七：危险", 7, urgent=True))
    assert in_order(db, clock) == [
        "三：新任务", "三：已转派", "好的", "七：已记录", "七：危险", "一", "二", "八：后来的",
    ]  # fmt: skip


def test_words_that_look_like_an_alerts_are_a_reply(db: Database, clock: HandClock) -> None:
    put(db, clock, a=reply('"purpose":"alert"'), b=reply("七：已记录", 7), c=alert("七：危险", 7, urgent=True))
    assert in_order(db, clock) == ['"purpose":"alert"', "七：已记录", "七：危险"]


def test_what_is_leaving_is_not_interrupted(db: Database, clock: HandClock) -> None:
    put(db, clock, a=alert("一", 1), b=alert("二", 2))
    assert take(db, clock) == ["一"]
    put(db, clock, x=alert("急", 9, urgent=True))
    assert take(db, clock) == []
    leave(db, clock)
    assert in_order(db, clock) == ["急", "二"]


def test_what_backs_off_is_passed_and_what_died_on_its_way_holds_up_nobody(db: Database, clock: HandClock) -> None:
    put(db, clock, a=alert("一", 1), c=alert("三", 3, chat="g2"))
    first, _ = claim(db, clock)
    later = clock() + timedelta(minutes=5)
    db.tx(lambda session: queue.retry(session, Outbox, first, at=later, error="no room"))
    put(db, clock, x=alert("急一", 8, urgent=True), y=alert("急三", 9, urgent=True, chat="g2"))
    assert take(db, clock) == ["急一"]
    clock.forward(seconds=31)  # nobody heard of 三 again
    assert "急三" in take(db, clock)


@pytest.mark.parametrize("rows", [0, 2_000])
def test_sqlite_claims_by_the_partial_indexes(sqlite_db: Database, clock: HandClock, rows: int) -> None:
    db, seen = sqlite_db, []
    put(db, clock, **{f"k{n}": out("x", f"g{n % 50}") for n in range(rows)})

    @sa.event.listens_for(db.engine, "before_cursor_execute")
    def note(_c: object, _u: object, statement: str, values: tuple[object, ...], _x: object, _many: bool) -> None:
        if statement.startswith("UPDATE outbox"):
            seen.append((statement, values))

    take(db, clock)
    ((statement, values),) = seen
    with db.engine.connect() as connection:
        plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any("head" in step and "ix_outbox_due" in step for step in plan), plan
    for step in ("earlier USING INDEX ix_outbox_order (conversation=? AND lane<?", "leaving USING INDEX ix_outbox_"):
        assert any(step in one for one in plan), plan
    assert not any(step.startswith("SCAN") and "INDEX" not in step for step in plan), plan
