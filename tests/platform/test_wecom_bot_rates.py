"""30 messages a minute into one conversation, whichever way and in whichever mode they leave."""

import pytest

from bot.channels.base import NoRoom, SendFailed
from bot.channels.wecom_bot.letters import NAME
from bot.sender import Sender
from models.database import Database
from models.message import Outgoing, Purpose
from tests.platform.harness import platform
from tests.platform.wecom_bot import CARD, connected, handled, heard, hooked, live, put, row, soon


async def test_the_webhook_counts_its_streams_and_its_later_answers(db: Database) -> None:
    async with platform() as p, hooked(p, db) as bot:
        users = [f"u{number}" for number in range(28)]
        group = p.group("g", *users)
        for user in users:
            await p.say(group, user, "@邻声 灯坏了")
        handled(db, p)
        assert await p.bot.poll() == 0  # their streams have ended; what comes now is a message of its own
        for number in range(2):
            assert (await bot.send(put(db, p, group, f"第{number}句", f"k{number}"), f"k{number}")).startswith("url:")
        with pytest.raises(SendFailed) as failed:
            await bot.send(put(db, p, group, "第3句", "k3"), "k3")
        assert failed.value.after is not None
        assert 0 < failed.value.after <= 66
        p.clock.forward(seconds=failed.value.after)
        assert (await bot.send(put(db, p, group, "第3句", "k3"), "k3")).startswith("url:")
        assert p.complaints == []


async def test_more_streams_than_a_minute_holds_are_waited_for(sqlite_db: Database) -> None:
    async with platform() as p, hooked(p, sqlite_db, per_minute=2) as bot:
        group = p.group("g", *"abcd")
        for user in "abcd":
            await p.say(group, user, "@邻声 灯坏了")
            p.clock.forward(seconds=10)
        handled(sqlite_db, p)
        assert await p.bot.poll() == 0
        with pytest.raises(SendFailed) as failed:
            await bot.send(put(sqlite_db, p, group, "一句"), "k1")
        assert failed.value.after == 40  # the third of them, 20 s ago, is then a minute old
        p.clock.forward(seconds=failed.value.after)
        assert await bot.send(put(sqlite_db, p, group, "一句"), "k1")


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_welcome_counts_and_does_not_come_where_it_is_too_much(sqlite_db: Database, mode: str) -> None:
    opened = connected if mode == "connection" else hooked
    async with platform() as p, opened(p, sqlite_db, per_minute=1) as bot:
        await p.bot.enter("a")
        await p.until(lambda: len(p.seen("a")) == 1)
        p.bot.known.add("a")
        with pytest.raises(SendFailed, match="rate"):
            await bot._rates.take("a")
        p.bot.welcomed.clear()
        push = await p.bot.enter("a")
        if push is not None:
            assert (push.status, push.body) == (200, "")
        await p.say(None, "a", "你好")  # heard after it: what came before has been dealt with
        await soon(lambda: heard(sqlite_db))
        assert len([bubble for bubble in p.seen("a") if bubble.kind == "text" and not bubble.by]) == 1
        assert p.complaints == []


async def test_a_card_that_goes_as_words_counts_twice(sqlite_db: Database) -> None:
    alert = Outgoing(
        channel=NAME, chat="w01", text="【新任务】", card=CARD, ticket=7, purpose=Purpose.ALERT, repeat=True
    )
    async with platform() as p, connected(p, sqlite_db, per_minute=2) as bot:
        p.bot.known.add("w01")
        await bot.send(alert, "c1")
        with pytest.raises(SendFailed, match="rate"):
            await bot.send(alert, "c1")  # its task id is used: refused, and its words are one too many
        assert len(p.seen("w01")) == 1


async def test_an_answer_that_came_too_late_counts_twice(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, per_minute=1) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        live(bot)._turns[said.chat, said.id] = "of-another-connection"
        with pytest.raises(SendFailed, match="rate"):
            await bot.send(put(sqlite_db, p, "a", "已登记", trigger=said.id), "k1")


