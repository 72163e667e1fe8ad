"""Who of a deployment's processes has the AI bot's connection, and how it goes from one to the next without a gap."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from bot.channels.holder import Holder
from bot.channels.wecom_bot.channel import WecomBot
from models.database import Database
from models.schema import upgrade
from tests.databases import Postgres
from tests.platform.harness import TestPlatform, platform
from tests.platform.wecom_bot import connected, heard, make, soon, stays

LOCKS = sa.text(
    "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
    "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
)


@pytest.fixture
def postgresql(postgres: Postgres) -> Iterator[Database]:
    """A database of this test's own, whose sessions it may end."""
    db = Database(postgres.at(name := postgres.create()))
    upgrade(db)
    yield db
    db.close()
    postgres.drop(name)


def blip(db: Database) -> None:
    """The database ends whatever session holds something."""
    db.tx(lambda session: session.connection().execute(LOCKS).all())


@asynccontextmanager
async def beside(p: TestPlatform, db: Database, seconds: float = 0.05) -> AsyncIterator[WecomBot]:
    """Another process of the same deployment. seconds: between two of its looks."""
    own = Database(db.url)
    bot = make(p, own, standby_seconds=seconds)
    await bot.start()
    try:
        yield bot
    finally:
        await bot.stop()
        own.close()


async def test_one_connects_and_the_other_stands_by(db: Database) -> None:
    async with platform() as p, connected(p, db) as first, beside(p, db) as second:
        await stays(lambda: (first.state, second.state, second.ready) == ("up", "standby", False), 0.3)
        assert (p.bot.wire.kicked, p.bot.wire.subscribed) == (0, 1)


async def test_a_restart_loses_no_word(db: Database) -> None:
    """The one that ends goes on to hear until the other has subscribed."""
    async with platform() as p, connected(p, db, standby_seconds=10) as first, beside(p, db) as second:
        said = 0
        ending = asyncio.create_task(first.stop())
        while not (ending.done() and second.ready):
            await p.say(None, f"u{said}", "灯坏了")
            said += 1
            await asyncio.sleep(0.01)
        await p.say(None, "last", "灯坏了")
        await soon(lambda: len(heard(db)) == said + 1)
        assert (p.bot.lost, p.bot.wire.kicked, p.bot.wire.subscribed) == ([], 1, 2)
        await stays(lambda: (first.state, second.state) == ("standby", "up"), 0.2)


async def test_who_ends_alone_hangs_up_by_itself(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as only:
        await only.stop()
        await soon(lambda: not p.bot.connected)
        await p.say(None, "a", "灯坏了")
        assert (len(p.bot.lost), p.bot.wire.subscribed) == (1, 1)


async def test_thrown_out_by_its_own_brother_it_stands_by(postgresql: Database) -> None:
    """The database has ended the session under the hold, and the other process was faster at taking it."""
    async with platform() as p, connected(p, postgresql, standby_seconds=1) as first:
        async with beside(p, postgresql) as second:
            await stays(lambda: second.state == "standby", 0.2)
            blip(postgresql)
            await soon(lambda: (first.state, second.state) == ("standby", "up"))
        await soon(lambda: first.state == "up")
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(postgresql))


async def test_a_hold_that_is_had_again_costs_no_connection(postgresql: Database) -> None:
    async with platform() as p, connected(p, postgresql) as bot:
        blip(postgresql)
        await stays(lambda: bot.state == "up", 0.5)
        assert p.bot.wire.subscribed == 1
        async with beside(p, postgresql) as second:
            await stays(lambda: (bot.state, second.state) == ("up", "standby"), 0.3)


async def test_who_rests_keeps_the_hold_through_a_blip_and_dials_no_more(postgresql: Database) -> None:
    async with platform() as p, connected(p, postgresql) as bot, beside(p, postgresql, 30) as second:
        stranger = p.bot.wire
        before = stranger.current
        assert before is not None
        await stranger._kick(before)  # as if another deployment had subscribed
        await soon(lambda: bot.state == "resting")
        blip(postgresql)
        await stays(lambda: (bot.state, second.state) == ("resting", "standby"), 0.5)
        assert not await Holder(postgresql, f"wecom_bot:{p.bot.id}").take()
        assert stranger.subscribed == 1


async def test_a_lost_session_loses_the_hold(postgres: Postgres) -> None:
    db = Database(postgres.at(name := postgres.create()))
    first, second = Holder(db, "wecom_bot:B"), Holder(db, "wecom_bot:B")
    try:
        assert await first.take()
        assert not await second.take()
        assert await first.still()
        blip(db)
        assert not await first.still()
        assert await second.take()
        await second.let_go()
        assert await first.take()
        await first.let_go()
    finally:
        db.close()
        postgres.drop(name)
