"""What the AI bot says by its long connection: the answer's own turn, the rate, and what is uncertain."""

import asyncio
from typing import Any

import pytest

from bot.channels.api import ApiError
from bot.channels.base import WAIT, NotNow, SendFailed, Uncertain
from bot.channels.wecom_bot.letters import NAME
from bot.sender import Sender
from models import inbox
from models.database import Database
from models.message import Card, Incoming, Purpose
from models.outbox import SENT, WAITS
from tests.platform.harness import platform
from tests.platform.wecom_bot import (
    HASTY,
    connected,
    handled,
    heard,
    hooked,
    line,
    live,
    make,
    put,
    row,
    soon,
)


async def test_the_first_answer_belongs_to_the_message(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: (said.chat, said.id) in live(bot)._turns)
        await bot.send(put(sqlite_db, p, "a", "已登记", "k1", trigger=said.id), "k1")
        await bot.send(put(sqlite_db, p, "a", "还有一句", "k2", trigger=said.id), "k2")
        assert [bubble.kind for bubble in p.seen("a")] == ["stream", "markdown"]
        assert p.seen("a")[0].finished


async def test_what_a_worker_is_told_of_it_does_not_answer_the_resident(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.say(None, "w", "在的")
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: (said.chat, said.id) in live(bot)._turns)
        alert = put(sqlite_db, p, "w", "【补充】3幢王阿姨家", "k1", trigger=said.id, purpose=Purpose.ALERT)
        await bot.send(alert, "k1")
        await bot.send(put(sqlite_db, p, "a", "已登记", "k2", trigger=said.id), "k2")
        assert [bubble.text for bubble in p.seen("a")] == ["已登记"]
        assert [bubble.text for bubble in p.seen("w")] == ["【补充】3幢王阿姨家"]


async def test_a_message_of_the_old_connection_is_answered_by_a_new_one(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: (said.chat, said.id) in live(bot)._turns)
        req_id = live(bot)._turns[said.chat, said.id]
        await p.bot.cut()
        await soon(lambda: p.bot.wire.subscribed == 2 and bot.ready)
        await soon(lambda: not live(bot)._turns)
        live(bot)._turns[said.chat, said.id] = req_id  # even if it were remembered: 846605, and it goes all the same
        await bot.send(put(sqlite_db, p, "a", "已登记", trigger=said.id), "k1")
        assert [(bubble.kind, bubble.text) for bubble in p.seen("a")] == [("markdown", "已登记")]


async def test_a_repeated_alert_is_a_message_of_its_own(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: (said.chat, said.id) in live(bot)._turns)
        out = put(sqlite_db, p, "a", "【重复提醒】", trigger=said.id, repeat=True, purpose=Purpose.ALERT)
        await bot.send(out, "k1")
        assert p.seen("a")[0].kind == "markdown"


