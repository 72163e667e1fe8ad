"""What waits for a word: in its order, woken by every word, found by an index, and never in the way for ever."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.base import NotNow, SendFailed, Uncertain
from bot.ingest import Ingest
from bot.sender import Sender, SenderSettings
from handlers.desk import Desk
from models import inbox, outbox, privacy
from models.database import Database
from models.message import Incoming, Outgoing, Purpose
from models.outbox import SENT, UNCERTAIN, WAITS
from tests.bot.test_sender import Bench, Recorder, letter
from tests.bot.test_sender_unreached import Here
from tests.conftest import HandClock

HOURS = 6 * 3600.0


def closed() -> NotNow:
    return NotNow("nobody has spoken", after=HOURS)


async def word(bench: Bench, chat: str = "c1") -> None:
    said = {"id": "m1", "channel": bench.channel.name, "chat": chat, "sender": chat, "text": "在", "direct": True}
    incoming = Incoming.model_validate(said | {"sent_at": bench.clock()})
    await Ingest(bench.db, clock=bench.clock).accept(incoming)


@pytest.fixture
def bench(db: Database, clock: HandClock) -> Bench:
    return Bench(db, clock, Recorder())


@pytest.fixture
def here(town_db: Database, clock: HandClock) -> Here:
    return Here(town_db, clock)


async def test_a_word_whose_transaction_ran_beside_the_senders_is_seen_after_both(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was heard, and hurried nothing, while the row was written: neither saw the other."""
    bench.put(letter("一"))
    bench.channel.troubles = [closed()]
    heard, looks = inbox.heard, 0

    def late(*told: Any) -> bool:
        nonlocal looks
        looks += 1
        return looks > 1 and heard(*told)

    monkeypatch.setattr(inbox, "heard", late)
    send = bench.channel.send

    async def and_she_writes(out: Outgoing, client_id: str) -> str:
        bench.clock.forward(seconds=1)
        await word(bench)
        return await send(out, client_id)

    monkeypatch.setattr(bench.channel, "send", and_she_writes)
    assert [await bench.sender.step() for _ in range(2)] == [1, 1]
    assert bench.rows()[0].outcome == SENT


async def test_what_falls_due_together_leaves_in_its_order(bench: Bench) -> None:
    """One at a time, also when two have waited and another one came meanwhile."""
    bench.put(letter("一"), letter("二"))
    bench.channel.troubles = [closed(), closed()]
    assert [await bench.sender.step() for _ in range(3)] == [1, 1, 0]
    bench.clock.forward(hours=7)
    bench.put(letter("三"))
    assert [await bench.sender.step() for _ in range(4)] == [1, 1, 1, 0]
    assert bench.texts()[2:] == ["一", "二", "三"]


@pytest.mark.parametrize("waited", [False, True])
async def test_a_word_while_it_is_tried_is_not_missed(bench: Bench, waited: bool) -> None:
    """The platform had said no when she wrote; what is under way does not wait yet, and is not made due."""
    bench.put(letter("一"))
    if waited:
        bench.channel.troubles = [closed()]
        await bench.sender.step()
        bench.clock.forward(hours=7)

    async def writes(_: Outgoing) -> None:
        bench.clock.forward(seconds=1)
        await word(bench)

    bench.channel.meanwhile, bench.channel.troubles = writes, [closed()]
    await bench.sender.step()
    bench.channel.meanwhile = None
    (row,) = bench.rows()
    assert row.visible_at - bench.clock() < timedelta(minutes=1)
    bench.put(letter("二"))
    bench.clock.forward(minutes=1)
    while await bench.sender.step():
        pass
    assert bench.texts()[-2:] == ["一", "二"]


async def test_an_earlier_word_does_not_bring_it(bench: Bench) -> None:
    await word(bench)
    bench.clock.forward(seconds=1)
    bench.put(letter("一"))
    bench.channel.troubles = [closed()]
    await bench.sender.step()
    (row,) = bench.rows()
    assert (row.outcome, row.visible_at) == (WAITS, bench.clock() + timedelta(seconds=HOURS))


