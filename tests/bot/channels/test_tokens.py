"""One token for all processes, both kinds of it, and the calls beside `call`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session

from bot.channels import tokens
from bot.channels.api import ApiClient, ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.credentials import Credential, gettoken, robot_key, stable_token
from bot.channels.media import NotFetched
from models.apitoken import ApiToken
from models.database import Database
from tests.conftest import HandClock

SECRET = "s3cr3t-of-the-app"  # noqa: S105  invented
SEND = "/cgi-bin/message/send"


class Platform:
    """Plays qyapi.weixin.qq.com and api.weixin.qq.com."""

    def __init__(self) -> None:
        self.turn = 1
        self.fetches: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[dict[str, str]] = []
        self.wait = 0.0
        self.broken = False
        self.refusal = 0
        self.answer: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}
        self.media: web.Response | None = None

    async def token(self, request: web.Request) -> web.Response:
        self.fetches.append((request.method, dict(request.query) if request.method == "GET" else await request.json()))
        await asyncio.sleep(self.wait)
        if self.broken:
            return web.Response(status=500)
        if self.refusal:
            return web.json_response({"errcode": self.refusal, "errmsg": "no"})
        if self.fetches[-1][1].get("force_refresh"):
            self.turn += 1
        return web.json_response({"errcode": 0, "access_token": f"token-{self.turn}", "expires_in": 7200})

    async def send(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if request.query.get("access_token", f"token-{self.turn}") != f"token-{self.turn}":
            return web.json_response({"errcode": 42001, "errmsg": "expired"})
        return web.json_response(self.answer)

    async def get_media(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        assert self.media is not None
        return self.media


@pytest.fixture
async def platform() -> Platform:
    return Platform()


@pytest.fixture
async def base(platform: Platform) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", platform.token)
    app.router.add_get("/cgi-bin/gettoken", platform.token)
    app.router.add_post(SEND, platform.send)
    app.router.add_get(SEND, platform.send)
    app.router.add_get("/cgi-bin/media/get", platform.get_media)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


class Clients:
    """Makes clients, as processes would, and closes them."""

    def __init__(self, base: str, clock: HandClock) -> None:
        self.base, self.clock = base, clock
        self.made: list[ApiClient] = []

    async def __call__(self, credential: Credential, db: Database | None = None) -> ApiClient:
        client = ApiClient(self.base, credential, db=db, clock=self.clock, backoff=(0,), total_seconds=1.0)
        await client.start()
        self.made.append(client)
        return client


@pytest.fixture
async def clients(base: str, clock: HandClock) -> AsyncIterator[Clients]:
    made = Clients(base, clock)
    yield made
    for client in made.made:
        await client.stop()


def row(db: Database) -> ApiToken:
    def only(session: Session) -> ApiToken:
        return session.scalars(sa.select(ApiToken)).one()

    return db.tx(only)


@pytest.mark.parametrize("credential", [gettoken("ww1", SECRET), stable_token("wx1", SECRET)])
async def test_four_processes_fetch_one_token(
    db: Database, platform: Platform, clients: Clients, credential: Credential
) -> None:
    platform.wait = 0.05
    four = [await clients(credential, db) for _ in range(4)]
    await asyncio.gather(*(client.call(SEND, {}) for client in four for _ in range(5)))
    assert len(platform.fetches) == 1
    assert [query["access_token"] for query in platform.asked] == ["token-1"] * 20


async def test_gettoken_asks_as_the_page_has_it(platform: Platform, clients: Clients) -> None:
    client = await clients(gettoken("ww1", SECRET))
    await client.get(SEND, {"cursor": "x"})
    assert platform.fetches == [("GET", {"corpid": "ww1", "corpsecret": SECRET})]
    assert platform.asked == [{"cursor": "x", "access_token": "token-1"}]


async def test_a_token_that_died_early_is_fetched_once_for_all_processes(
    db: Database, platform: Platform, clients: Clients
) -> None:
    three = [await clients(gettoken("ww1", SECRET), db) for _ in range(3)]
    await asyncio.gather(*(client.call(SEND, {}) for client in three))
    platform.turn, platform.wait = 2, 0.05
    await asyncio.gather(*(client.call(SEND, {}) for client in three))
    assert len(platform.fetches) == 2


async def test_forced_refreshes_are_counted_over_processes(
    db: Database, platform: Platform, clients: Clients, clock: HandClock
) -> None:
    """The platform allows twenty a day, whoever asks."""
    platform.answer = {"errcode": 40001, "errmsg": "never good"}
    for turn in range(12):
        client = await clients(stable_token("wx1", SECRET), db)
        with pytest.raises(SendFailed):
            await client.call(SEND, {})
        clock.forward(minutes=10 if turn else 0)
    forced = sum(bool(fetch.get("force_refresh")) for _, fetch in platform.fetches)
    assert forced == 2, "one at once, one after 75 minutes"


async def test_two_apps_of_one_corporation_have_tokens_of_their_own(
    db: Database, platform: Platform, clients: Clients
) -> None:
    for secret in (SECRET, "another"):
        await (await clients(gettoken("ww1", secret), db)).call(SEND, {})
    assert len(platform.fetches) == 2


async def test_the_database_alone_gives_nobody_a_token(db: Database, platform: Platform, clients: Clients) -> None:
    await (await clients(gettoken("ww1", SECRET), db)).call(SEND, {})
    kept = row(db)
    assert kept.sealed
    assert "token-1" not in kept.sealed
    assert SECRET not in repr(kept)
    # With another secret it cannot be opened: a new one is fetched.
    db.tx(lambda session: session.execute(sa.update(ApiToken).values(sealed="gAAAA-rubbish")))
    await (await clients(gettoken("ww1", SECRET), db)).call(SEND, {})
    assert len(platform.fetches) == 2


async def test_a_fetcher_that_died_is_followed(
    db: Database, platform: Platform, clients: Clients, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LOOK_AGAIN", 0)
    client = await clients(gettoken("ww1", SECRET), db)
    await client.call(SEND, {})
    later = clock.forward(hours=3)
    held = {"lease": "gone", "leased_until": later + tokens.LEASE}
    db.tx(lambda session: session.execute(sa.update(ApiToken).values(**held)))
    with pytest.raises(SendFailed, match="another process"):
        await client.call(SEND, {})
    clock.forward(seconds=61)
    await client.call(SEND, {})
    assert len(platform.fetches) == 2


async def test_a_fetch_that_failed_is_free_for_the_next(db: Database, platform: Platform, clients: Clients) -> None:
    platform.broken = True
    with pytest.raises(SendFailed, match="gettoken"):
        await (await clients(gettoken("ww1", SECRET), db)).call(SEND, {})
    platform.broken = False
    await (await clients(gettoken("ww1", SECRET), db)).call(SEND, {})


async def test_a_test_platforms_token_is_not_the_real_ones(db: Database, base: str, clock: HandClock) -> None:
    """The same account at two addresses."""
    here, there = Clients(base, clock), Clients(base.replace("127.0.0.1", "localhost"), clock)
    for made in (here, there):
        await (await made(gettoken("ww1", SECRET), db)).call(SEND, {})
    names = db.tx(lambda session: session.scalars(sa.select(ApiToken.name)).all())  # type: ignore[call-overload]
    assert len(set(names)) == 2
    for made in (here, there):
        await made.made[0].stop()


@pytest.mark.parametrize("code", [45009, 40125])
@pytest.mark.parametrize("credential", [gettoken("ww1", SECRET), stable_token("wx1", SECRET)])
async def test_a_refused_fetch_is_not_repeated_within_its_minute(
    db: Database, platform: Platform, clients: Clients, clock: HandClock, code: int, credential: Credential
) -> None:
    """Not by this process, and not by another: the platform counts them all."""
    platform.refusal = code
    two = [await clients(credential, db) for _ in range(2)]
    for second in range(0, 60, 6):
        for client in two:
            with pytest.raises(SendFailed, match="no token") as failure:
                await client.call(SEND, {})
            assert failure.value.after is not None
            assert 0 < failure.value.after <= 60 - second
        clock.forward(seconds=6)
    assert len(platform.fetches) == 1
    platform.refusal = 0
    for client in two:
        await client.call(SEND, {})
    assert (len(platform.fetches), len(platform.asked)) == (2, 2)


async def test_calls_that_are_used_up_are_not_tried_by_every_message(
    platform: Platform, clients: Clients, clock: HandClock
) -> None:
    client = await clients(gettoken("ww1", SECRET))
    platform.answer = {"errcode": 45009, "errmsg": "api freq out of limit"}
    for second in range(10):
        with pytest.raises(ApiError) as failure:
            await client.call(SEND, {"row": second})
        assert (failure.value.code, failure.value.after, failure.value.final) == (45009, 60 - second, False)
        clock.forward(seconds=1)
    assert len(platform.asked) == 1
    platform.answer = {"errcode": 0, "errmsg": "ok"}
    clock.forward(seconds=50)
    await client.call(SEND, {})
    assert len(platform.asked) == 2


async def test_a_database_that_is_away_is_said(
    sqlite_db: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_work: object) -> object:
        raise sa.exc.OperationalError("x", None, Exception("away"))

    monkeypatch.setattr(sqlite_db, "run", away)
    with pytest.raises(SendFailed, match="OperationalError"):
        await (await clients(gettoken("ww1", SECRET), sqlite_db)).call(SEND, {})


async def test_a_robots_key_goes_without_token_and_is_not_told(platform: Platform, clients: Clients) -> None:
    await (await clients(robot_key("K"))).call(SEND, {})
    assert platform.asked == [{"key": "K"}]
    assert platform.fetches == []
    platform.answer = {"errcode": 1, "errmsg": "bad code a-very-long-code-of-one-use"}
    with pytest.raises(ApiError) as failure:
        await (await clients(robot_key("K"))).call(SEND, {}, params={"response_code": "a-very-long-code-of-one-use"})
    assert "a-very-long" not in str(failure.value)


@pytest.mark.parametrize("code", [40164, 60020, 45009, 846607])
async def test_what_an_hour_will_not_mend_waits(platform: Platform, clients: Clients, code: int) -> None:
    platform.answer = {"errcode": code, "errmsg": "no"}
    with pytest.raises(ApiError) as failure:
        await (await clients(gettoken("ww1", SECRET))).call(SEND, {})
    assert (failure.value.after, failure.value.final, len(platform.asked)) == (60, False, 1)


# ---- files


async def test_a_file_comes_down(platform: Platform, clients: Clients) -> None:
    named = {"Content-Disposition": 'attachment; filename="a.amr"'}
    platform.media = web.Response(body=b"#!AMR\nxx", content_type="voice/amr", headers=named)
    got = await (await clients(stable_token("wx1", SECRET))).download("/cgi-bin/media/get", {"media_id": "M"})
    assert (got.data, got.name, got.mime) == (b"#!AMR\nxx", "a.amr", "voice/amr")
    assert platform.asked[0]["media_id"] == "M"


@pytest.mark.parametrize(
    ("response", "final"),
    [
        (web.json_response({"errcode": 40007, "errmsg": "invalid media_id"}), False),
        (web.Response(text='{"errcode":40007,"errmsg":"x"}'), False),
        (web.Response(body=b"x" * 101, content_type="image/jpeg"), True),
        (web.Response(status=302, headers={"Location": "http://169.254.169.254/"}), False),
    ],
)
async def test_a_file_that_does_not_come(
    platform: Platform, clients: Clients, response: web.Response, final: bool
) -> None:
    platform.media = response
    with pytest.raises(SendFailed) as failure:
        await (await clients(gettoken("ww1", SECRET))).download("/cgi-bin/media/get", {"media_id": "M"}, cap=100)
    assert failure.value.final is final
    assert len(platform.asked) == 1


async def test_a_file_is_asked_for_again_unless_the_platform_says_no(platform: Platform, clients: Clients) -> None:
    api = await clients(gettoken("ww1", SECRET))
    for answer, again in ((web.Response(status=503), True), (web.json_response({"errcode": 40007}), False)):
        platform.media = answer
        with pytest.raises(NotFetched) as failure:
            await api.stored_file("M")
        assert failure.value.again is again


async def test_where_nobody_listens_a_file_is_asked_for_again() -> None:
    api = ApiClient("http://127.0.0.1:9", robot_key("K"), backoff=())
    await api.start()
    with pytest.raises(NotFetched) as failure:
        await api.stored_file("M")
    await api.stop()
    assert failure.value.again


async def test_a_video_of_an_official_account_is_an_address(platform: Platform, clients: Clients) -> None:
    platform.media = web.json_response({"video_url": "https://a.myqcloud.com/v"})
    got = await (await clients(stable_token("wx1", SECRET))).download("/cgi-bin/media/get", {"media_id": "M"})
    assert (got.url, got.data) == ("https://a.myqcloud.com/v", b"")
    assert "myqcloud" not in repr(got)


async def test_asking_is_never_uncertain(platform: Platform, clients: Clients) -> None:
    platform.answer = {"errcode": "x"}
    client = await clients(gettoken("ww1", SECRET))
    with pytest.raises(SendFailed):
        await client.get(SEND)
    with pytest.raises(Uncertain):
        await client.call(SEND, {})
