"""The Official Account's callback address."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import ClientResponse, web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.security import Vault, signature_of
from bot.channels.wechat_mp import PATH, OfficialAccount
from bot.ingest import Busy, Ingest, Once
from config.settings import OfficialAccountSettings
from models.base import metadata
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Kind

TOKEN, KEY, APP = "a-token", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
NOW = datetime(2026, 3, 2, 7, 31, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))
SETTINGS = OfficialAccountSettings.model_validate(
    {"token": TOKEN, "aes_key": KEY, "app_id": APP, "app_secret": "a-secret"}
)


class Recorder(Ingest):
    """An inbox that only remembers, or fails with `error`."""

    def __init__(self) -> None:
        self.kept: list[Incoming] = []
        self.error: Exception | None = None

    async def accept(self, message: Incoming, once: Once | None = None) -> None:
        if self.error is not None:
            raise self.error
        self.kept.append(message)


def xml(kind: str = "text", message: int | None = 1, **fields: object) -> str:
    values = {"ToUserName": "gh_1", "FromUserName": "o-阿杰", "CreateTime": SECONDS, "MsgType": kind} | fields
    if message is not None:
        values["MsgId"] = message
    return "<xml>" + "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in values.items()) + "</xml>"


class Sender:
    """The platform's side: seals letters and posts them."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client
        self.turn = 0

    async def __call__(
        self, letter: str, *, app: str = APP, timestamp: str = SECONDS, nonce: str = "", signature: str = ""
    ) -> ClientResponse:
        self.turn += 1
        nonce = nonce or f"n{self.turn}"
        encrypted, right = Vault(TOKEN, KEY, app).seal(letter, timestamp, nonce)
        query = {"signature": signature_of(TOKEN, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
        query |= {"openid": "o", "encrypt_type": "aes", "msg_signature": signature or right}
        body = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        return await self.client.post(PATH, params=query, data=body.encode())


@pytest.fixture
def inbox() -> Recorder:
    return Recorder()


@pytest.fixture
def account(inbox: Recorder) -> OfficialAccount:
    return OfficialAccount(SETTINGS, inbox, lambda: NOW)


@pytest.fixture
async def post(account: OfficialAccount, aiohttp_client: AiohttpClient) -> Sender:
    app = web.Application()
    app.add_routes(account.routes())
    return Sender(await aiohttp_client(app))


def refusals(why: str) -> float:
    return REGISTRY.get_sample_value("linsheng_callbacks_refused_total", {"channel": "wechat_mp", "why": why}) or 0.0


# ---- the handshake


async def test_the_handshake_gives_the_echo_back_raw(post: Sender) -> None:
    query = {"signature": signature_of(TOKEN, SECONDS, "9"), "timestamp": SECONDS, "nonce": "9", "echostr": "55512"}
    response = await post.client.get(PATH, params=query)
    assert (response.status, await response.read(), response.content_type) == (200, b"55512", "text/plain")


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": "0" * 40},
        {"nonce": "8"},
        {"echostr": "<script>"},
        {"echostr": ""},
        {"timestamp": str(int(SECONDS) - 400), "signature": signature_of(TOKEN, str(int(SECONDS) - 400), "9")},
    ],
)
async def test_a_wrong_handshake_is_refused(post: Sender, wrong: dict[str, str]) -> None:
    query = {"signature": signature_of(TOKEN, SECONDS, "9"), "timestamp": SECONDS, "nonce": "9", "echostr": "55512"}
    response = await post.client.get(PATH, params=query | wrong)
    assert (response.status, await response.text()) == (403, "refused")
    assert (await post.client.get(PATH)).status == 403


# ---- each kind of message


async def test_a_text(post: Sender, inbox: Recorder) -> None:
    response = await post(xml(message=2**63, Content="3栋电梯又坏了😀 <b> & ]"))
    assert (response.status, await response.read()) == (200, b"")
    (kept,) = inbox.kept
    assert (kept.id, kept.chat, kept.sender, kept.channel) == (str(2**63), "o-阿杰", "o-阿杰", "wechat_mp")
    assert (kept.kind, kept.direct, kept.sent_at, kept.text) == (Kind.TEXT, True, NOW, "3栋电梯又坏了😀 <b> & ]")


async def test_a_picture(post: Sender, inbox: Recorder) -> None:
    await post(xml("image", PicUrl="https://mmbiz.qpic.cn/1", MediaId="m1"))
    (media,) = inbox.kept[0].media
    assert (inbox.kept[0].kind, media.url, media.platform_id) == (Kind.IMAGE, "https://mmbiz.qpic.cn/1", "m1")


