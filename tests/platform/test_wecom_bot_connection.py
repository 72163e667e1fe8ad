"""The AI bot's long connection: how it comes back, when it does not, and who of two has it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from structlog.testing import capture_logs

from bot.app import PROCESS, build
from bot.channels.base import Uncertain
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.socket import Pace, State
from bot.sender import Sender
from config.settings import Settings
from models.database import Database
from models.outbox import SENT, UNCERTAIN
from tests.databases import Files, migrated
from tests.platform.harness import platform
from tests.platform.wecom_bot import (
    PATIENT,
    QUICK,
    connected,
    figure,
    heard,
    line,
    make,
    put,
    row,
    settings,
    soon,
    stays,
)

# --- coming back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
async def test_it_comes_back_and_sends_what_waited(db: Database, clean: bool) -> None:
    async with platform() as p, connected(p, db) as bot:
        await p.say(None, "a", "你好")
        await soon(lambda: heard(db))
        lost = figure("linsheng_channel_connections_lost_total", channel=NAME)
        p.bot.wire.down = True
        await p.bot.cut(clean=clean)
        await soon(lambda: not bot.ready)
        put(db, p, "a", "已登记")
        sender = Sender(db, {NAME: bot}, p.clock)
        assert await sender.step() == 0  # nobody is connected: the row waits, and no try is counted
        p.bot.wire.down = False
        await soon(lambda: bot.ready)
        assert await sender.step() == 1
        assert [bubble.text for bubble in p.seen("a")] == ["已登记"]
        assert (row(db).outcome, row(db).attempts) == (SENT, 1)
        assert figure("linsheng_channel_connections_lost_total", channel=NAME) > lost


async def test_a_row_that_waits_for_its_next_try_is_due_once_connected(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        put(sqlite_db, p, "a", "已登记")
        sender = Sender(sqlite_db, {NAME: bot}, p.clock)
        assert await sender.step() == 1  # she has never written: 846604
        assert row(sqlite_db).visible_at > p.clock()
        await p.say(None, "a", "你好")
        await soon(lambda: heard(sqlite_db))
        await p.bot.cut()
        await soon(lambda: p.bot.wire.subscribed == 2 and bot.ready)
        await soon(lambda: row(sqlite_db).visible_at <= p.clock())
        assert await sender.step() == 1
        assert [bubble.text for bubble in p.seen("a")] == ["已登记"]


async def test_a_half_open_socket_is_noticed(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, QUICK) as bot:
        frozen = p.bot.wire.current
        p.bot.freeze()
        await soon(lambda: p.bot.wire.current not in (None, frozen) and bot.ready)
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))


async def test_a_line_that_does_not_answer_is_left_before_more_gets_lost_in_it(sqlite_db: Database) -> None:
    """Of four chats one is in doubt; what is for the others waits for the next line."""
    users = [f"u{number}" for number in range(4)]
    pace = replace(PATIENT, ack=0.2, probe=0.2)
    async with platform() as p, connected(p, sqlite_db, pace, finish_unanswered=False) as bot:
        for user in users:
            await p.say(None, user, "灯坏了")
        await soon(lambda: len(heard(sqlite_db)) == len(users))
        p.bot.freeze()
        sender = Sender(sqlite_db, {NAME: bot}, p.clock)
        for user in users:
            put(sqlite_db, p, user, "已登记", user)
            await sender.step()
        await soon(lambda: p.bot.wire.subscribed == 2 and bot.ready)
        while await sender.step():
            pass
        assert [row(sqlite_db, user).outcome for user in users] == [UNCERTAIN, SENT, SENT, SENT]
        assert [bubble.text for user in users[1:] for bubble in p.seen(user) if not bubble.by] == ["已登记"] * 3


async def test_one_answer_that_does_not_come_ends_no_line(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform is there: it answers the ping."""
    async with platform() as p, connected(p, sqlite_db, replace(PATIENT, ack=0.2)) as bot:
        obey = p.bot.wire._obey

        async def slowly(connection: Any, command: str, req: str, body: Any) -> Any:
            if command == "aibot_send_msg":
                await asyncio.sleep(0.6)
            return await obey(connection, command, req, body)

        monkeypatch.setattr(p.bot.wire, "_obey", slowly)
        p.bot.known.add("a")
        with pytest.raises(Uncertain):
            await bot.send(put(sqlite_db, p, "a", "已登记"), "k1")
        assert not bot.ready
        await soon(lambda: bot.ready)
        assert p.bot.wire.subscribed == 1


