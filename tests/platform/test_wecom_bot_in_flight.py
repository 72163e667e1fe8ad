"""A user has at most three messages in flight with one bot: the platform takes no fourth, and ours come to an end."""

from typing import Any

import pytest

from bot.channels.api import ApiError
from bot.channels.wecom_bot.letters import NAME
from bot.platform.aibot import IN_FLIGHT
from bot.platform.aibot_people import TooMany
from bot.sender import Sender
from models.database import Database
from models.outbox import SENT
from tests.platform.harness import TestPlatform, platform
from tests.platform.wecom_bot import connected, handled, heard, hooked, line, live, put, row, soon, stays


async def three(p: TestPlatform, group: str) -> Any:
    """One in the group, two in the direct chat; the platform takes no more of hers. Gives the first."""
    first = await p.say(group, "a", "@邻声 3幢灯坏了")
    for text in ("今天天气真好", "早"):
        await p.say(None, "a", text)
    assert p.bot.in_flight("a") == IN_FLIGHT
    for chat in (group, None):
        with pytest.raises(TooMany):
            await p.say(chat, "a", "@邻声 在吗")
    return first


async def test_three_in_flight_and_every_one_comes_to_its_end(db: Database) -> None:
    """All chats together, one user; an answer, no answer and a message that nobody handled in time end alike."""
    async with platform() as p, hooked(p, db):
        group = p.group("g", "a", "b")
        first = await three(p, group)
        await p.say(group, "a", "这句不是对机器人说的")
        await p.say(group, "b", "@邻声 我也是")
        assert len(heard(db)) == 4
        put(db, p, group, "已登记 LS00001", "k1", trigger=first.id)
        handled(db, p)
        await p.bot.poll()
        assert (p.bot.in_flight("a"), p.bot.in_flight("b")) == (0, 0)
        for number in range(IN_FLIGHT):
            await p.say(None, "a", f"第{number}句")
        p.clock.forward(minutes=6)
        assert p.bot.in_flight("a") == 0
        assert p.complaints == []


async def test_a_long_connection_ends_what_needs_no_answer(db: Database) -> None:
    async with platform() as p, connected(p, db) as bot:
        group = p.group("g", "a")
        first = await three(p, group)
        await soon(lambda: len(heard(db)) == IN_FLIGHT)
        await stays(lambda: p.bot.in_flight("a") == IN_FLIGHT, 0.2)  # nobody has handled them yet
        put(db, p, group, "已登记 LS00001", "k1", trigger=first.id)
        handled(db, p)
        await soon(lambda: p.bot.in_flight("a") == 1)
        await stays(lambda: p.bot.in_flight("a") == 1, 0.2)  # its answer is still to leave
        assert await Sender(db, {NAME: bot}, p.clock).step() == 1
        assert p.bot.in_flight("a") == 0
        assert [(one.kind, one.text) for one in p.seen(group) if not one.by] == [("stream", "已登记 LS00001")]
        assert [(one.kind, one.text) for one in p.seen("a") if not one.by] == [("stream", "收到。")] * 2
        await p.say(None, "a", "还在吗")
        await soon(lambda: len(heard(db)) == IN_FLIGHT + 1)
        assert (len(live(bot)._turns), p.complaints) == (1, [])


async def test_an_end_that_nobody_takes_is_tried_once(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        live(bot)._turns[said.chat, said.id] = "of-another-connection"
        handled(sqlite_db, p)

        def tried() -> int:
            return [frame["cmd"] for frame in p.bot.wire.frames].count("aibot_respond_msg")

        await soon(tried)
        await stays(lambda: (tried(), p.bot.in_flight("a"), len(live(bot)._turns)) == (1, 1, 0), 0.2)


async def test_the_word_at_the_end_can_be_left_out(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, finish_unanswered=False):
        await p.say(None, "a", "今天天气真好")
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await stays(lambda: p.bot.in_flight("a") == 1, 0.2)


async def test_a_full_minute_puts_the_end_off(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, per_minute=1) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        await bot.send(put(sqlite_db, p, "a", "网格员已接单"), "k1")
        handled(sqlite_db, p)
        await stays(lambda: (said.chat, said.id) in live(bot)._turns, 0.2)
        p.clock.forward(seconds=70)
        await soon(lambda: p.bot.in_flight("a") == 0)
        assert [one.text for one in p.seen("a") if not one.by] == ["网格员已接单", "收到。"]


def refusing(bot: Any, monkeypatch: pytest.MonkeyPatch, *refusals: ApiError) -> list[str]:
    """The platform refuses so many answers; gives the list of all that are tried."""
    ask, tried, left = line(bot).ask, [], list(refusals)

    async def refused(cmd: str, body: Any, req_id: str | None = None) -> Any:
        if cmd == "aibot_respond_msg":
            tried.append(cmd)
            if left:
                raise left.pop(0)
        return await ask(cmd, body, req_id)

    monkeypatch.setattr(line(bot), "ask", refused)
    return tried


async def test_what_the_platform_limits_is_left_alone_for_its_minute(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        tried = refusing(bot, monkeypatch, ApiError(846607, "the rate is used up", after=60.0))
        for text in ("早", "今天天气真好"):
            await p.say(None, "a", text)
        await soon(lambda: len(heard(sqlite_db)) == 2)
        handled(sqlite_db, p)
        await soon(lambda: tried)
        await stays(lambda: (len(tried), p.bot.in_flight("a")) == (1, 2))
        p.clock.forward(seconds=61)
        await soon(lambda: p.bot.in_flight("a") == 0)
        assert len(tried) == 3


async def test_an_answer_that_is_refused_for_good_goes_as_a_message(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a reason that no page tells of: it must not be refused ten times for the same."""
    async with platform() as p, connected(p, sqlite_db, finish_unanswered=False) as bot:
        tried = refusing(bot, monkeypatch, *(ApiError(846999, "no") for _ in range(9)))
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        put(sqlite_db, p, "a", "已登记", trigger=said.id)
        sender = Sender(sqlite_db, {NAME: bot}, p.clock)
        assert await sender.step() == 1
        p.clock.forward(seconds=5)
        assert await sender.step() == 1
        assert (row(sqlite_db).outcome, len(tried)) == (SENT, 1)
        assert [(one.kind, one.text) for one in p.seen("a") if not one.by] == [("markdown", "已登记")]
