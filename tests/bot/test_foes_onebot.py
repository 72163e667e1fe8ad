"""Whoever dials OneBot's socket and is not the implementation, and an implementation that has gone mad.

There is no letter here and no signature: the token is asked once, at the door, and then a frame is a frame. So rubbish
behind the right token must neither end the connection, nor keep the next message waiting, nor get into the database.
"""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot.app import PROCESS, build
from bot.channels.onebot import NAME, PATH, OneBot
from bot.channels.onebot.channel import FRAME_BYTES
from config.settings import Settings
from models.chat import Chat, ChatKind
from models.database import Database
from models.fetching import Fetching
from models.inbox import Inbox, read
from models.mark import TOWN, bump
from models.message import Incoming
from tests.bot.foes import WORDS
from tests.conftest import HandClock
from tests.onebot.fake import EPOCH, FakeQQ, at, image, reply, so, text

TOKEN, GROUP, FRAMES = "a-token-of-32-characters-at-least", 777, 500
VALUES: tuple[Any, ...] = (
    *WORDS, None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "\udc80", "a\x00b", "９", "x" * 300, [], {},
    [[]], {"type": "text"}, [None], {"type": [], "data": 1},
)  # fmt: skip
BESIDE = (image("a"), at(1), reply(2), {"type": "location", "data": {}})
Log = list[Any]


class Siege:
    """The whole application with the one socket, and what it has kept."""

    def __init__(self, db: Database, client: TestClient[web.Request, web.Application], log: Log) -> None:
        self.client = client
        self.url = str(client.make_url(PATH)).replace("http", "ws", 1)
        self.log = log
        self._db = db

    @property
    def channel(self) -> OneBot:
        """As it runs in the application."""
        found = self.client.server.app[PROCESS].channels[NAME]  # type: ignore[attr-defined]
        assert isinstance(found, OneBot)
        return found

    def heard(self) -> list[Incoming]:
        """Whatever got in, oldest first."""
        rows = sa.select(Inbox).order_by(Inbox.id)  # type: ignore[arg-type]
        return [read(row) for row in self._db.tx(lambda session: session.scalars(rows).all())]

    def files(self) -> int:
        """How many messages' files are to be fetched."""
        count = sa.select(sa.func.count()).select_from(Fetching)
        return int(self._db.tx(lambda session: session.scalar(count)) or 0)

    async def goes_on(self, qq: FakeQQ, words: str = "还在") -> None:
        """A message said now is heard, behind whatever was said before it."""
        before = sum(one.text == words for one in self.heard())
        await qq.say(GROUP, 20001, words)
        await so(lambda: sum(one.text == words for one in self.heard()) > before)

    def clean(self) -> None:
        """No secret in the log, no error, and nothing of what a foe wrote."""
        told = json.dumps(self.log, ensure_ascii=False, default=str)
        assert TOKEN not in told
        assert [one["event"] for one in self.log if one["log_level"] in ("error", "critical")] == []
        refusals = [one for one in self.log if one["event"] in ("callback.refused", "onebot.refused")]
        assert all(set(one) <= {"event", "log_level", "channel", "why"} for one in refusals)


def refused(why: str = "") -> float:
    """How many dials and frames were refused here so far, for this reason or for any."""
    found = 0.0
    for metric in REGISTRY.collect():
        for one in metric.samples if metric.name == "linsheng_callbacks_refused" else ():
            if one.name.endswith("_total") and one.labels["channel"] == NAME and why in ("", one.labels["why"]):
                found += one.value
    return found


@asynccontextmanager
async def besieged(db: Database, url: str, home: Path, clock: HandClock) -> AsyncIterator[Siege]:
    def write(session: Any) -> None:
        session.add(Chat(channel=NAME, code=f"g-{GROUP}", kind=ChatKind.GROUP, name="南区"))
        bump(session, TOWN)

    db.tx(write)
    settings = Settings.model_validate(
        {"home": home, "database_url": url, "secret_key": "of-the-tests", "onebot": {"token": TOKEN}}
    )
    with capture_logs() as log:
        app = build(settings, worker=False, clock=clock)
        async with TestClient(TestServer(app)) as client:
            yield Siege(db, client, log)


