"""Whoever writes to the callback addresses and is not the platform, or repeats what the platform said.

The same for all of them: a refusal that tells nothing, a word in the log without secrets, the metric counted, and
nothing changed in the database.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot import ingest
from bot.app import build
from bot.channels.security import DEPTH, signature_of
from config.settings import Settings
from handlers.town import Town
from models.base import metadata
from models.database import Database
from models.inbox import Inbox, read
from models.message import Incoming
from models.replay import Replay
from tests.bot.foes import OTHER_KEY, OTHER_TOKEN, Endpoint, Foe, endpoints
from tests.conftest import HandClock
from tests.engines import Keen
from tests.platform.harness import TestPlatform, platform
from tests.scenario.chat import Room, Scene

NAMES = ("wechat_mp", "wecom_bot", "wecom_app", "wecom_kf")
BODIES, AT_ONCE = 500, 25
# A letter that says nothing may leave its nonce; the others are what a channel notes by itself when it starts.
BESIDE = frozenset({"replay", "api_token", "pull"})
Browser = TestClient[web.Request, web.Application]
Log = list[Any]


@dataclass
class Siege:
    """One address under attack."""

    p: TestPlatform
    db: Database
    client: Browser
    endpoint: Endpoint
    log: Log
    turn: int = 0
    turned_away: int = 0

    @property
    def stamp(self) -> str:
        """Now, as the platform writes it."""
        return str(int(self.p.clock().timestamp()))

    async def post(self, query: dict[str, str], body: str | bytes, **headers: str) -> int:
        """Post a body; the status. Whatever is refused is refused in the same few words."""
        data = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        response = await self.client.post(self.endpoint.path, params=query, data=data, headers=headers)
        text = await response.text()
        assert response.status != 403 or text == "refused"
        self.turned_away += response.status == 403
        return response.status

    async def send(self, letter: str, *, nonce: str = "", stamp: str = "", **other: str) -> int:
        """Post a sealed letter. other: another token, key or receiver than the right one."""
        self.turn += 1
        return await self.post(*self.endpoint.sealed(letter, stamp or self.stamp, nonce or f"n{self.turn}", **other))

    def refused(self, why: str = "") -> float:
        """How many callbacks were refused here so far, for this reason or for any."""
        found = 0.0
        for metric in REGISTRY.collect():
            for one in metric.samples if metric.name == "linsheng_callbacks_refused" else ():
                labels = one.labels
                if one.name.endswith("_total") and labels["channel"] == self.endpoint.name:
                    found += one.value if why in ("", labels["why"]) else 0
        return found

    def kept(self) -> dict[str, int]:
        """Rows of each table."""

        def count(session: Any) -> dict[str, int]:
            tables = [table for table in metadata.sorted_tables if table.name not in BESIDE]
            return {one.name: session.scalar(sa.select(sa.func.count()).select_from(one)) for one in tables}

        return self.db.tx(count)

    def clean(self) -> None:
        """The log has no secret and no error, and each refusal of a callback with its word."""
        told = json.dumps(self.log, ensure_ascii=False, default=str)
        e, p = self.endpoint, self.p
        secrets = (e.token, e.key, p.app.secret, p.mp.secret, p.kf.secret, p.bot.secret, OTHER_TOKEN, OTHER_KEY)
        assert not [one for one in secrets if one in told]
        assert [one["event"] for one in self.log if one["log_level"] in ("error", "critical")] == []
        told_of = [one for one in self.log if one["event"] == "callback.refused"]
        assert all(one["channel"] == e.name and one["why"] and "exception" not in one for one in told_of)
        assert len(told_of) == self.turned_away


@pytest.fixture
def log() -> Iterator[Log]:
    with capture_logs() as found:
        yield found


def settings(p: TestPlatform, url: str, home: Path, **more: Any) -> Settings:
    """All channels with a callback address. more: of the deployment."""
    corp = {"corp_id": p.app.corp_id, "api_base": p.base}
    told = {
        "wechat_mp": {"token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
                      "api_base": p.base},
        "wecom_bot": {"mode": "webhook", "bot_id": p.bot.id, "token": p.bot.token, "aes_key": p.bot.aes_key,
                      "response_url": f"{p.base}/cgi-bin/aibot/response"},
        "wecom_app": corp | {"agent_id": p.app.agent_id, "secret": p.app.secret, "token": p.app.token,
                             "aes_key": p.app.aes_key},
        "wecom_kf": corp | {"secret": p.kf.secret, "token": p.kf.token, "aes_key": p.kf.aes_key,
                            "accounts": [p.kf.open_kfid]},
    }  # fmt: skip
    return Settings.model_validate({"home": home, "database_url": url, "secret_key": "of-the-tests"} | told | more)


@asynccontextmanager
async def besieged(db: Database, url: str, home: Path, name: str, log: Log) -> AsyncIterator[Siege]:
    async with platform() as p:
        app = build(settings(p, url, home), worker=False, clock=p.clock)
        async with TestClient(TestServer(app)) as client:
            (endpoint,) = [one for one in endpoints(p) if one.name == name]
            yield Siege(p, db, client, endpoint, log)


@pytest.fixture(params=NAMES)
async def siege(
    request: pytest.FixtureRequest, db: Database, db_url: str, tmp_path: Path, log: Log
) -> AsyncIterator[Siege]:  # fmt: skip
    async with besieged(db, db_url, tmp_path, request.param, log) as found:
        yield found


async def at_once(count: int, one: Any) -> list[int]:
    """So many requests, some of them beside each other."""
    found: list[int] = []
    for first in range(0, count, AT_ONCE):
        found += await asyncio.gather(*(one() for _ in range(first, min(count, first + AT_ONCE))))
    return found


# ---- random bodies


async def test_a_right_letter_gets_in(siege: Siege) -> None:
    """Else the tests below would prove nothing."""
    before = siege.kept()
    assert await siege.send(siege.endpoint.letter("3幢路灯不亮了", "42")) == 200
    assert siege.kept() != before or siege.endpoint.name == "wecom_kf"


async def test_rubbish_with_a_wrong_signature(siege: Siege) -> None:
    foe, dice = Foe(siege.endpoint, 1), random.Random(siege.endpoint.name)
    before, refused = siege.kept(), siege.refused()

    async def one() -> int:
        match dice.randrange(4):
            case 0:  # somebody who has guessed neither token nor key
                return await siege.send(foe.letter(), token=OTHER_TOKEN, key=OTHER_KEY)
            case 1:  # or who has one of them
                return await siege.send(foe.letter(), token=OTHER_TOKEN)
            case 2:  # a right signature, of another body
                query, _ = siege.endpoint.sealed(foe.letter(), siege.stamp, f"w{dice.random()}")
                return await siege.post(query, foe.body())
        query = {
            name: dice.choice(("", "x", siege.stamp, "0" * 40)) for name in ("msg_signature", "timestamp", "nonce")
        }
        return await siege.post(query, foe.body())

    assert set(await at_once(BODIES, one)) == {403}
    assert siege.refused() - refused == BODIES
    assert siege.kept() == before
    siege.clean()


async def test_rubbish_with_a_right_signature(siege: Siege) -> None:
    """Nobody has the key but the platform: what it says all the same is read as carefully."""
    foe = Foe(siege.endpoint, 2)
    before, refused = siege.kept(), siege.refused()
    statuses = await at_once(BODIES, lambda: siege.send(foe.letter()))
    assert set(statuses) <= {200, 403}
    assert statuses.count(403) > BODIES / 2
    assert siege.refused() - refused >= statuses.count(403)
    assert siege.kept() == before
    siege.clean()


async def test_rubbish_instead_of_a_handshake(siege: Siege) -> None:
    dice = random.Random(siege.endpoint.name)
    names = ("signature", "msg_signature", "timestamp", "nonce", "echostr")
    for _ in range(100):
        query = {name: dice.choice(("", "x", siege.stamp, "a" * 40, "é😀", "%00")) for name in names}
        response = await siege.client.get(siege.endpoint.path, params=query)
        assert (response.status, await response.text()) == (403, "refused")
        siege.turned_away += 1
    siege.clean()


# ---- what is said again, late, or to somebody else


async def test_a_nonce_that_comes_again_with_another_message(siege: Siege, db_url: str, tmp_path: Path) -> None:
    letter = siege.endpoint.letter
    assert await siege.send(letter("3幢路灯不亮了", "42"), nonce="once") == 200
    before, refused = siege.kept(), siege.refused("replay")
    assert await siege.send(letter("3幢路灯不亮了", "42"), nonce="once") == 200  # the platform itself, trying again
    assert await siege.send(letter("5幢也是", "43"), nonce="once") == 403
    # Another process of the deployment knows it as well.
    app = build(settings(siege.p, db_url, tmp_path), worker=False, clock=siege.p.clock)
    async with TestClient(TestServer(app)) as client:
        siege.client = client
        assert await siege.send(letter("5幢也是", "44"), nonce="once") == 403
    assert siege.refused("replay") - refused == 2
    assert siege.kept() == before
    siege.clean()


@pytest.mark.parametrize("siege", ["wechat_mp", "wecom_bot", "wecom_app"], indirect=True)  # they keep what they hear
async def test_what_is_not_kept_leaves_no_nonce(siege: Siege, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> int:
        raise sa.exc.OperationalError("away", {}, Exception())

    def nonces() -> int:
        return siege.db.tx(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Replay)) or 0)

    letter = siege.endpoint.letter("3幢路灯不亮了", "42")
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "receive", away)
        assert await siege.send(letter, nonce="once") == 503
    assert (nonces(), siege.kept()["inbox"]) == (0, 0)
    assert await siege.send(letter, nonce="once") == 200
    assert (nonces(), siege.kept()["inbox"]) == (1, 1)


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 400])
async def test_a_letter_of_another_time(siege: Siege, minutes: int) -> None:
    before, refused = siege.kept(), siege.refused("stale")
    stamp = str(int(siege.p.clock().timestamp()) + minutes * 60)
    assert await siege.send(siege.endpoint.letter("3幢路灯不亮了", "42"), stamp=stamp) == 403
    assert (siege.refused("stale") - refused, siege.kept()) == (1, before)


async def test_a_letter_to_somebody_else(siege: Siege) -> None:
    before, refused = siege.kept(), siege.refused("receiver")
    letter = siege.endpoint.letter("3幢路灯不亮了", "42")
    if siege.endpoint.name == "wecom_bot":  # its receiver is always empty: the bot's id stands in the letter
        letter = letter.replace(siege.p.bot.id, "another-bot")
        assert await siege.send(letter) == 403
    else:
        assert await siege.send(letter, receiver="wxsomebodyelse") == 403
    assert (siege.refused("receiver") - refused, siege.kept()) == (1, before)


# ---- bombs


async def test_bombs_inside(siege: Siege) -> None:
    before = siege.kept()
    for name, (letter, why) in siege.endpoint.bombs().items():
        refused = siege.refused(why)
        assert await siege.send(letter) == 403, name
        assert siege.refused(why) - refused == 1, name
    assert siege.kept() == before
    siege.clean()


async def test_bombs_outside(siege: Siege) -> None:
    """Nothing of them is even read when the signature is not right."""
    before = siege.kept()
    for name, (body, _) in siege.endpoint.bombs().items():
        query = {"msg_signature": "0" * 40, "timestamp": siege.stamp, "nonce": name}
        query["signature"] = signature_of(siege.endpoint.token, siege.stamp, name)
        assert await siege.post(query, body) == 403, name
    assert siege.kept() == before
    siege.clean()


async def test_giants(siege: Siege) -> None:
    before, refused = siege.kept(), siege.refused()
    query, body = siege.endpoint.sealed(siege.endpoint.letter("啊", "42") + " " * 80_000, siege.stamp, "giant")
    assert len(body) > 64 * 1024
    assert await siege.post(query, body) == 403
    assert await siege.post(query, b"\x1f\x8b" + b"\0" * 64, **{"Content-Encoding": "br"}) in (400, 403)
    assert await siege.post(query, b"\xff\xfe<xml/>") == 403
    assert await siege.post(query, "<a>" * (DEPTH + 2)) == 403
    assert siege.kept() == before
    assert siege.refused() - refused >= 3
    siege.clean()


# ---- what only some of them have


async def test_a_forged_scene_says_nothing(db: Database, db_url: str, tmp_path: Path, log: Log) -> None:
    """A code that hangs in no stairway of ours: who scans it is welcome, and gets no home by it."""
    async with besieged(db, db_url, tmp_path, "wechat_mp", log) as siege:
        refused = siege.refused("scene")
        for number, key in enumerate(("place:P-LA-B03", "qrscene_grid:QX-01", "code:12345678", "a" * 64, "\u202e1")):
            assert await siege.send(
                f"<xml><ToUserName>gh_1</ToUserName><FromUserName>o-{number}</FromUserName><CreateTime>{siege.stamp}"
                f"</CreateTime><MsgType>event</MsgType><Event>SCAN</Event><EventKey>{key}</EventKey></xml>"
            ) == 200  # fmt: skip
        assert siege.refused("scene") - refused == 5
        assert [one.platform for one in heard(db)] == []
        siege.clean()


async def test_a_response_url_that_points_elsewhere_is_dropped(
    db: Database, db_url: str, tmp_path: Path, log: Log
) -> None:
    async with besieged(db, db_url, tmp_path, "wecom_bot", log) as siege:
        refused = siege.refused("response_url")
        right = f"{siege.p.base}/cgi-bin/aibot/response?response_code=CODE"
        wrong = ("https://evil.example/cgi-bin/aibot/response?response_code=CODE", f"{siege.p.base}@evil.example/",
                 f"{siege.p.base}/cgi-bin/aibot/response/../../x?response_code=CODE", "file:///etc/passwd",
                 "http://169.254.169.254/latest/meta-data")  # fmt: skip
        for number, url in enumerate((right, *wrong)):
            letter = json.loads(siege.endpoint.letter("3幢路灯不亮了", f"m{number}")) | {"response_url": url}
            assert await siege.send(json.dumps(letter)) == 200
        assert siege.refused("response_url") - refused == len(wrong)
        assert [one.platform.get("response_url", "") for one in heard(db)] == [right, *[""] * len(wrong)]
        assert "evil" not in json.dumps(log, default=str)


def heard(db: Database) -> list[Incoming]:
    """Whatever got in, oldest first."""
    rows = sa.select(Inbox).order_by(Inbox.id)  # type: ignore[arg-type]
    return [read(row) for row in db.tx(lambda session: session.scalars(rows).all())]


# ---- presses


@pytest.fixture
def chat(town_db: Database, demo_town: Town, clock: HandClock) -> Scene:
    return Scene(town_db, demo_town, Keen(), clock)


@pytest.mark.parametrize("channel", ["web", "wecom_bot", "wecom_app", "wechat_mp", "wecom_kf", "onebot"])
def test_a_strangers_press_changes_nothing(chat: Scene, channel: str) -> None:
    """A key is no secret: it stands on every card, and numbers can be counted."""
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "6幢2单元楼道灯不亮了")
    ticket = chat.ticket()
    before = (ticket.status, ticket.worker, ticket.row.rating, ticket.messages)
    strange = Room(chat, channel, "x-外面的人", direct=True)
    keys = [f"{name}:{ticket.id}" for name in ("accept", "arrive", "done", "dismiss", "transfer", "rate", "urgent")]
    for key in (
        *keys,
        "done:0",
        "done:-1",
        "done:9" + "9" * 30,
        "done:1:rm -rf",
        "sensitive:1:off",
        "place:1:P-LA-B01",
    ):
        said = len(chat.lines())
        pressed = chat.deliver(strange, "外面的人", action=key)
        assert chat.outcome(pressed) == "refused"
        assert not [line.text for line in chat.lines()[said:] if "6幢" in line.text or "柳岸花园" in line.text]
    assert (ticket.status, ticket.worker, ticket.row.rating, ticket.messages) == before
    assert len(chat.tickets()) == 1
    assert set(ticket.events) <= {"opened", "assigned", "refused"}