async def test_a_wrong_secret_is_no_reason_to_hammer(sqlite_db: Database) -> None:
    async with platform() as p:
        pace = replace(PATIENT, first=0.01, most=0.02, refused=60)
        bot = make(p, sqlite_db, pace, secret="not-the-secret")  # noqa: S106
        with capture_logs() as logs:
            await bot.start()
            await soon(lambda: line(bot).state == State.WAITING)
            await stays(lambda: [frame["cmd"] for frame in p.bot.wire.frames] == ["aibot_subscribe"], 0.3)
            await bot.stop()
    assert not bot.ready
    assert "not-the-secret" not in str(logs)
    assert "errcode 40125" in [entry.get("why") for entry in logs]


@pytest.fixture
def elsewhere(files: Files, tmp_path: Path) -> Iterator[Database]:
    """The database of another deployment that was given the same bot."""
    database = Database(files.create(tmp_path / "elsewhere.db", migrated))
    yield database
    database.close()


# --- two of them --------------------------------------------------------------------------------------------------


async def test_the_one_that_was_thrown_out_rests_and_says_so(sqlite_db: Database, elsewhere: Database) -> None:
    async with platform() as p:
        p.bot.wire.half_alive = True  # as the field reports: nobody closes the old socket
        with capture_logs() as logs:
            async with connected(p, sqlite_db) as first:
                second = make(p, elsewhere)
                await second.start()
                await soon(lambda: (first.state, second.state) == ("resting", "up"))
                await stays(lambda: (first.state, second.state, first.ready) == ("resting", "up", False))
                assert p.bot.wire.subscribed == 2
                await second.stop()
                await stays(lambda: first.state == "resting", 0.2)
        assert (p.bot.wire.kicked, p.bot.wire.subscribed) == (1, 2)
    said = [entry for entry in logs if entry["event"] == "connection.resting"]
    assert len(said) == 1
    assert said[0]["log_level"] == "error"


async def test_nobody_takes_the_place_of_one_that_rests(sqlite_db: Database, elsewhere: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as first, connected(p, elsewhere):
        await soon(lambda: first.state == "resting")
        beside = make(p, sqlite_db)
        await beside.start()
        await stays(lambda: beside.state == "standby", 0.3)
        await beside.stop()
        assert p.bot.wire.subscribed == 2


async def test_health_says_that_it_rests_and_does_not_fail(
    files: Files, elsewhere: Database, tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    url = files.create(tmp_path / "ours.db", migrated)
    async with platform() as p:
        told = {"home": tmp_path, "database_url": url, "wecom_bot": settings(p, connect=True)}
        client = await aiohttp_client(build(Settings.model_validate(told), worker=False, clock=p.clock))
        bot = client.app[PROCESS].channels[NAME]
        await soon(lambda: bot.state == "up")
        async with connected(p, elsewhere):
            await soon(lambda: bot.state == "resting")
            answer = await client.get("/healthz")
            assert (answer.status, (await answer.json())["connections"]) == (200, {NAME: "resting"})
            figures = await (await client.get("/metrics")).text()
        assert "linsheng_channel_state" in figures
        await client.close()


async def test_a_process_that_only_serves_pages_leaves_it_alone(sqlite_db: Database) -> None:
    async with platform() as p:
        bot = make(p, sqlite_db, connect=False)
        await bot.start()
        await stays(lambda: not p.bot.connected and bot.state == "off", 0.2)
        await bot.stop()


def test_the_pace_is_the_platforms() -> None:
    assert (Pace().ping, Pace().silence > 2 * Pace().ping) == (30.0, True)
    assert QUICK.silence > 2 * QUICK.ping