@pytest.fixture
async def siege(db: Database, db_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Siege]:
    async with besieged(db, db_url, tmp_path, clock) as found:
        yield found


@pytest.fixture
async def qq(siege: Siege) -> AsyncIterator[FakeQQ]:
    async with FakeQQ(siege.url, TOKEN) as found:
        await so(lambda: siege.channel.ready)
        yield found


def event(chance: random.Random, number: int) -> dict[str, Any]:
    """What an implementation may send: a message, a recall, a pulse, an answer that nobody waits for."""
    told: dict[str, Any] = {
        "post_type": "message", "message_type": chance.choice(["group", "private"]), "message_id": number,
        "user_id": 20001, "group_id": GROUP, "time": EPOCH, "sub_type": "normal", "anonymous": None, "self_id": 10001,
        "sender": {"user_id": 20001, "nickname": "春芽"},
        "message": [text("3幢路灯不亮了"), chance.choice(BESIDE)],
    }  # fmt: skip
    recall = {"notice_type": "group_recall", "operator_id": 20001}
    pulse = {"meta_event_type": "heartbeat", "status": {"online": True, "good": True}}
    return chance.choice(
        (told, told, told | {"post_type": "notice"} | recall, told | {"post_type": "meta_event"} | pulse,
         {"status": "ok", "retcode": 0, "data": {"message_id": 1}, "echo": "1-0"})
    )  # fmt: skip


