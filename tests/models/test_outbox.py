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