async def test_an_answer_that_has_to_wait_is_still_the_answer(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, per_minute=1) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        await bot.send(put(sqlite_db, p, "a", "网格员已接单", "k1"), "k1")
        out = put(sqlite_db, p, "a", "已登记", "k2", trigger=said.id)
        with pytest.raises(SendFailed, match="rate"):
            await bot.send(out, "k2")
        p.clock.forward(seconds=70)
        await bot.send(out, "k2")
        assert [bubble.kind for bubble in p.seen("a") if not bubble.by] == ["markdown", "stream"]


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_what_waits_for_the_rate_is_not_tried_at_every_word(db: Database, mode: str) -> None:
    """Nor given up over it: a busy chat is where the rate is used up."""
    opened = connected if mode == "connection" else hooked
    users = "abcdefghijkl"
    async with platform() as p, opened(p, db, per_minute=1, finish_unanswered=False) as bot:
        group = p.group("g", *users)
        sender, tries = Sender(db, {NAME: bot}, p.clock), 0
        for number, user in enumerate(users):
            await p.say(group, user, "@邻声 灯坏了")
            await soon(lambda heard_now=number + 1: len(heard(db)) == heard_now)  # type: ignore[misc]
            if not number:
                handled(db, p)
                if mode == "webhook":
                    await p.bot.poll()  # its stream is the one of this minute
                else:
                    await bot._rates.take(group)
                put(db, p, group, "二", "k2")
            tries += await sender.step()
        assert (tries, row(db, "k2").outcome) == (1, "")


async def test_what_waits_for_room_is_never_given_up(sqlite_db: Database) -> None:
    """Others may be faster at the little room that there is, however often."""
    async with platform() as p, connected(p, sqlite_db, per_minute=1) as bot:
        p.bot.known.add("a")
        put(sqlite_db, p, "a", "网格员已接单")
        sender = Sender(sqlite_db, {NAME: bot}, p.clock)
        for _ in range(12):
            await bot._rates.take("a")
            assert await sender.step() == 1
            assert (row(sqlite_db).outcome, row(sqlite_db).attempts, row(sqlite_db).sending_at) == ("", 0, None)
            p.clock.forward(seconds=70)
        assert await sender.step() == 1
        assert [bubble.text for bubble in p.seen("a")] == ["网格员已接单"]


async def test_what_says_nothing_leaves_room_for_what_does(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, per_minute=6) as bot:
        for _ in range(4):
            await bot._rates.take("a", spare=True)
        with pytest.raises(NoRoom):
            await bot._rates.take("a", spare=True)
        await bot._rates.take("a")
        await bot._rates.take("a")
        with pytest.raises(NoRoom):
            await bot._rates.take("a")


async def test_the_31st_file_of_a_minute_waits(sqlite_db: Database) -> None:
    """Of all chats together."""
    async with platform() as p, connected(p, sqlite_db) as bot:
        for number in range(30):
            assert await live(bot).upload("file", f"{number}.pdf", b"%PDF-1.7")
        with pytest.raises(NoRoom) as failed:
            await live(bot).upload("file", "31.pdf", b"%PDF-1.7")
        assert failed.value.after is not None
        assert 0 < failed.value.after <= 66
        p.clock.forward(seconds=failed.value.after)
        assert await live(bot).upload("file", "31.pdf", b"%PDF-1.7")


async def test_an_address_is_not_spent_by_the_platforms_own_limit(sqlite_db: Database) -> None:
    async with platform() as p, hooked(p, sqlite_db) as bot:
        await p.say(None, "a", "灯坏了")
        handled(sqlite_db, p)
        assert await p.bot.poll() == 0
        p.faults.fail("/cgi-bin/aibot/response", code=846607)
        out = put(sqlite_db, p, "a", "网格员已接单")
        with pytest.raises(SendFailed, match="rate") as failed:
            await bot.send(out, "k1")
        assert failed.value.after == 60
        assert (await bot.send(out, "k1")).startswith("url:")
