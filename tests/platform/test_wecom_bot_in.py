"""What the AI bot hears by its long connection: words, pictures, presses, and what is none of it."""

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from bot.channels.wecom_bot import live as live_module
from bot.channels.wecom_bot.letters import NAME
from bot.ingest import Ingest
from bot.sender import Sender
from models.database import Database
from models.message import Incoming, Kind
from tests.platform.harness import platform
from tests.platform.wecom_bot import CARD, connected, figure, handled, heard, put, soon, stays


async def test_words_pictures_and_voices_arrive(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db):
        group = p.group("g", "a", "b")
        await p.say(group, "a", "@邻声 3幢灯坏了")
        await p.bot.voice("b", "水管漏了")
        await p.photo(None, "b")
        await p.bot.file("b", b"%PDF-1.7 x", "清单.pdf")
        await soon(lambda: len(heard(sqlite_db)) == 4)
        first, voice, photo, file = heard(sqlite_db)
    assert (first.chat, first.sender, first.direct, first.mentions, first.text) == (
        group, "a", False, ("bot",), "3幢灯坏了",
    )  # fmt: skip
    assert (voice.kind, voice.text, voice.chat, voice.direct) == (Kind.VOICE, "水管漏了", "b", True)
    assert (photo.kind, file.kind, len(photo.media)) == (Kind.IMAGE, Kind.FILE, 1)


async def test_messages_of_a_chat_keep_their_order(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db):
        group = p.group("g", *"abcd")
        quoted = await p.say(group, "a", "@邻声 楼下水管爆了 在3幢")
        for number in range(8):
            # Quotes take a look into the database first: nothing may overtake them.
            await p.say(group, "abcd"[number % 4], f"@邻声 {number}", quote=quoted if number % 3 == 0 else None)
        await soon(lambda: len(heard(sqlite_db)) == 9)
    assert [message.text for message in heard(sqlite_db)][1:] == [str(number) for number in range(8)]