def spoiled(value: Any, chance: random.Random) -> Any:
    """The same with one thing put wrong, somewhere in it."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        return value | {name: spoiled(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        return [*value[:-1], spoiled(value[-1], chance)]
    return chance.choice(VALUES)


def frame(chance: random.Random, number: int) -> str:
    """Noise, a right event cut short, or one with up to three things put wrong."""
    kind = chance.randrange(6)
    if kind == 0:
        return "".join(chr(chance.randrange(1, 0x3000)) for _ in range(chance.randrange(80)))
    whole = event(chance, number)
    if kind == 1:
        raw = json.dumps(whole)
        return raw[: chance.randrange(len(raw))]
    for _ in range(chance.randrange(1, 4)):
        whole = spoiled(whole, chance)
        if not isinstance(whole, dict):
            break
    return json.dumps(whole)


# ---- at the door


async def test_five_hundred_who_have_not_the_token(siege: Siege, qq: FakeQQ) -> None:
    """All the while the right one stays connected: a guess does not throw it out."""
    dice, before = random.Random(11), refused("token")
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "X-Self-ID": "10001"}  # fmt: skip
    guesses = ("", "Bearer", "Bearer ", f"bearer {TOKEN}", f"Bearer  {TOKEN}", f"Bearer {TOKEN}x",
               f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer 你好", "Bearer \udcff",
               "Bearer " + "a" * 4_000)  # fmt: skip
    for _ in range(FRAMES):
        noise = "".join(chr(33 + dice.randrange(90)) for _ in range(dice.randrange(1, 60)))
        given = dice.choice((*guesses, noise, f"Bearer {noise}"))
        headers = upgrade | ({"Authorization": given} if given else {})
        response = await siege.client.get(PATH, headers=headers, params={"access_token": TOKEN})
        assert response.status in (401, 403)
        assert TOKEN not in await response.text()
    assert refused("token") - before == FRAMES
    await siege.goes_on(qq)
    assert len(siege.heard()) == 1
    siege.clean()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Self-ID": ""}, {"X-Self-ID": "１０００１"}, {"X-Self-ID": "1" * 21}, {"X-Self-ID": "../10001"},
        {"X-Client-Role": "API"}, {"X-Self-ID": "20002"}, {"Sec-WebSocket-Version": "99"},
    ],
)  # fmt: skip
async def test_the_token_alone_is_not_enough(siege: Siege, qq: FakeQQ, headers: dict[str, str]) -> None:
    told = {"Authorization": f"Bearer {TOKEN}", "X-Self-ID": "10001", "Connection": "Upgrade", "Upgrade": "websocket"}
    response = await siege.client.get(PATH, headers=told | headers)
    assert 400 <= response.status < 500
    await siege.goes_on(qq)
    siege.clean()


async def test_other_ways_to_knock(siege: Siege, qq: FakeQQ) -> None:
    """Bodies are not read here, and a plain request by whoever has the token opens nothing."""
    told = {"Authorization": f"Bearer {TOKEN}", "X-Self-ID": "10001"}
    assert (await siege.client.post(PATH, data="x" * 100_000, headers=told)).status == 405
    assert (await siege.client.get(PATH, headers=told)).status == 400
    await siege.goes_on(qq)
    siege.clean()


# ---- behind it


async def test_rubbish_behind_the_right_token(siege: Siege, qq: FakeQQ) -> None:
    dice, before = random.Random(12), refused()
    for number in range(1_000, 1_000 + FRAMES):
        await qq.raw(frame(dice, number))
    await siege.goes_on(qq)
    assert refused() - before > FRAMES / 5
    assert len(siege.heard()) < FRAMES
    assert all(one.chat in (f"g-{GROUP}", one.sender) for one in siege.heard())
    assert all(one.id.isprintable() and "\x00" not in one.text for one in siege.heard())
    siege.clean()


@pytest.mark.parametrize(
    ("bomb", "why"),
    [
        ("[" * 20_000, "depth"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "depth"),
        ('{"echo":' + "[" * 900 + "]" * 900 + "}", "depth"),
        ('{"post_type":"message","post_type":"notice"}', "malformed"),
        ('{"echo":NaN}', "malformed"),
        ('{"echo":' + "9" * 20_000 + "}", "malformed"),
        ('"' + "a" * 100_000 + '"', "malformed"),
    ],
)
async def test_bombs(siege: Siege, qq: FakeQQ, bomb: str, why: str) -> None:
    before = refused(why)
    await qq.raw(bomb)
    await siege.goes_on(qq)
    assert refused(why) - before == 1
    assert len(siege.heard()) == 1
    siege.clean()


async def test_a_giant_ends_the_connection_and_not_the_process(siege: Siege, qq: FakeQQ) -> None:
    await qq.raw("x" * (FRAME_BYTES + 1))
    assert await qq.closed() == 1009
    await so(lambda: not siege.channel.ready)
    await qq.dial()
    await siege.goes_on(qq)
    siege.clean()


@pytest.mark.parametrize("number", ["\x00", "\udc80", "x" * 101, "", None, True, 1.5, [], {}])
async def test_an_id_that_no_database_takes_holds_nobody_up(siege: Siege, qq: FakeQQ, number: Any) -> None:
    """What the database refuses would be tried again and again, with all others waiting behind it."""
    before = refused("malformed")
    await qq.say(GROUP, 20001, "3幢路灯不亮了", message_id=number)
    await siege.goes_on(qq)
    assert refused("malformed") - before == 1
    assert len(siege.heard()) == 1
    siege.clean()


async def test_signs_that_no_database_takes_are_left_out(siege: Siege, qq: FakeQQ) -> None:
    """PostgreSQL keeps no NUL."""
    picture = {"type": "image", "data": {"file": "a\x00.jpg", "url": "https://gchat.qpic.cn/a\x00"}}
    quote = {"type": "reply", "data": {"id": "7\x00"}}
    await qq.say(GROUP, 20001, "3幢\x00路灯不亮了", picture, at("2000\x002"), quote, message_id="a\x00b")
    await siege.goes_on(qq)
    told = siege.heard()[0]
    assert "\\u0000" not in told.model_dump_json()
    assert told.text.startswith("3幢路灯不亮了")
    assert siege.files() == 1
    siege.clean()


async def test_what_is_said_again_is_one_message(siege: Siege, qq: FakeQQ) -> None:
    """An implementation that comes back repeats what it is not sure of; so may whoever taped the line."""
    number = await qq.say(GROUP, 20001, "3幢路灯不亮了", image("a"))
    for words in ("3幢路灯不亮了", "3幢路灯不亮了", "别的话"):
        await qq.say(GROUP, 20001, words, image("a"), message_id=number)
    await qq.drop()
    await so(lambda: not siege.channel.ready)
    await qq.dial()
    await qq.say(GROUP, 20001, "3幢路灯不亮了", image("a"), message_id=number)
    await siege.goes_on(qq)
    assert [one.text for one in siege.heard()] == ["3幢路灯不亮了", "还在"]
    assert siege.files() == 1
    siege.clean()
