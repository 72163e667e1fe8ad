"""The API client against a platform that refuses, stumbles and hangs."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from structlog.testing import capture_logs

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import Halted, SendFailed, Uncertain
from bot.channels.credentials import stable_token
from bot.channels.replies import AccountRefused
from bot.channels.tokens import Token

SECRET = "s3cr3t-of-the-account"  # noqa: S105  invented
SEND, TEMPLATE = "/cgi-bin/message/custom/send", "/cgi-bin/message/template/send"
OK = {"errcode": 0, "errmsg": "ok"}


class Platform:
    """Plays api.weixin.qq.com. `script` is what it answers to sends, one after another, then OK.

    A dict is a JSON answer, an int an HTTP status, "hang" no answer, "drop" a cut line.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, tzinfo=UTC)
        self.sends: list[tuple[str, dict[str, Any]]] = []
        self.raw: list[bytes] = []
        self.fetches: list[dict[str, Any]] = []
        self.script: list[dict[str, Any] | int | str] = []
        self.token_script: list[dict[str, Any] | int | str] = []
        self.tokens = iter(f"token-{n}" for n in range(1, 100))
        self.token = next(self.tokens)
        self.valid: Callable[[str], bool] = lambda token: token == self.token
        self.asked = 0
        self.wait = 0.0
        self.released = asyncio.Event()

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        self.fetches.append(await request.json())
        await asyncio.sleep(self.wait)
        if self.token_script:
            return await self.say(request, self.token_script.pop(0))
        if self.fetches[-1]["force_refresh"]:
            self.token = next(self.tokens)
        return web.json_response({"access_token": self.token, "expires_in": 7200})

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.raw.append(await request.read())
        token = request.query["access_token"]
        self.sends.append((token, json.loads(self.raw[-1])))
        if self.script:
            return await self.say(request, self.script.pop(0))
        if not self.valid(token):
            return web.json_response({"errcode": 40001, "errmsg": f"invalid credential access_token={token}"})
        return web.json_response(OK)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        return await self.say(request, self.script.pop(0)) if self.script else web.json_response(OK)

    async def say(self, request: web.Request, answer: dict[str, Any] | int | str) -> web.StreamResponse:
        if answer == "hang":
            await self.released.wait()
        if answer == "drop":
            assert request.transport is not None
            request.transport.abort()
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Location": "/elsewhere"})
        if isinstance(answer, dict):
            told = str(answer.get("errmsg", "")).replace("{token}", request.query.get("access_token", "-"))
            return web.json_response(answer | {"errmsg": told})
        return web.Response(text=answer)


@pytest.fixture
async def platform() -> Platform:
    return Platform()


@pytest.fixture
async def api(platform: Platform) -> AsyncIterator[ApiClient]:
    app = web.Application()
    app.router.add_post("/cgi-bin/stable_token", platform.fetch)
    for path in (SEND, TEMPLATE):
        app.router.add_post(path, platform.send)
    app.router.add_get("/cgi-bin/menu/get", platform.ask)
    async with TestServer(app) as server:
        client = ApiClient(
            str(server.make_url("")),
            stable_token("wx1", SECRET),
            clock=lambda: platform.now,
            backoff=(0, 0),
            total_seconds=0.6,
        )
        await client.start()
        yield client
        await client.stop()
        platform.released.set()


def send(api: ApiClient, text: str = "你好") -> Awaitable[dict[str, Any]]:
    return api.call(SEND, {"text": {"content": text}}, final={45015})


async def test_the_token_is_asked_for_once_and_the_body_is_utf8(api: ApiClient, platform: Platform) -> None:
    assert await send(api, "停水了") == OK
    await send(api)
    assert platform.fetches == [
        {"grant_type": "client_credential", "appid": "wx1", "secret": SECRET, "force_refresh": False}
    ]
    assert [token for token, _ in platform.sends] == ["token-1", "token-1"]
    assert "停水了".encode() in platform.raw[0]


async def test_twenty_sends_at_once_fetch_one_token(api: ApiClient, platform: Platform) -> None:
    platform.wait = 0.05
    await asyncio.gather(*(send(api) for _ in range(20)))
    assert (len(platform.fetches), len(platform.sends)) == (1, 20)


async def test_a_revoked_token_is_fetched_anew_once_for_all(api: ApiClient, platform: Platform) -> None:
    await send(api)
    platform.token = next(platform.tokens)
    platform.wait = 0.05
    await asyncio.gather(*(send(api) for _ in range(20)))
    assert len(platform.fetches) == 2
    assert platform.sends[-1][0] == "token-2"


