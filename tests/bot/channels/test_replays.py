"""Nonces, remembered by all processes."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.replays import Replays
from bot.channels.security import Refused
from bot.ingest import Ingest
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming
from models.replay import Replay
from tests.conftest import START, HandClock


def rows(db: Database) -> int:
    def count(session: Session) -> int:
        return int(session.scalars(sa.select(sa.func.count()).select_from(Replay)).one())

    return db.tx(count)


async def test_what_one_process_saw_the_other_refuses(db: Database, clock: HandClock) -> None:
    one, other = Replays("x", db), Replays("x", db)
    await one.check("1", "n", "m1", clock())
    await other.check("1", "n", "m1", clock())  # the platform comes again, to the other process
    with pytest.raises(Refused, match="replay"):
        await other.check("1", "n", "m2", clock())
    with pytest.raises(Refused, match="replay"):
        await Replays("x", db).check("1", "n", "m2", clock() + timedelta(minutes=119))
    await Replays("another channel", db).check("1", "n", "m2", clock())


async def test_the_same_nonce_at_another_time_is_another_pair(db: Database, clock: HandClock) -> None:
    """A platform draws them by chance: two callbacks of different seconds may well have one."""
    replays = Replays("x", db)
    await replays.check("1", "n", "m1", clock())
    await replays.check("2", "n", "m2", clock())
    with pytest.raises(Refused, match="replay"):
        await replays.check("2", "n", "m1", clock())


async def test_one_who_hangs_up_takes_nobody_along(db: Database, clock: HandClock) -> None:
    replays = Replays("x", db, linger=0.05)
    checks = [asyncio.create_task(replays.check("1", str(turn), "m", clock())) for turn in range(3)]
    await asyncio.sleep(0)
    checks[0].cancel()
    ended = await asyncio.gather(*checks, return_exceptions=True)
    assert [type(one) for one in ended] == [asyncio.CancelledError, type(None), type(None)]
    assert rows(db) == 3


async def test_two_messages_under_one_nonce_at_once(db: Database, clock: HandClock) -> None:
    """Whichever is first, exactly one is taken: within a process, and between two."""
    for replays in ([Replays("x", db)] * 2, [Replays("y", db), Replays("y", db)]):
        checks = [one.check("1", "n", message, clock()) for one, message in zip(replays, "ab", strict=True)]
        results = await asyncio.gather(*checks, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "Refused"]


@pytest.fixture
def begun(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What each transaction was to do, from here on."""
    works: list[object] = []
    tx = db.tx

    def counted(work: object) -> object:
        works.append(work)
        return tx(work)  # type: ignore[arg-type]

    monkeypatch.setattr(db, "tx", counted)
    return works


async def test_a_hundred_callbacks_are_few_transactions(db: Database, clock: HandClock, begun: list[object]) -> None:
    replays = Replays("x", db)
    await asyncio.gather(*(replays.check("1", str(turn), "m", clock()) for turn in range(100)))
    assert rows(db) == 100
    assert len(begun) <= 4


async def test_rows_older_than_two_hours_go(sqlite_db: Database, clock: HandClock) -> None:
    replays = Replays("x", sqlite_db)
    for turn in range(3):
        await replays.check("1", str(turn), "m", clock())
    clock.forward(hours=2, seconds=1)
    await replays.check("2", "n", "m", clock())
    assert rows(sqlite_db) == 1


async def test_a_database_that_is_away_remembers_nothing_wrong(sqlite_db: Database, clock: HandClock) -> None:
    replays = Replays("x", sqlite_db)

    async def away(_work: object) -> object:
        raise sa.exc.OperationalError("x", None, Exception("away"))

    run, sqlite_db.run = sqlite_db.run, away  # type: ignore[method-assign, assignment]
    with pytest.raises(sa.exc.OperationalError):
        await replays.check("1", "n", "m1", clock())
    sqlite_db.run = run  # type: ignore[method-assign]
    await replays.check("1", "n", "m1", clock())
    with pytest.raises(Refused):
        await replays.check("1", "n", "m2", clock())


# ---- together with the message


def letter(number: str) -> Incoming:
    return Incoming(id=number, channel="x", chat="o1", sender="o1", sent_at=START, text=f"第{number}条", direct=True)


def kept(db: Database) -> list[str]:
    return list(db.tx(lambda session: session.scalars(sa.select(Inbox.message).order_by(Inbox.id)).all()))  # type: ignore[call-overload]


async def test_a_message_and_its_nonce_are_one_transaction(
    db: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays, ingest = Replays("x", db), Ingest(db, clock=clock)

    def fails(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("gone", None, Exception())

    with monkeypatch.context() as patch:
        patch.setattr("bot.ingest.receive", fails)
        with pytest.raises(sa.exc.OperationalError):
            await replays.accept(ingest, letter("1"), "1", "n", "1", clock())
    assert (kept(db), rows(db)) == ([], 0)
    # Not kept, so not remembered: when the platform comes again it gets in.
    await replays.accept(ingest, letter("1"), "1", "n", "1", clock())
    await replays.accept(ingest, letter("1"), "1", "n", "1", clock())
    assert (kept(db), rows(db)) == (["1"], 1)


async def test_another_message_under_the_nonce_is_not_kept(db: Database, clock: HandClock) -> None:
    ingest = Ingest(db, clock=clock)
    one, other = Replays("x", db), Replays("x", db)
    await one.accept(ingest, letter("1"), "1", "n", "1", clock())
    for replays in (one, other, Replays("x", db)):
        with pytest.raises(Refused, match="replay"):
            await replays.accept(ingest, letter("2"), "1", "n", "2", clock())
        with pytest.raises(Refused, match="replay"):
            await replays.check("1", "n", "2", clock())
    assert kept(db) == ["1"]
    await other.accept(ingest, letter("3"), "1", "another", "3", clock())
    assert kept(db) == ["1", "3"]


async def test_of_two_at_once_one_is_kept_and_the_others_beside_them(db: Database, clock: HandClock) -> None:
    for name, count in (("x", 1), ("y", 2)):
        replays = [Replays(name, db) for _ in range(count)] * (2 // count)
        ingests = [Ingest(db, clock=clock) for _ in range(count)] * (2 // count)
        before = kept(db)
        both = [
            one.accept(ingest, letter(f"{name}{number}"), "1", "n", f"{number}", clock())
            for one, ingest, number in zip(replays, ingests, "12", strict=True)
        ]
        beside = replays[0].accept(ingests[0], letter(f"{name}3"), "1", "beside", "3", clock())
        results = await asyncio.gather(*both, beside, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results[:2]) == ["NoneType", "Refused"]
        assert results[2] is None
        assert len(kept(db)) == len(before) + 2


async def test_an_old_nonce_may_come_again(db: Database, clock: HandClock) -> None:
    ingest, replays = Ingest(db, clock=clock), Replays("x", db)
    await replays.accept(ingest, letter("1"), "1", "n", "1", clock())
    clock.forward(hours=3)
    await replays.accept(ingest, letter("2"), "1", "n", "2", clock())
    assert kept(db) == ["1", "2"]


async def test_a_hundred_messages_with_their_nonces_are_few_transactions(
    db: Database, clock: HandClock, begun: list[object]
) -> None:
    replays, ingest = Replays("x", db), Ingest(db, clock=clock)
    turns = range(100)
    await asyncio.gather(*(replays.accept(ingest, letter(f"{n}"), "1", f"{n}", f"{n}", clock()) for n in turns))
    assert len(begun) <= 3
    assert (len(kept(db)), rows(db)) == (100, 100)
