"""The AI bot's long connection: how it comes back, when it does not, and what becomes of what it carries."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp.pytest_plugin import AiohttpClient
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot.app import PROCESS, build
from bot.channels.api import ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.holder import Holder
from bot.channels.wecom_bot import live as live_module
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.live import Live
from bot.channels.wecom_bot.socket import Connection, Pace, State
from bot.ingest import Ingest
from bot.sender import Sender
from config.settings import Settings
from models.database import Database
from models.message import Button, Card, Incoming, Kind, Purpose
from models.outbox import SENT
from tests.conftest import Postgres
from tests.platform.harness import platform
from tests.platform.wecom_bot import QUICK, connected, handled, heard, make, put, row, settings, soon

CARD = Card(title="LS00007 照明", words="灯坏了", buttons=(Button(text="接单", action="accept:7"),))


def live(bot: Any) -> Live:
    assert isinstance(bot.live, Live)
    return bot.live


def line(bot: Any) -> Connection:
    return live(bot)._connection


async def stays(condition: Callable[[], object], seconds: float = 0.4) -> None:
    """It holds, and goes on to hold."""
    for _ in range(int(seconds / 0.02)):
        assert condition()
        await asyncio.sleep(0.02)


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


# --- what comes in ------------------------------------------------------------------------------------------------


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
        group = p.group("g", "a")
        quoted = await p.say(group, "a", "@邻声 楼下水管爆了 在3幢")
        for number in range(8):
            # Quotes take a look into the database first: nothing may overtake them.
            await p.say(group, "a", f"@邻声 {number}", quote=quoted if number % 3 == 0 else None)
        await soon(lambda: len(heard(sqlite_db)) == 9)
    assert [message.text for message in heard(sqlite_db)][1:] == [str(number) for number in range(8)]


async def test_a_message_is_kept_when_the_database_comes_back(
    sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "AGAIN", (0.02,))
    real, failures = Ingest.accept, 6

    async def away(self: Ingest, message: Incoming) -> None:
        nonlocal failures
        failures -= 1
        if failures > 0:
            raise sa.exc.OperationalError("INSERT", {}, Exception("gone"))
        await real(self, message)

    monkeypatch.setattr(Ingest, "accept", away)
    async with platform() as p, connected(p, sqlite_db):
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))
    assert [message.text for message in heard(sqlite_db)] == ["灯坏了"]


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
        p.bot.freeze()
        await soon(lambda: p.bot.wire.subscribed == 2 and bot.ready)
        await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(sqlite_db))


async def test_a_wrong_secret_is_no_reason_to_hammer(sqlite_db: Database) -> None:
    async with platform() as p:
        pace = Pace(ping=5, silence=12, ack=1, connect=1, first=0.01, most=0.02, refused=0.2)
        bot = make(p, sqlite_db, pace, secret="not-the-secret")  # noqa: S106
        with capture_logs() as logs:
            await bot.start()
            await soon(lambda: line(bot).state == State.WAITING)
            await asyncio.sleep(0.3)
            frames = [frame for frame in p.bot.wire.frames if frame["cmd"] == "aibot_subscribe"]
            await bot.stop()
    assert 1 <= len(frames) <= 3
    assert not bot.ready
    assert "not-the-secret" not in str(logs)
    assert "errcode 40125" in [entry.get("why") for entry in logs]


@pytest.fixture
def elsewhere(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """The database of another deployment that was given the same bot."""
    database = Database(f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / 'elsewhere.db')}")
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
                await soon(lambda: first.state == "resting")
                await stays(lambda: (first.state, second.state, first.ready) == ("resting", "up", False))
                assert p.bot.wire.subscribed == 2
                await second.stop()
                await stays(lambda: first.state == "resting", 0.2)
        assert (p.bot.wire.kicked, p.bot.wire.subscribed) == (1, 2)
    said = [entry for entry in logs if entry["event"] == "connection.resting"]
    assert len(said) == 1
    assert said[0]["log_level"] == "error"


async def test_the_processes_of_one_deployment_do_not_quarrel(db: Database) -> None:
    async with platform() as p, connected(p, db) as first:
        second = make(p, Database(db.url) if db.is_sqlite else db)
        await second.start()
        await stays(lambda: (first.state, second.state) == ("up", "standby"), 0.3)
        assert (p.bot.wire.kicked, second.ready) == (0, False)
        await first.stop()
        await soon(lambda: second.ready)
        assert p.bot.wire.kicked == 0
        await second.stop()
        if db.is_sqlite:
            second._db.close()


async def test_nobody_takes_the_place_of_one_that_rests(sqlite_db: Database, elsewhere: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as first, connected(p, elsewhere):
        await soon(lambda: first.state == "resting")
        beside = make(p, sqlite_db)
        await beside.start()
        await stays(lambda: beside.state == "standby", 0.3)
        await beside.stop()
        assert p.bot.wire.subscribed == 2


async def test_health_says_that_it_rests_and_does_not_fail(
    migrated_sqlite: Path, elsewhere: Database, tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    url = f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / 'ours.db')}"
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


async def test_a_lost_session_loses_the_hold(postgres: Postgres) -> None:
    db = Database(postgres.at(name := postgres.create()))
    first, second = Holder(db, "wecom_bot:B"), Holder(db, "wecom_bot:B")
    try:
        assert await first.take()
        assert not await second.take()
        assert await first.still()
        mine = sa.text(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        db.tx(lambda session: session.connection().execute(mine).all())
        assert not await first.still()
        assert await second.take()
        await second.let_go()
        assert await first.take()
        await first.let_go()
    finally:
        db.close()
        postgres.drop(name)


async def test_a_process_that_only_serves_pages_leaves_it_alone(sqlite_db: Database) -> None:
    async with platform() as p:
        bot = make(p, sqlite_db, connect=False)
        await bot.start()
        await stays(lambda: not p.bot.connected and bot.state == "off", 0.2)
        await bot.stop()


# --- what goes out ------------------------------------------------------------------------------------------------


async def test_the_first_answer_belongs_to_the_message(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: said.id in live(bot)._turns)
        await bot.send(put(sqlite_db, p, "a", "已登记", "k1", trigger=said.id), "k1")
        await bot.send(put(sqlite_db, p, "a", "还有一句", "k2", trigger=said.id), "k2")
        assert [bubble.kind for bubble in p.seen("a")] == ["stream", "markdown"]
        assert p.seen("a")[0].finished


async def test_a_message_of_the_old_connection_is_answered_by_a_new_one(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: said.id in live(bot)._turns)
        req_id = live(bot)._turns[said.id]
        await p.bot.cut()
        await soon(lambda: p.bot.wire.subscribed == 2 and bot.ready)
        await soon(lambda: not live(bot)._turns)
        live(bot)._turns[said.id] = req_id  # even if it were remembered: 846605, and it goes all the same
        await bot.send(put(sqlite_db, p, "a", "已登记", trigger=said.id), "k1")
        assert [(bubble.kind, bubble.text) for bubble in p.seen("a")] == [("markdown", "已登记")]


async def test_a_repeated_alert_is_a_message_of_its_own(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: said.id in live(bot)._turns)
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
    async with platform() as p, connected(p, sqlite_db) as bot:
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
            await bot.send(put(sqlite_db, p, "never-wrote", "已登记"), "k1")
        assert failed.value.code == 846604


async def test_frames_of_one_request_leave_one_after_another(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: said.id in live(bot)._turns)
        req_id = live(bot)._turns[said.id]
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


# --- cards --------------------------------------------------------------------------------------------------------


async def test_a_card_of_a_ticket_that_is_gone_is_pressed_in_vain(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.say(None, "w", "在的")
        await soon(lambda: heard(sqlite_db))
        await bot.send(put(sqlite_db, p, "w", "", card=CARD, ticket=7), "k1")
        card = p.seen("w")[-1]
        handled(sqlite_db, p)
        await p.click(card, "w", "accept:7")
        await soon(lambda: len(heard(sqlite_db)) == 2)
        handled(sqlite_db, p, "refused")
        press = heard(sqlite_db)[-1]
        assert (press.kind, press.action, press.sender) == (Kind.CARD, "accept:7", "w")
        await soon(lambda: figure("linsheng_card_clicks_total", channel=NAME, outcome="refused") >= 1)
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


def test_the_pace_is_the_platforms() -> None:
    assert (Pace().ping, Pace().silence > 2 * Pace().ping) == (30.0, True)
    assert QUICK.silence > 2 * QUICK.ping