async def test_the_token_is_renewed_five_minutes_early(api: ApiClient, platform: Platform) -> None:
    start = platform.now
    for seconds, fetches in ((0, 1), (6899, 1), (6900, 2)):
        platform.now = start + timedelta(seconds=seconds)
        await send(api)
        assert len(platform.fetches) == fetches


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_token_that_is_never_good_ends_after_two_calls(api: ApiClient, platform: Platform, code: int) -> None:
    platform.script = [{"errcode": code, "errmsg": "no"}] * 9
    with pytest.raises(ApiError) as failure:
        await send(api)
    assert (failure.value.code, failure.value.final) == (code, False)
    assert len(platform.sends) == 2
    assert [fetch["force_refresh"] for fetch in platform.fetches] == [False, False, True]


async def test_a_refresh_is_forced_at_most_twenty_times_a_day(api: ApiClient, platform: Platform) -> None:
    platform.valid = lambda _: False
    for _ in range(24 * 12):
        with pytest.raises(SendFailed):
            await send(api)
        platform.now += timedelta(minutes=5)
    assert 0 < sum(fetch["force_refresh"] for fetch in platform.fetches) <= 20


@pytest.mark.parametrize("stumble", [503, {"errcode": -1, "errmsg": "system error"}])
async def test_a_busy_platform_gets_three_tries(
    api: ApiClient, platform: Platform, stumble: int | dict[str, Any]
) -> None:
    platform.script = [stumble, stumble]
    assert await send(api) == OK
    assert len(platform.sends) == 3

    platform.script = [stumble] * 9
    with pytest.raises(SendFailed) as failure:
        await send(api)
    assert (failure.value.final, failure.value.after, len(platform.sends)) == (False, 30, 6)


@pytest.mark.parametrize("status", [500, 502])
async def test_what_may_have_been_done_is_not_done_again(api: ApiClient, platform: Platform, status: int) -> None:
    """The sender decides then: a reply is not said again, an alert is, and says so."""
    platform.script = [status]
    with pytest.raises(Uncertain, match=str(status)):
        await send(api)
    platform.script = [status]
    with pytest.raises(Uncertain):
        await api.call(TEMPLATE, {"touser": "o1"})  # its key is missing
    assert len(platform.sends) == 2


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_what_is_done_once_however_often_it_is_asked_for_gets_three_tries(
    api: ApiClient, platform: Platform, status: int
) -> None:
    platform.script = [status, status]
    await api.call(TEMPLATE, {"touser": "o1", "client_msg_id": "k1"})
    platform.script = [status, status]
    await api.get("/cgi-bin/menu/get")
    assert (len(platform.sends), platform.asked) == (3, 3)
    platform.script = [status] * 3
    with pytest.raises(SendFailed) as failure:
        await api.call(TEMPLATE, {"touser": "o1", "client_msg_id": "k1"})
    assert (failure.value.final, failure.value.after) == (False, 30)