async def test_an_alert_that_can_go_to_nobody_else_does_not_miss_it_either(here: Here) -> None:
    async def writes(_: Outgoing) -> None:
        here.clock.forward(seconds=1)
        await word(here, "w01")

    here.put(here.alert(card=None))  # news only: nobody else is told
    here.channel.meanwhile = writes
    here.channel.troubles = [NotNow("her messages are used up", final=True, after=HOURS)]
    await here.sender.step()
    here.channel.meanwhile = None
    here.clock.forward(minutes=1)
    await here.go()
    assert [row.outcome for row in here.rows()] == [SENT]


async def test_what_can_never_be_decided_is_out_of_the_way_in_the_end(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_desk: Desk, _out: Outgoing) -> str:
        raise LookupError("nobody thought of it")

    monkeypatch.setattr("bot.unreached.not_reached", broken)
    here.put(here.alert(), here.alert(purpose=Purpose.REPLY, card=None, text="后面的"))
    here.sender = Sender(here.db, {here.channel.name: here.channel}, here.clock, SenderSettings(attempts=1))
    for _ in range(2):
        await here.go(SendFailed("48002 she refuses", final=True))
        here.clock.forward(seconds=61)
    assert [row.outcome for row in here.rows()] == ["", ""]
    await here.go()
    assert [row.outcome for row in here.rows()] == [UNCERTAIN, SENT]


@pytest.mark.parametrize("analyzed", [False, True])
def test_sqlite_finds_what_waits_by_the_partial_index(sqlite_db: Database, clock: HandClock, analyzed: bool) -> None:
    """Not by the one of all that was ever said there: every commit at the door asks."""
    seen: list[tuple[str, tuple[object, ...]]] = []
    sent = [(f"k{n}", letter("x", chat=f"c{n % 3}")) for n in range(1_000)]

    def fill(session: Session) -> None:
        outbox.put(session, sent, clock())
        session.connection().execute(sa.update(outbox.Outbox).values(finished_at=clock(), outcome=SENT))

    sqlite_db.tx(fill)
    if analyzed:
        sqlite_db.tx(lambda session: session.connection().execute(sa.text("ANALYZE")).close())

    @sa.event.listens_for(sqlite_db.engine, "before_cursor_execute")
    def note(_c: object, _u: object, statement: str, values: tuple[object, ...], _x: object, _many: bool) -> None:
        seen.append((statement, values))

    sqlite_db.tx(lambda session: outbox.hurry(session, ["test:c0", "test:c1"], clock()))
    ((statement, values),) = [one for one in seen if one[0].startswith("UPDATE outbox")]
    with sqlite_db.engine.connect() as connection:
        plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert [step for step in plan if "ix_outbox_order" in step] == plan


@pytest.mark.parametrize(
    ("trouble", "given"),
    [(None, True), (Uncertain("cut"), False), (SendFailed("blocked", final=True), False), (NotNow("later"), True)],
)
async def test_a_privacy_notice_that_perhaps_did_not_arrive_counts_as_not_given(
    db: Database, clock: HandClock, trouble: BaseException | None, given: bool
) -> None:
    bench = Bench(db, clock, Recorder())
    db.tx(lambda session: privacy.note(session, "test", "o-1", None, "2026-03", clock()))
    db.tx(lambda session: privacy.note(session, "test", "o-2", None, "2026-03", clock()))
    bench.channel.troubles = [trouble]
    bench.put(letter("收到。\n【隐私告知】").model_copy(update={"informs": ("test", "o-1")}))
    await bench.sender.step()
    noticed = [
        db.tx(lambda session, user=user: privacy.noticed(session, [("test", user)]))  # type: ignore[misc]
        for user in ("o-1", "o-2")
    ]
    assert noticed == [given, True]
