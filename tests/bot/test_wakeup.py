"""Bells within a process, LISTEN and NOTIFY between processes."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from bot.scheduler import Sweeper
from bot.wakeup import Bell, Listener
from bot.worker import Worker
from handlers.workdays import WorkCalendar
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Outgoing
from models.outbox import Outbox
from models.queue import bell
from tests.conftest import HandClock
from tests.databases import Postgres, migrated
from tests.engines import Deaf

NOW = datetime(2026, 3, 2, tzinfo=UTC)
INBOX, OUTBOX = "linsheng_inbox", "linsheng_outbox"


def heard(number: int) -> Incoming:
    return Incoming(id=f"m{number}", channel="web", chat="g", sender="u01", sent_at=NOW, text="早")


@pytest.fixture
def pg(postgres: Postgres) -> Iterator[Database]:
    """PostgreSQL only."""
    name = postgres.create(migrated)
    database = Database(postgres.at(name))
    yield database
    database.close()
    postgres.drop(name)


@asynccontextmanager
async def listening(pg: Database) -> AsyncIterator[Counter[str]]:
    rung: Counter[str] = Counter()
    bells = {name: lambda name=name: rung.update([name]) for name in (INBOX, OUTBOX)}
    listener = Listener(pg.url, bells, reconnect=0.05)
    running = asyncio.create_task(listener.run())
    async with asyncio.timeout(10):
        await listener.ready.wait()
    rung.clear()
    try:
        yield rung
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(rung: Counter[str], name: str) -> None:
    async with asyncio.timeout(5):
        while not rung[name]:  # noqa: ASYNC110 - a counter rings no bell
            await asyncio.sleep(0.01)


async def test_a_bell_is_heard_from_another_thread() -> None:
    rung = Bell()
    rung.hang()
    thread = threading.Thread(target=rung.ring)
    thread.start()
    async with asyncio.timeout(2):
        await rung.event.wait()
    thread.join()


def test_a_bell_rung_before_and_after_the_loop_harms_nobody() -> None:
    rung = Bell()
    rung.ring()

    async def hang() -> bool:
        rung.hang()
        return rung.event.is_set()

    assert asyncio.run(hang())
    rung.ring()


def test_the_names_that_are_listened_to() -> None:
    assert (bell(Inbox), bell(Outbox)) == (INBOX, OUTBOX)


@pytest.mark.postgres
async def test_a_commit_rings_where_the_row_went(pg: Database) -> None:
    async with listening(pg) as rung:
        await pg.run(lambda session: inbox.receive(session, [heard(1)], NOW))
        await until(rung, INBOX)
        assert rung[OUTBOX] == 0
        out = Outgoing(channel="web", chat="g", text="好的")
        await pg.run(lambda session: outbox.put(session, [("k", out)], NOW))
        await until(rung, OUTBOX)


@pytest.mark.postgres
async def test_what_is_rolled_back_or_a_duplicate_does_not_ring(pg: Database) -> None:
    await pg.run(lambda session: inbox.receive(session, [heard(1)], NOW))
    async with listening(pg) as rung:
        with pytest.raises(ZeroDivisionError):
            await pg.run(lambda session: inbox.receive(session, [heard(2)], NOW) / 0)
        await pg.run(lambda session: inbox.receive(session, [heard(1)], NOW))
        await pg.run(lambda session: outbox.put(session, [("k", Outgoing(channel="web", chat="g", text="好"))], NOW))
        await until(rung, OUTBOX)  # notifications come in order of commits
        assert rung[INBOX] == 0


@pytest.mark.postgres
async def test_a_connection_that_breaks_comes_back_and_looks_at_what_it_missed(pg: Database) -> None:
    async with listening(pg) as rung:
        await pg.run(
            lambda session: session.connection().execute(
                sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            )
        )
        await until(rung, INBOX)
        await until(rung, OUTBOX)
        rung.clear()
        await pg.run(lambda session: inbox.receive(session, [heard(1)], NOW))
        await until(rung, INBOX)


def test_the_worker_rings_after_its_commit_and_only_then(db: Database, clock: HandClock) -> None:
    open_rows: list[int] = []

    def ring() -> None:
        count = sa.select(sa.func.count()).select_from(Inbox).where(Inbox.finished_at.is_(None))  # type: ignore[union-attr]
        open_rows.append(db.tx(lambda session: session.scalars(count).one()))

    calendar = WorkCalendar.configured(ZoneInfo("Asia/Shanghai"))
    worker = Worker(db, Deaf(), calendar, clock=clock, wake=ring)
    assert worker.step() == 0
    assert open_rows == []
    db.tx(lambda session: inbox.receive(session, [heard(1)], clock()))
    assert worker.step() == 1
    assert open_rows == [0]


def test_a_sweep_with_nothing_due_rings_nobody(db: Database, clock: HandClock) -> None:
    rung: list[None] = []
    calendar = WorkCalendar.configured(ZoneInfo("Asia/Shanghai"))
    sweeper = Sweeper(db, calendar, clock=clock, wake=lambda: rung.append(None))
    assert sweeper.deadlines() == 0
    assert rung == []