@pytest.mark.parametrize("heard", ["楼道灯坏了", None])
async def test_a_voice(post: Sender, inbox: Recorder, heard: str | None) -> None:
    await post(xml("voice", MediaId="m2", Format="amr", Recognition=heard or ""))
    kept = inbox.kept[0]
    assert (kept.kind, kept.text, kept.media[0].platform_id, kept.media[0].mime) == (
        Kind.VOICE,
        heard or "",
        "m2",
        "audio/amr",
    )


@pytest.mark.parametrize("kind", ["video", "shortvideo"])
async def test_a_video(post: Sender, inbox: Recorder, kind: str) -> None:
    await post(xml(kind, MediaId="m3", ThumbMediaId="t3"))
    kept = inbox.kept[0]
    assert (kept.kind, kept.media[0].platform_id, kept.platform) == (Kind.VIDEO, "m3", {"thumb_media_id": "t3"})


async def test_a_place_is_stored_in_wgs84(post: Sender, inbox: Recorder) -> None:
    await post(xml("location", Location_X="31.2304", Location_Y="121.4737", Scale="16", Label="柳岸花园"))
    kept = inbox.kept[0]
    assert (kept.lon, kept.lat) == wgs84_from_gcj02(121.4737, 31.2304)
    assert kept.lat is not None
    assert 31.23 < kept.lat < 31.24
    assert (kept.kind, kept.label) == (Kind.LOCATION, "柳岸花园")


async def test_a_link(post: Sender, inbox: Recorder) -> None:
    await post(xml("link", Title="停水通知", Description="", Url="https://a.example/1"))
    assert (inbox.kept[0].kind, inbox.kept[0].text) == (Kind.TEXT, "停水通知\nhttps://a.example/1")


@pytest.mark.parametrize(
    "letter",
    [
        xml("event", None, Event="unsubscribe", EventKey=""),
        xml("event", None, Event="SCAN", EventKey="7"),
        xml("event", None, Event="CLICK", EventKey="report"),
        xml("event", None, Event="LOCATION", Latitude="31", Longitude="121"),
        xml("event", None, Event="TEMPLATESENDJOBFINISH", Status="success"),
        xml("event", None, Event="an_event_of_next_year"),
        xml("miniprogrampage", Title="x"),
        xml("a_kind_of_next_year"),
    ],
)
async def test_events_and_unknown_kinds_are_acknowledged_only(post: Sender, inbox: Recorder, letter: str) -> None:
    response = await post(letter)
    assert (response.status, await response.read(), inbox.kept) == (200, b"", [])


# ---- trying again, and replays


async def test_the_platform_may_come_again(post: Sender, inbox: Recorder) -> None:
    for nonce in ("same", "same", "fresh"):
        assert (await post(xml(Content="停水"), nonce=nonce)).status == 200
    assert {message.dedup_key for message in inbox.kept} == {"wechat_mp:o-阿杰:1"}


