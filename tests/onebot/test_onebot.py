"""The reverse WebSocket against the fake: who may dial, what is heard, what is said, and what a break leaves."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestServer
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.base import SendFailed, Uncertain
from bot.channels.onebot import NAME, PATH, OneBot
from bot.ingest import Busy, Ingest, Once
from bot.sender import Sender
from config.side_channels import OneBotSettings
from models import outbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Button, Card, Incoming, Kind, Outgoing, Purpose
from models.outbox import SENT, Outbox
from tests.conftest import HandClock
from tests.onebot.fake import EPOCH, FakeQQ, at, image, record, reply, so, text

TOKEN, GROUP = "a-token-of-32-characters-at-least", 777


class Recorder(Ingest):
    """A door that remembers, or fails with what stands in `errors`, one after another."""

    def __init__(self) -> None:
        self.kept: list[Incoming] = []
        self.errors: list[Exception] = []
        self.news = asyncio.Event()

    async def accept(self, message: Incoming, once: Once | None = None) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.kept.append(message)
        self.news.set()

    async def first(self, number: int = 1) -> list[Incoming]:
        """Wait until so many are kept."""
        async with asyncio.timeout(10):
            while len(self.kept) < number:
                self.news.clear()
                await self.news.wait()
        return self.kept


@pytest.fixture
def door() -> Recorder:
    return Recorder()


@pytest.fixture
def known_group(sqlite_db: Database) -> Database:
    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code=f"g-{GROUP}", kind=ChatKind.GROUP, name="南区"))
        bump(session, TOWN)

    sqlite_db.tx(write)
    return sqlite_db


@pytest.fixture
async def channel(known_group: Database, door: Recorder) -> AsyncIterator[OneBot]:
    settings = OneBotSettings.model_validate({"token": TOKEN, "rate": 20, "action_seconds": 0.3})
    found = OneBot(settings, door, known_group, patience=0.01)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def url(channel: OneBot) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server:
        yield str(server.make_url(PATH))


@pytest.fixture
async def qq(url: str, channel: OneBot) -> AsyncIterator[FakeQQ]:
    async with FakeQQ(url, TOKEN) as found:
        await so(lambda: channel.ready)
        yield found


def out(words: str = "收到", *, chat: str = f"g-{GROUP}", **more: Any) -> Outgoing:
    return Outgoing(channel=NAME, chat=chat, text=words, **more)


# ---- who may dial


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 401),
        ("guess", {}, 403),
        (TOKEN[:-1], {}, 403),
        (TOKEN + "x", {}, 403),
        ("", {"Authorization": f"Token {TOKEN}"}, 403),
        ("", {"Authorization": TOKEN}, 403),
        (TOKEN, {"X-Self-ID": "x"}, 400),
        (TOKEN, {"X-Self-ID": ""}, 400),
        (TOKEN, {"X-Client-Role": "API"}, 400),
    ],
)
async def test_whoever_is_not_the_implementation_is_refused(
    url: str, channel: OneBot, token: str, headers: dict[str, str], status: int
) -> None:
    with capture_logs() as logs, pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(url, token, headers=headers).dial()
    assert refused.value.status == status
    assert not channel.ready
    assert [line["event"] for line in logs] == ["onebot.refused"]
    assert TOKEN not in str(logs)


async def test_a_token_in_the_address_does_not_count(url: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(f"{url}?access_token={TOKEN}", "").dial()
    assert refused.value.status == 401


async def test_another_account_is_refused_while_one_is_there(url: str, qq: FakeQQ, channel: OneBot) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(url, TOKEN, account=10002).dial()
    assert (refused.value.status, channel.ready) == (409, True)


async def test_only_the_account_of_the_settings(known_group: Database, door: Recorder) -> None:
    settings = OneBotSettings.model_validate({"token": TOKEN, "account": "10009"})
    app = web.Application()
    app.add_routes(OneBot(settings, door, known_group).routes())
    async with TestServer(app) as server:
        with pytest.raises(WSServerHandshakeError) as refused:
            await FakeQQ(str(server.make_url(PATH)), TOKEN).dial()
    assert refused.value.status == 403


async def test_it_says_what_it_is(known_group: Database, door: Recorder) -> None:
    channel = OneBot(OneBotSettings.model_validate({"token": TOKEN}), door, known_group)
    with capture_logs() as logs:
        await channel.start()
        await channel.stop()
    (line,) = [line for line in logs if line["event"] == "onebot.on"]
    assert line["log_level"] == "warning"
    assert "QQ account" in line["warning"]
    with pytest.raises(ValueError, match="token"):
        OneBot(OneBotSettings(), door, known_group)


# ---- what is heard


async def test_ordinary_talk_of_a_group_is_heard(qq: FakeQQ, door: Recorder) -> None:
    number = await qq.say(GROUP, 20001, "3栋楼道灯坏了", name="春芽")
    (kept,) = await door.first()
    assert (kept.id, kept.channel, kept.chat, kept.sender) == (str(number), "onebot", "g-777", "20001")
    assert (kept.text, kept.sender_name, kept.direct, kept.to_bot, kept.kind) == (
        "3栋楼道灯坏了", "春芽", False, False, Kind.TEXT,
    )  # fmt: skip
    assert kept.sent_at == datetime.fromtimestamp(EPOCH, UTC)


async def test_a_mention_a_quote_and_a_picture_in_one(qq: FakeQQ, door: Recorder) -> None:
    message = (reply(5), at(10001), text(" 3栋 "), at(20002), text("楼道灯坏了"), image("a.jpg"))
    await qq.say(GROUP, 20001, *message)
    (kept,) = await door.first()
    assert (kept.text, kept.quote, kept.mentions) == ("3栋 @ 楼道灯坏了", "5", ("bot", "20002"))
    assert (kept.kind, kept.media[0].url, kept.media[0].name) == (Kind.TEXT, "https://gchat.qpic.cn/a.jpg", "a.jpg")


async def test_pictures_and_voices_alone(qq: FakeQQ, door: Recorder) -> None:
    await qq.say(GROUP, 20001, image("a.jpg"), image("b.jpg"))
    await qq.say(GROUP, 20001, record("c.amr"))
    picture, voice = await door.first(2)
    assert (picture.kind, [one.platform_id for one in picture.media]) == (Kind.IMAGE, ["a.jpg", "b.jpg"])
    assert (voice.kind, voice.media[0].mime) == (Kind.VOICE, "audio/amr")


async def test_a_direct_chat(qq: FakeQQ, door: Recorder) -> None:
    await qq.say(None, 20001, "修得怎么样了")
    (kept,) = await door.first()
    assert (kept.chat, kept.sender, kept.direct) == ("20001", "20001", True)


async def test_the_text_format_comes_to_the_same(qq: FakeQQ, door: Recorder) -> None:
    codes = "[CQ:reply,id=-5][CQ:at,qq=10001] 3栋&#91;1单元&#93;灯坏了 A&amp;B[CQ:image,file=a.jpg,url=https://x/?a=1&amp;b&#44;2]"
    await qq.say(GROUP, 20001, "", message=codes)
    (kept,) = await door.first()
    assert (kept.quote, kept.mentions, kept.text) == ("-5", ("bot",), "3栋[1单元]灯坏了 A&B")
    assert kept.media[0].url == "https://x/?a=1&b,2"


async def test_a_pin_is_stored_in_wgs84(qq: FakeQQ, door: Recorder) -> None:
    place = {"type": "location", "data": {"lat": "31.2304", "lon": "121.4737", "title": "柳岸花园", "content": "x"}}
    await qq.say(GROUP, 20001, place)
    (kept,) = await door.first()
    assert (kept.kind, kept.label) == (Kind.LOCATION, "柳岸花园")
    assert kept.lat is not None
    assert 31.231 < kept.lat < 31.234


async def test_who_hides_is_told_apart(qq: FakeQQ, door: Recorder) -> None:
    for number in (1, 2):
        hidden = {"id": number, "name": "某人", "flag": "f"}
        await qq.say(GROUP, 80000000, "楼道灯坏了", sub_type="anonymous", anonymous=hidden)
    kept = await door.first(2)
    assert [one.sender for one in kept] == ["anonymous-1", "anonymous-2"]


async def test_own_words_taken_back_and_anothers_removed(qq: FakeQQ, door: Recorder) -> None:
    await qq.recall(GROUP, 20001, 5, by=20009)
    await qq.recall(GROUP, 20001, 6)
    (kept,) = await door.first()
    assert (kept.kind, kept.recalls, kept.sender, kept.chat) == (Kind.RECALL, "6", "20001", "g-777")


async def test_a_group_that_the_town_does_not_name_is_not_kept(
    qq: FakeQQ, door: Recorder, known_group: Database
) -> None:
    await qq.say(888, 20001, "我家的事")
    await qq.say(GROUP, 20001, "一")
    assert [one.text for one in await door.first()] == ["一"]

    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code="g-888", kind=ChatKind.GROUP, name="北区"))
        bump(session, TOWN)

    known_group.tx(write)
    await qq.say(888, 20001, "二")
    assert [one.text for one in await door.first(2)] == ["一", "二"]


async def test_what_says_nothing_is_passed_over(qq: FakeQQ, door: Recorder) -> None:
    await qq.say(GROUP, 10001, "我自己说的")
    await qq.say(GROUP, 20001, {"type": "face", "data": {"id": "1"}})
    await qq.say(GROUP, 20001, "管理员已允许群内匿名聊天", sub_type="notice")
    await qq.event(post_type="notice", notice_type="group_increase", group_id=GROUP, user_id=20005)
    await qq.event(post_type="request", request_type="friend", user_id=20005)
    await qq.say(GROUP, 20001, "完")
    assert [one.text for one in await door.first()] == ["完"]


@pytest.mark.parametrize(
    "frame",
    [
        "{", "[]", "1", '"x"', "null", "[" * 5_000, json.dumps({"post_type": "message"}),
        json.dumps({"post_type": "message", "message_type": "group", "user_id": [], "group_id": 777}),
        json.dumps({"echo": {"deep": []}}), json.dumps({"post_type": {}, "echo": 1}),
        json.dumps(
            {"post_type": "message", "message_type": "private", "user_id": 1, "message_id": 1, "time": 10**18,
             "message": "x"}
        ),
        json.dumps(
            {"post_type": "message", "message_type": "private", "user_id": 1, "message_id": 1, "time": 1,
             "message": [{"type": "location", "data": {"lat": "north", "lon": "1"}}]}
        ),
        json.dumps({"post_type": "message", "message_type": "private", "user_id": True, "message": {}, "time": 1}),
    ],
)  # fmt: skip
async def test_rubbish_neither_breaks_the_connection_nor_is_kept(qq: FakeQQ, door: Recorder, frame: str) -> None:
    with capture_logs() as logs:
        await qq.raw(frame)
        await qq.say(GROUP, 20001, "还在")
        assert [one.text for one in await door.first()] == ["还在"]
    assert all(line["event"] in ("callback.refused",) for line in logs)


def mangled(chance: random.Random) -> str:
    """A good event with something in it put wrong, or no event at all."""
    values: list[Any] = [
        None,
        True,
        -1,
        10**30,
        1e308,
        "",
        "\x00",
        "９",
        "x" * 300,
        [],
        {},
        [[]],
        {"type": "text"},
        [None],
    ]
    if chance.random() < 0.2:
        return "".join(chr(chance.randrange(1, 0x3000)) for _ in range(chance.randrange(80)))
    event: dict[str, Any] = {
        "post_type": "message", "message_type": chance.choice(["group", "private"]), "message_id": chance.randrange(9),
        "user_id": 20001, "group_id": 888, "time": EPOCH, "sub_type": "normal", "anonymous": None, "sender": {},
        "message": [chance.choice([image("a"), at(1), reply(2), {"type": "location", "data": {}}])],
    }  # fmt: skip
    event["user_id"] = chance.choice([10001, 20001])
    for name in chance.sample(sorted(event), chance.randrange(1, 4)):
        event[name] = chance.choice(values)
    return json.dumps(event)


async def test_five_hundred_mangled_events(qq: FakeQQ, door: Recorder, known_group: Database) -> None:
    chance = random.Random(7)
    for _ in range(500):
        await qq.raw(mangled(chance))
    with capture_logs() as logs:
        await qq.say(GROUP, 20001, "还在")
        await so(lambda: bool(door.kept) and door.kept[-1].text == "还在")
    assert all(one.direct for one in door.kept[:-1]), "nothing of a group that the town does not name"
    assert not [line for line in logs if line["log_level"] in ("error", "critical")]


async def test_a_frame_that_is_too_big_ends_the_connection(qq: FakeQQ, channel: OneBot, door: Recorder) -> None:
    await qq.raw("x" * (2 * 1024 * 1024))
    assert await qq.closed() == 1009
    await so(lambda: not channel.ready)
    await qq.dial()
    await qq.say(GROUP, 20001, "又来了")
    assert [one.text for one in await door.first()] == ["又来了"]


async def test_what_the_database_cannot_take_is_held_in_order(qq: FakeQQ, door: Recorder) -> None:
    away = sa.exc.OperationalError("", {}, Exception())
    door.errors = [away, Busy(), away, away, away, away, away, away, away]
    for words in ("一", "二", "三"):
        await qq.say(GROUP, 20001, words)
    assert [one.text for one in await door.first(3)] == ["一", "二", "三"]


async def test_one_message_that_can_never_be_kept_does_not_stop_the_others(qq: FakeQQ, door: Recorder) -> None:
    door.errors = [ValueError("no")] * 6
    await qq.say(GROUP, 20001, "坏")
    await qq.say(GROUP, 20001, "好")
    with capture_logs() as logs:
        assert [one.text for one in await door.first()] == ["好"]
    assert "坏" not in str(logs)


# ---- what is said


async def test_an_answer_quotes_what_it_answers(known_group: Database, clock: HandClock) -> None:
    settings = OneBotSettings.model_validate({"token": TOKEN})
    channel = OneBot(settings, Ingest(known_group, clock=clock), known_group, clock)
    await channel.start()
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server, FakeQQ(str(server.make_url(PATH)), TOKEN) as qq:
        number = await qq.say(GROUP, 20001, "灯坏了")
        rows = sa.text("SELECT count(*) FROM inbox")
        await so(lambda: bool(known_group.tx(lambda session: session.connection().execute(rows).scalar_one())))
        first = await channel.send(out(trigger=str(number)), "k1")
        await channel.send(out("已派", trigger="999"), "k2")
        await channel.send(out("私下", chat="20001", trigger=str(number)), "k3")
        await channel.send(out("警", trigger=str(number), purpose=Purpose.ALERT), "k4")
        assert [(one.chat, one.text, one.quotes) for one in qq.shown] == [
            ("g-777", "收到", number), ("g-777", "已派", None), ("20001", "私下", None), ("g-777", "警", None),
        ]  # fmt: skip
        assert first == str(qq.shown[0].id)
    await channel.stop()


async def test_a_card_becomes_lines_and_no_word_becomes_a_code(qq: FakeQQ, channel: OneBot) -> None:
    card = Card(
        title="LS00042 电梯", facts=(("地点", "6幢"),), words="[CQ:at,qq=all]坏了",
        buttons=(Button(text="接单", action="accept:42"),),
    )  # fmt: skip
    await channel.send(out("请处理", card=card, ticket=42, purpose=Purpose.ALERT, chat="30001"), "k")
    (shown,) = qq.seen(30001)
    assert shown.text.splitlines() == ["请处理", "LS00042 电梯", "地点：6幢", "[CQ:at,qq=all]坏了", "回复“接单 42”"]
    assert [one["type"] for one in shown.message] == ["text"]


@pytest.mark.parametrize(("code", "final"), [(100, False), (1400, True), (1401, False), (1404, True), (1200, False)])
async def test_a_refusal_says_whether_another_try_can_help(qq: FakeQQ, channel: OneBot, code: int, final: bool) -> None:
    qq.refuse = [code]
    with pytest.raises(SendFailed) as failed:
        await channel.send(out(), "k")
    assert failed.value.final is final
    assert "秘密" not in str(failed.value)
    await channel.send(out(), "k")
    assert len(qq.shown) == 1


async def test_no_answer_is_uncertain(qq: FakeQQ, channel: OneBot) -> None:
    qq.silent = True
    with pytest.raises(Uncertain):
        await channel.send(out(), "k")


async def test_a_break_before_the_answer_is_uncertain(qq: FakeQQ, channel: OneBot) -> None:
    qq.silent = True
    sending = asyncio.create_task(channel.send(out(), "k"))
    await qq.until(lambda: bool(qq.actions))
    await qq.drop()
    with pytest.raises(Uncertain, match="broke"):
        await sending
    with pytest.raises(SendFailed, match="nobody"):
        await channel.send(out(), "k")


async def test_answers_find_their_questions_in_any_order(qq: FakeQQ, channel: OneBot) -> None:
    qq.silent = True
    one = asyncio.create_task(channel.send(out("一"), "k1"))
    two = asyncio.create_task(channel.send(out("二"), "k2"))
    await qq.until(lambda: len(qq.actions) == 2)
    echoes = {action["params"]["message"][0]["data"]["text"]: action["echo"] for action in qq.actions}
    for echo, number in (("strange", 7), (echoes["二"], 2), (echoes["一"], 1), (echoes["一"], 9)):
        await qq.raw(json.dumps({"status": "ok", "retcode": 0, "data": {"message_id": number}, "echo": echo}))
    assert (await one, await two) == ("1", "2")


@pytest.mark.parametrize("chat", ["g-", "g-x", "", "x", "g-g-7", "７", "1" * 30])
async def test_what_is_no_chat_is_given_up(qq: FakeQQ, channel: OneBot, chat: str) -> None:
    with pytest.raises(SendFailed) as failed:
        await channel.send(out(chat=chat), "k")
    assert failed.value.final
    assert qq.actions == []


# ---- coming and going


async def test_rows_wait_while_nobody_is_connected(
    known_group: Database, channel: OneBot, url: str, clock: HandClock
) -> None:
    numbered = [(f"k{i}", out(words)) for i, words in enumerate(("一", "二"))]
    known_group.tx(lambda session: outbox.put(session, numbered, clock()))
    sender = Sender(known_group, {NAME: channel}, clock)
    for _ in range(20):
        assert await sender.step() == 0
        clock.forward(hours=1)
    assert [(row.attempts, row.outcome) for row in _rows(known_group)] == [(0, ""), (0, "")]
    async with FakeQQ(url, TOKEN) as qq:
        await so(lambda: channel.ready)
        await qq.beat(online=False)
        await so(lambda: not channel.ready)
        assert channel.state == "offline"
        assert await sender.step() == 0
        await qq.beat()
        await so(lambda: channel.ready)
        while await sender.step():
            pass
        assert [one.text for one in qq.shown] == ["一", "二"]
    assert [(row.outcome, row.platform_id) for row in _rows(known_group)] == [(SENT, "1"), (SENT, "2")]
    await so(lambda: not channel.ready)
    assert channel.state == "waiting"


def _rows(db: Database) -> list[Outbox]:
    return db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(Outbox.id))))  # type: ignore[arg-type]


async def test_a_newer_connection_of_the_account_takes_over(
    qq: FakeQQ, url: str, channel: OneBot, door: Recorder
) -> None:
    async with FakeQQ(url, TOKEN) as newer:
        assert await qq.closed() == 1001
        await so(lambda: channel.ready)
        await channel.send(out("给新的"), "k")
        assert [one.text for one in newer.shown] == ["给新的"]
        assert qq.shown == []
        await newer.say(GROUP, 20001, "新的")
        assert [one.text for one in await door.first()] == ["新的"]


async def test_it_comes_back_after_a_clean_and_an_unclean_end(qq: FakeQQ, channel: OneBot, door: Recorder) -> None:
    for turn, end in enumerate((qq.hang_up, qq.drop), 1):
        await end()
        await so(lambda: not channel.ready)
        await qq.dial()
        await so(lambda: channel.ready)
        await qq.say(GROUP, 20001, f"第{turn}次")
        assert [one.text for one in await door.first(turn)][-1] == f"第{turn}次"


async def test_the_end_of_the_process_keeps_what_is_held(qq: FakeQQ, channel: OneBot, door: Recorder) -> None:
    door.errors = [Busy()] * 3
    await qq.say(GROUP, 20001, "最后一句")
    await so(lambda: len(door.errors) < 3)
    await channel.stop()
    assert [one.text for one in door.kept] == ["最后一句"]
    assert await qq.closed() == 1001