@pytest.mark.parametrize(
    "fault",
    [
        sa.exc.OperationalError("INSERT", {}, Exception("gone")),
        sa.exc.InternalError("INSERT", {}, Exception("cannot execute INSERT in a read-only transaction")),
        sa.exc.TimeoutError("QueuePool limit"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_message_is_kept_when_the_database_comes_back(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(live_module, "AGAIN", (0.02,))
    real, failures = Ingest.accept, 6

    async def away(self: Ingest, message: Incoming) -> None:
        nonlocal failures
        failures -= 1
        if failures > 0:
            raise fault
        await real(self, message)

    monkeypatch.setattr(Ingest, "accept", away)
    async with platform() as p, connected(p, sqlite_db):
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
    assert [message.text for message in heard(sqlite_db)] == ["灯坏了"]


async def test_what_no_database_can_store_does_not_hold_up_its_chat(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "AGAIN", (0.02,))
    real = Ingest.accept

    async def stored(self: Ingest, message: Incoming) -> None:
        if message.text == "坏的":
            raise sa.exc.DataError("INSERT", {}, Exception("invalid"))
        await real(self, message)

    monkeypatch.setattr(Ingest, "accept", stored)
    async with platform() as p, connected(p, sqlite_db):
        await p.say(None, "a", "坏的")
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
    assert [message.text for message in heard(sqlite_db)] == ["灯坏了"]


async def test_what_is_heard_twice_is_answered_once(db: Database) -> None:
    async with platform() as p, connected(p, db) as bot:
        body = p.bot.head("a", "a", "text") | {"text": {"content": "灯坏了"}}
        await p.bot.push(dict(body), user="a")
        await soon(lambda: heard(db))
        put(db, p, "a", "已登记", trigger=body["msgid"])
        handled(db, p)
        assert await Sender(db, {NAME: bot}, p.clock).step() == 1
        await p.bot.push(dict(body), user="a")
        await p.say(None, "a", "谢谢")
        await soon(lambda: len(heard(db)) == 2)
        handled(db, p)
        await soon(lambda: len(p.seen("a")) == 2)
        await stays(lambda: [bubble.text for bubble in p.seen("a")] == ["已登记", "收到。"])


async def test_a_kind_that_nobody_knows_is_noted_and_asks_for_words(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db):
        before = figure("linsheng_bot_unread_total")
        group = p.group("g", "a")
        with capture_logs() as logs:
            for chat in (group, "a"):
                body = p.bot.head(chat, "a", "hologram") | {"hologram": {"title": "不要记下来"}}
                await p.bot.push(body, user="a", chat=chat)
            await soon(lambda: figure("linsheng_bot_unread_total") == before + 2)
        assert [entry["kind"] for entry in logs if entry["event"] == "message.unread"] == ["hologram"] * 2
        assert "不要记下来" not in str(logs)
        (message,) = heard(sqlite_db)  # the handlers answer an empty message of a direct chat
        assert (message.direct, message.kind, message.text) == (True, Kind.TEXT, "")


async def test_whoever_is_of_another_corporation_is_not_heard(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db, corp_id="wwOurs"):
        before = figure("linsheng_callbacks_refused_total", channel=NAME, why="receiver")
        for corp in ("wwTheirs", "wwOurs"):
            body = p.bot.head("a", "a", "text") | {"text": {"content": corp}}
            await p.bot.push(body | {"from": {"userid": "a", "corpid": corp}}, user="a")
        await soon(lambda: heard(sqlite_db))
        assert [message.text for message in heard(sqlite_db)] == ["wwOurs"]
        assert figure("linsheng_callbacks_refused_total", channel=NAME, why="receiver") == before + 1


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ('{"cmd":"aibot_msg_callback","headers":{"req_id":"x"},"body":{"aibotid":"somebody else"}}', "receiver"),
        ('{"cmd":"aibot_msg_callback","headers":{"req_id":"x"},"body":{"aibotid":"BOT"}}', "malformed"),
        ('{"cmd":"aibot_msg_callback","headers":{},"body":{}}', "malformed"),
        ('{"cmd":5,"headers":{"req_id":"x"},"body":{}}', "malformed"),
        ('{"a":' * 40 + "1" + "}" * 40, "depth"),
        ("[1]", "malformed"),
        ("\x00", "malformed"),
    ],
)
async def test_a_frame_of_another_shape_is_refused_and_the_line_stays(
    sqlite_db: Database, frame: str, why: str
) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        before = figure("linsheng_callbacks_refused_total", channel=NAME, why=why)
        assert p.bot.wire.current is not None
        await p.bot.wire.current.ws.send_str(frame.replace("BOT", p.bot.id))
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
        assert figure("linsheng_callbacks_refused_total", channel=NAME, why=why) == before + 1
        assert (bot.state, p.bot.wire.subscribed) == ("up", 1)


async def test_who_opens_the_chat_is_welcomed(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db):
        await p.bot.enter("a")
        await p.until(lambda: p.seen("a"))
        assert p.seen("a")[0].text.startswith("您好，我是邻声")
    assert heard(sqlite_db) == []


# --- cards --------------------------------------------------------------------------------------------------------


async def test_a_card_of_a_ticket_that_is_gone_is_pressed_in_vain(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.say(None, "w", "在的")
        await soon(lambda: heard(sqlite_db))
        await bot.send(put(sqlite_db, p, "w", "", card=CARD, ticket=7), "k1")
        card = p.seen("w")[-1]
        handled(sqlite_db, p)
        before = figure("linsheng_card_clicks_total", channel=NAME, outcome="refused")
        await p.click(card, "w", "accept:7")
        await soon(lambda: len(heard(sqlite_db)) == 2)
        handled(sqlite_db, p, "refused")
        press = heard(sqlite_db)[-1]
        assert (press.kind, press.action, press.sender) == (Kind.CARD, "accept:7", "w")
        await soon(lambda: figure("linsheng_card_clicks_total", channel=NAME, outcome="refused") == before + 1)
        assert card.card_for("w") == card.card


@pytest.mark.parametrize("key", ["noop", "accept:", "accept:x", "accept:99999999999999999999"])
async def test_a_key_that_names_no_ticket_is_no_message(sqlite_db: Database, key: str) -> None:
    async with platform() as p, connected(p, sqlite_db):
        click = {"card_type": "button_interaction", "event_key": key, "task_id": "T7-x"}
        await p.bot.push(
            {
                "msgid": "m", "aibotid": p.bot.id, "from": {"userid": "w"}, "chattype": "single", "msgtype": "event",
                "event": {"eventtype": "template_card_event", "template_card_event": click},
            },
            user="w",
        )  # fmt: skip
        await p.say(None, "w", "在的")
        await soon(lambda: heard(sqlite_db))
        assert [message.text for message in heard(sqlite_db)] == ["在的"]