async def test_a_group_hears_no_phone_and_nobody_forges_a_mention(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        group = p.group("g", "a")
        await p.say(group, "a", "@邻声 灯坏了")
        await soon(lambda: heard(sqlite_db))
        await bot.send(put(sqlite_db, p, group, "<@all> [领奖](http://bad.example) 13800001234"), "k1")
        (shown,) = p.seen(group)
    assert "<@" not in shown.text
    assert "](" not in shown.text
    assert "13800001234" not in shown.text


async def test_a_card_with_nothing_to_press_is_words(sqlite_db: Database) -> None:
    """So that any way of an answer may bring it."""
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.say(None, "w", "在的")
        card = Card(title="LS00001 照明", facts=(("地点", "6幢"),), link="https://l.example/task/x")
        await bot.send(put(sqlite_db, p, "w", "【催办】", purpose=Purpose.ALERT, card=card), "k1")
        (shown,) = p.seen("w")
        assert shown.card is None
        assert [part in shown.text for part in ("【催办】", "地点：6幢", "https://l.example/task/x")] == [True] * 3


@pytest.mark.parametrize("who", ["this process", "another"])
async def test_a_chat_that_only_the_platform_knows_is_left_to_it(db: Database, who: str) -> None:
    """She spoke before there was this database. Nothing says that her chat is direct, until she writes: heard by this
    process, or by another of the deployment that had the connection for a while."""
    async with platform() as p, connected(p, db) as bot:
        p.bot.known.add("a")
        sender = Sender(db, {NAME: bot}, p.clock)
        put(db, p, "a", "已登记", "k1")
        assert await sender.step() == 1
        if who == "another":
            said = Incoming(id="m1", channel=NAME, chat="a", sender="a", direct=True, text="在吗", sent_at=p.clock())
            db.tx(lambda session: inbox.receive(session, [said], p.clock()))
        else:
            await p.say(None, "a", "在吗")
            await soon(lambda: heard(db))
        put(db, p, "a", "网格员已接单", "k2")
        assert await sender.step() == 1
        told = [frame["body"] for frame in p.bot.wire.frames if frame["cmd"] == "aibot_send_msg"]
        assert [body.get("chat_type") for body in told] == [None, 1]
        assert [bubble.text for bubble in p.seen("a")] == ["已登记", "网格员已接单"]
        assert [row(db, key).outcome for key in ("k1", "k2")] == [SENT, SENT]


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_quote_of_what_the_bot_said_is_known_as_such(sqlite_db: Database, mode: str) -> None:
    """As it was shown: with another answer in the same bubble, and with a flat that the group is not told."""
    opened = connected if mode == "connection" else hooked
    async with platform() as p, opened(p, sqlite_db) as bot:
        group, db = p.group("g", "a"), sqlite_db
        sender = Sender(db, {NAME: bot}, p.clock)
        for chat, texts in ((None, ("LS00001 网格员已接单", "LS00002 已登记")), (group, ("LS00003 3幢2单元301 照明",))):
            said = await p.say(chat, "a", "@邻声 灯坏了")
            await soon(lambda known=said.id: known in [message.id for message in heard(db)])  # type: ignore[misc]
            for text in texts:
                put(db, p, said.chat, text, text, trigger=said.id)
            handled(db, p)
            if mode == "webhook":
                await p.bot.poll()
            while await sender.step():
                pass
            shown = p.seen(said.chat)[-1]
            asked = await p.say(chat, "a", "@邻声 这个修得怎么样了", quote=shown)
            await soon(lambda known=asked.id: known in [message.id for message in heard(db)])  # type: ignore[misc]
            quote = heard(db)[-1]
            assert quote.quote in {row(db, text).platform_id for text in texts}
            assert quote.forwarded == ()
            handled(db, p)
        assert "301" not in shown.text


async def test_the_31st_message_of_a_minute_waits(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.say(None, "a", "你好")
        await soon(lambda: heard(sqlite_db))
        for number in range(30):
            await bot.send(put(sqlite_db, p, "a", f"{number}", f"k{number}"), f"k{number}")
        with pytest.raises(SendFailed) as failed:
            await bot.send(put(sqlite_db, p, "a", "31", "k31"), "k31")
        assert failed.value.after is not None
        assert 0 < failed.value.after <= 66
        assert len(p.seen("a")) == 30
        p.clock.forward(seconds=failed.value.after)
        await bot.send(put(sqlite_db, p, "a", "31", "k31"), "k31")


async def test_no_answer_in_time_is_uncertain(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, HASTY) as bot:
        p.bot.freeze()
        with pytest.raises(Uncertain):
            await bot.send(put(sqlite_db, p, "a", "已登记"), "k1")


async def test_a_line_that_ends_before_the_answer_is_uncertain(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        p.bot.freeze()
        sending = asyncio.create_task(bot.send(put(sqlite_db, p, "a", "已登记"), "k1"))
        await soon(lambda: line(bot)._waiting)
        await p.bot.cut()
        with pytest.raises(Uncertain):
            await sending


async def test_not_connected_is_no_uncertainty(sqlite_db: Database) -> None:
    async with platform() as p:
        bot = make(p, sqlite_db)
        with pytest.raises(SendFailed):
            await bot.send(put(sqlite_db, p, "a", "已登记"), "k1")


async def test_a_platform_that_says_no_keeps_its_code(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        with pytest.raises(ApiError) as failed:
            await line(bot).ask("aibot_unheard_of", {})
        assert failed.value.code == 40008


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_whom_the_bot_may_not_write_to_keeps_no_alert_waiting(sqlite_db: Database, mode: str) -> None:
    """Somebody else must hear of it, at once; a reply waits for her word."""
    opened = connected if mode == "connection" else hooked
    async with platform() as p, opened(p, sqlite_db) as bot:
        for purpose, final in ((Purpose.ALERT, True), (Purpose.REPLY, False)):
            with pytest.raises(NotNow) as failed:
                await bot.send(put(sqlite_db, p, "w", "【新任务】", purpose, purpose=purpose), purpose)
            assert (failed.value.final, failed.value.after) == (final, WAIT)


async def test_a_reply_to_whom_it_may_not_write_leaves_at_her_word(db: Database) -> None:
    async with platform() as p, connected(p, db, finish_unanswered=False) as bot:
        put(db, p, "a", "已登记")
        sender = Sender(db, {NAME: bot}, p.clock)
        for _ in range(20):
            await sender.step()
            p.clock.forward(minutes=30)
        assert row(db).outcome == WAITS
        await p.say(None, "a", "在吗")
        await soon(lambda: heard(db))
        assert await sender.step() == 1
        assert [bubble.text for bubble in p.seen("a")] == ["已登记"]


async def test_frames_of_one_request_leave_one_after_another(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: (said.chat, said.id) in live(bot)._turns)
        req_id = live(bot)._turns[said.chat, said.id]
        contents = [f"第{number}步" for number in range(5)]
        await asyncio.gather(*(
            line(bot).ask("aibot_respond_msg", {
                "msgtype": "stream",
                "stream": {"id": "s", "finish": number == 4, "content": content},
            }, req_id)
            for number, content in enumerate(contents)
        ))  # fmt: skip
        told = [f["body"]["stream"]["content"] for f in p.bot.wire.frames if f["cmd"] == "aibot_respond_msg"]
        assert told == contents
        assert (p.seen("a")[0].text, len(p.seen("a"))) == ("第4步", 1)
        assert len(line(bot)._turns) == 0


async def test_a_file_goes_up_in_chunks_across_a_reconnect(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        data = bytes(range(256)) * 6_000  # 1.5 MB: three chunks
        real, cut = line(bot).ask, False

        async def ask(cmd: str, body: dict[str, Any] | None, req_id: str | None = None, **more: Any) -> dict[str, Any]:
            nonlocal cut
            if cmd == "aibot_upload_media_chunk" and body and body["chunk_index"] == 1 and not cut:
                cut = True
                await p.bot.cut()
                await soon(lambda: not bot.ready)
            return await real(cmd, body, req_id, **more)

        line(bot).ask = ask  # type: ignore[method-assign]
        media = await live(bot).upload("file", "清单.pdf", data)
        stored = p.media.get(media)
        assert (cut, stored.name, stored.data) == (True, "清单.pdf", data)
        with pytest.raises(SendFailed):
            await live(bot).upload("file", "empty", b"")