async def test_the_back_off_waits_longer_each_time(
    api: ApiClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    platform.script = [503, 503]
    monkeypatch.setattr(api, "_backoff", (0.5, 2.0))
    monkeypatch.setattr("bot.channels.api.asyncio.sleep", sleep)
    await send(api)
    assert [pause for pause in pauses if pause] == [0.5, 2.0]


@pytest.mark.parametrize("code", [45009, 45011])
async def test_a_rate_limit_is_never_tried_again_at_once(api: ApiClient, platform: Platform, code: int) -> None:
    platform.script = [{"errcode": code, "errmsg": "limit"}]
    with pytest.raises(SendFailed) as failure:
        await send(api)
    assert (failure.value.final, failure.value.after, len(platform.sends)) == (False, 60, 1)


@pytest.mark.parametrize("code", [45009, 45011, 60020, 40164, 45033, 40001, 40014, 42001])
async def test_what_is_said_of_our_account_says_nothing_of_whoever_it_is_for(
    api: ApiClient, platform: Platform, code: int
) -> None:
    platform.script = [{"errcode": code, "errmsg": "no"}] * 2
    with pytest.raises(Halted) as failure:
        await send(api)
    assert (failure.value.final, failure.value.after) == (False, 60)


@pytest.mark.parametrize("code", [45015, 45047, 45099, 48002, 81013, 93000, 95001, 846607])
async def test_what_is_said_of_whoever_it_is_for_is_not_said_of_our_account(
    api: ApiClient, platform: Platform, code: int
) -> None:
    platform.script = [{"errcode": code, "errmsg": "no"}]
    with pytest.raises(ApiError) as failure:
        await send(api)
    assert not isinstance(failure.value, Halted)


@pytest.mark.parametrize("code", [40164, 40125])
async def test_so_does_a_token_that_our_account_does_not_get(api: ApiClient, platform: Platform, code: int) -> None:
    platform.token_script = [{"errcode": code, "errmsg": "no"}]
    for _ in range(2):
        with pytest.raises(Halted, match="no token"):
            await send(api)
    assert len(platform.fetches) == 1


async def test_a_pause_is_told_once_and_the_next_one_is_longer(api: ApiClient, platform: Platform) -> None:
    pauses = []
    refusal = {"errcode": 45009, "errmsg": "limit"}
    with capture_logs() as logs:
        for _ in range(5):
            before = len(platform.sends)
            platform.script = [refusal] * 9
            errors = await asyncio.gather(*(send(api) for _ in range(9)), return_exceptions=True)
            with pytest.raises(Halted) as behind:
                await send(api)
            assert {type(error) for error in errors} == {AccountRefused}
            assert len(platform.sends) - before == 9 - len(platform.script)
            pauses.append(behind.value.after)
            platform.now += timedelta(seconds=behind.value.after or 0)
    assert pauses == [60, 120, 240, 300, 300]
    assert [line["code"] for line in logs if line["event"] == "api.account_refused"] == [45009] * 5
    platform.script = []
    await send(api)
    platform.script = [refusal]
    with pytest.raises(Halted) as anew:
        await send(api)
    assert anew.value.after == 60


@pytest.mark.parametrize(("code", "final"), [(45015, True), (45099, False)])
async def test_which_codes_are_final_is_the_callers_word(
    api: ApiClient, platform: Platform, code: int, final: bool
) -> None:
    platform.script = [{"errcode": code, "errmsg": "no"}]
    with pytest.raises(ApiError) as failure:
        await send(api)
    assert (failure.value.code, failure.value.final, len(platform.sends)) == (code, final, 1)


@pytest.mark.parametrize("answer", ["hang", "drop", 504, "no json", "[]", {"errcode": "x"}, {"errcode": None}])
async def test_no_answer_that_can_be_read_is_uncertain(
    api: ApiClient, platform: Platform, answer: int | str | dict[str, Any]
) -> None:
    platform.script = [answer]
    with pytest.raises(Uncertain):
        await send(api)
    assert len(platform.sends) == 1


@pytest.mark.parametrize("answer", ["hang", "drop", 504, "no json", {}, {"errcode": 40125, "errmsg": "wrong secret"}])
async def test_without_a_token_nothing_has_left(
    api: ApiClient, platform: Platform, answer: int | str | dict[str, Any]
) -> None:
    platform.token_script = [answer]
    with pytest.raises(SendFailed, match="token") as failure:
        await send(api)
    assert not failure.value.final
    assert platform.sends == []


async def test_a_failed_fetch_stands_for_all_who_wait(api: ApiClient, platform: Platform) -> None:
    platform.token_script = ["hang"] * 9
    results = await asyncio.gather(*(send(api) for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {SendFailed}
    assert len(platform.fetches) == 1
    platform.token_script = []
    platform.now += timedelta(seconds=6)
    assert await send(api) == OK


async def test_where_nobody_listens_nothing_was_sent() -> None:
    api = ApiClient(f"http://127.0.0.1:{unused_port()}", stable_token("wx1", SECRET))
    await api.start()
    api.tokens._held = Token("t", datetime.max.replace(tzinfo=UTC))
    with pytest.raises(SendFailed, match="ClientConnectorError"):
        await send(api)
    await api.stop()


async def test_a_client_that_is_not_started_says_so() -> None:
    with pytest.raises(SendFailed, match="not started"):
        await send(ApiClient("http://127.0.0.1:1", stable_token("wx1", SECRET)))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(api: ApiClient, platform: Platform, status: int) -> None:
    platform.script = [status]
    with pytest.raises(SendFailed, match=str(status)):
        await send(api)


async def test_no_error_and_no_log_tells_a_secret(
    api: ApiClient, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = {"errmsg": f"secret={SECRET} and {SECRET}; {{token}}; access_token=abcdef&x {{'appsecret': 'abcdef'}}"}
    chatty = [{"errcode": code} | told for code in (40001, 45015, 45009, -1, 99)]
    said: list[str] = []
    with capture_logs() as logs:
        for answer in [*chatty, 500, 503, 504, "hang", "drop", "no json", 302]:
            for where in ("script", "token_script"):
                setattr(platform, where, [answer] * 3)
                platform.now += timedelta(hours=3)  # a token of its own for every round
                with pytest.raises((SendFailed, Uncertain)) as failure:
                    await send(api)
                setattr(platform, where, [])
                error: BaseException | None = failure.value
                while error is not None:
                    said += [str(error), repr(error)]
                    error = error.__cause__ if error.__suppress_context__ else error.__context__
    # aiohttp.access is the played platform's own log
    heard = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    everything = "\n".join([*said, repr(logs), *heard])
    assert len(said) >= 44
    assert "***" in everything
    for secret in (SECRET, "token-", "abcdef"):
        assert secret not in everything