async def test_a_retry_is_one_row_in_the_real_inbox(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    db = Database(f"sqlite:///{tmp_path}/inbox.db")
    metadata.create_all(db.engine)
    ingest = Ingest(db)
    app = web.Application()
    app.add_routes(OfficialAccount(SETTINGS, ingest, lambda: NOW).routes())
    post = Sender(await aiohttp_client(app))
    for nonce in ("same", "same", "fresh"):
        assert (await post(xml(Content="停水"), nonce=nonce)).status == 200
    assert (await post(xml(message=2, Content="又来了"))).status == 200
    await ingest.drain()
    with db.engine.connect() as connection:
        assert connection.scalars(sa.select(Inbox.message).order_by(Inbox.id)).all() == ["1", "2"]  # type: ignore[call-overload]
    db.close()


async def test_another_message_under_a_used_nonce_is_refused(post: Sender, inbox: Recorder) -> None:
    before = refusals("replay")
    assert (await post(xml(message=1), nonce="used")).status == 200
    assert (await post(xml(message=2), nonce="used")).status == 403
    assert (await post(xml("event", None, Event="SCAN"), nonce="used")).status == 403
    assert (len(inbox.kept), refusals("replay") - before) == (1, 2)


@pytest.mark.parametrize("error", [Busy("full"), sa.exc.OperationalError("x", None, Exception("disk full"))])
async def test_what_is_not_kept_is_not_acknowledged(post: Sender, inbox: Recorder, error: Exception) -> None:
    inbox.error = error
    assert (await post(xml(Content="停水"), nonce="n")).status == 503
    inbox.error = None
    assert (await post(xml(Content="停水"), nonce="n")).status == 200
    assert len(inbox.kept) == 1


# ---- what is refused


async def test_refusals_are_counted_and_logged_without_their_content(post: Sender, inbox: Recorder) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha">]><xml><MsgType>&a;</MsgType></xml>'
    later = str(int(SECONDS) + 301)
    letters: list[tuple[str, Callable[[], Awaitable[ClientResponse]]]] = [
        ("receiver", lambda: post(xml(Content="geheim"), app="wx-another")),
        ("stale", lambda: post(xml(Content="geheim"), timestamp=later)),
        ("signature", lambda: post(xml(Content="geheim"), signature="0" * 40)),
        ("markup", lambda: post(bomb)),
        ("depth", lambda: post("<xml>" + "<a>" * 50 + "</a>" * 50 + "</xml>")),
        ("size", lambda: post(xml(Content="geheim" * 12_000))),
        ("plaintext", lambda: post.client.post(PATH, data=xml(Content="geheim").encode())),
        ("encoding", lambda: post.client.post(PATH, data=b"<xml>\xff</xml>")),
    ]
    for why, post_it in letters:
        before = refusals(why)
        with capture_logs() as logs:
            response = await post_it()
        assert (why, response.status, await response.text()) == (why, 403, "refused")
        assert refusals(why) == before + 1
        assert [(line["event"], line["why"]) for line in logs] == [("callback.refused", why)]
        for secret in ("geheim", TOKEN, KEY, "a-secret"):
            assert secret not in repr(logs)
    assert inbox.kept == []


@pytest.mark.parametrize(
    "letter",
    [
        xml(message=None),
        xml(message=0),
        xml(message=-5),
        xml().replace("<![CDATA[1]]>", "one"),
        xml(CreateTime=""),
        xml(CreateTime="9" * 30),
        xml(FromUserName=""),
        xml(FromUserName="o" * 129),
        xml().replace("<MsgId>", "<MsgId>2</MsgId><MsgId>"),
        xml().replace("</xml>", "<Content><b>x</b></Content></xml>"),
        xml("location", Location_X="nan", Location_Y="121"),
        xml("location", Location_X="91", Location_Y="1"),
        xml("location", Location_X="inf", Location_Y="inf"),
        xml("location", Location_X="", Location_Y=""),
        xml().replace("<![CDATA[text]]>", "<a/>"),
        xml("newkind", CreateTime="x"),
        "<xml/>",
        "<other/>",
        "text",
    ],
)
async def test_a_signed_letter_of_a_wrong_shape(post: Sender, inbox: Recorder, letter: str) -> None:
    response = await post(letter)
    assert (response.status, inbox.kept) == (403, [])


async def test_three_hundred_random_bodies_store_nothing(post: Sender, inbox: Recorder) -> None:
    dice = random.Random(5)
    good = xml(Content="停水").encode()
    for turn in range(300):
        if turn % 3 == 0:
            letter = dice.randbytes(dice.randrange(0, 400))
        else:  # a good letter, damaged
            damaged = bytearray(good)
            for _ in range(dice.randrange(1, 30)):
                damaged[dice.randrange(len(damaged))] = dice.choice(b"<>&![]\x00\xff/a")
            letter = bytes(damaged)
        encrypted = letter.decode("latin-1")
        if turn % 2:
            encrypted = "".join(dice.choices("ABCDabcd0189+/=", k=dice.randrange(0, 300)))
        query = {"timestamp": SECONDS, "nonce": f"r{turn}"}
        query["msg_signature"] = signature_of(TOKEN, *query.values(), encrypted) if turn % 4 < 2 else "0" * 40
        wrapped = f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
        body = letter if turn % 5 == 0 else wrapped
        response = await post.client.post(PATH, params=query, data=body)
        assert response.status == 403
    assert inbox.kept == []


async def test_damaged_letters_inside_a_right_envelope_never_give_a_500(post: Sender) -> None:
    dice = random.Random(6)
    good = xml("location", Location_X="31.2", Location_Y="121.4", Label="x")
    for _ in range(300):
        damaged = list(good)
        for _ in range(dice.randrange(1, 6)):
            damaged[dice.randrange(len(damaged))] = dice.choice("<>&![]/a19.-é")
        assert (await post("".join(damaged))).status in (200, 403)


def test_missing_settings_are_named(inbox: Recorder) -> None:
    with pytest.raises(ValueError, match="aes_key, app_id, app_secret"):
        OfficialAccount(OfficialAccountSettings.model_validate({"token": "t"}), inbox)


async def test_a_clock_far_away_refuses_all(inbox: Recorder, aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    app.add_routes(OfficialAccount(SETTINGS, inbox, lambda: NOW + timedelta(days=1)).routes())
    assert (await Sender(await aiohttp_client(app))(xml())).status == 403
