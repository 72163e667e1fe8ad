"""What is heard by way of OneBot: people, rubbish, and what the database cannot take at once."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.onebot import NAME, OneBot
from bot.ingest import Busy
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Kind
from tests.onebot.conftest import GROUP, Recorder
from tests.onebot.fake import EPOCH, FakeQQ, at, image, record, reply, so, text


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
