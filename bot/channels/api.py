"""Calls to a platform's API: one token for all, few and bounded tries, and errors that tell no secret.

Source: 获取稳定版接口调用凭据 (stable_token), 全局返回码说明.
"""

import asyncio
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import aiohttp
import structlog

from bot.channels.base import SendFailed, Uncertain
from models.base import Clock, utc_now

log = structlog.get_logger(__name__)

BUSY = -1
TOKEN_REFUSED = frozenset({40001, 40014, 42001})
RATE_LIMITED = frozenset({45009, 45011})
EARLY = timedelta(minutes=5)
# The platform allows 20 forced refreshes a day; one in 75 minutes can never use them up.
FORCE_EVERY = timedelta(minutes=75)
GRUDGE = timedelta(seconds=5)  # so long a failed token fetch stands for all who wait, instead of one time-out each
BACKOFF = (0.5, 2.0)

_SECRET = re.compile(
    r"((?:access_?token|app_?secret|corp_?secret|secret|key|response_code)[\"']?\s*[=:]\s*[\"']?)[^&\s\"',}]+",
    re.IGNORECASE,
)


class ApiError(SendFailed):
    """The platform said no. code: its errcode."""

    def __init__(self, code: int, reason: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(reason, final=final, after=after)
        self.code = code


class _Again(SendFailed):
    """The platform is busy and took nothing: worth another try."""


@dataclass(frozen=True)
class _Token:
    value: str
    until: datetime


class ApiClient:
    """One account at one platform.

    Raises SendFailed when the platform certainly did not take a call, Uncertain when the call left and no answer came.
    """

    def __init__(
        self,
        base: str,
        app_id: str,
        secret: str,
        *,
        clock: Clock = utc_now,
        backoff: Sequence[float] = BACKOFF,
        connect_seconds: float = 3.0,
        total_seconds: float = 8.0,
    ) -> None:
        """base: `https://api.weixin.qq.com`. backoff: seconds before the second, third, … try of a busy platform."""
        self._base = base.rstrip("/")
        self._app_id = app_id
        self._secret = secret
        self._clock = clock
        self._backoff = tuple(backoff)
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._token: _Token | None = None
        self._lock = asyncio.Lock()
        self._forced_at: datetime | None = None
        self._failure: tuple[SendFailed, datetime] | None = None

    async def start(self) -> None:
        """Open the session; nothing is called yet."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            # Kept short: a connection that the platform closed meanwhile would make a sure message an uncertain one.
            connector=aiohttp.TCPConnector(keepalive_timeout=4),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def stop(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, path: str, body: dict[str, Any], *, final: Collection[int] = ()) -> dict[str, Any]:
        """POST `body` to `path` with the token; returns the answer. final: errcodes that no other try can help."""
        token = await self._current(refused=None)
        try:
            return await self._patiently(path, body, token, final)
        except ApiError as error:
            if error.code not in TOKEN_REFUSED:
                raise
        return await self._patiently(path, body, await self._current(refused=token), final)

    async def _current(self, refused: str | None) -> str:
        """The token; fetched by one for all. refused: the token the platform no longer takes."""
        async with self._lock:
            now = self._clock()
            held = self._token
            if held is not None and held.value != refused and now < held.until:
                return held.value
            if self._failure is not None and now < self._failure[1]:
                raise SendFailed(str(self._failure[0]), after=self._failure[0].after)
            try:
                token = await self._fetch(force=False)
                if token.value == refused and self._may_force(now):
                    self._forced_at = now
                    token = await self._fetch(force=True)
            except SendFailed as error:
                self._failure = (error, now + GRUDGE)
                raise
            self._token, self._failure = token, None
            return token.value

    def _may_force(self, now: datetime) -> bool:
        return self._forced_at is None or now - self._forced_at >= FORCE_EVERY

    async def _fetch(self, *, force: bool) -> _Token:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": force,
        }
        asked_at = self._clock()
        try:
            answer = await self._patiently("/cgi-bin/stable_token", body, None, ())
        except Uncertain as error:
            raise SendFailed(f"no token: {error}") from None  # the message itself has not left yet
        except ApiError as error:
            raise SendFailed(f"no token: {error}", after=error.after or 60) from None
        value, seconds = answer.get("access_token"), answer.get("expires_in")
        if not (isinstance(value, str) and value and isinstance(seconds, int) and seconds > 0):
            raise SendFailed("no token: the platform's answer holds none", after=60)
        life = timedelta(seconds=seconds)
        log.info("api.token_fetched", forced=force, seconds=seconds)
        return _Token(value, asked_at + (life - EARLY if life > EARLY else life / 2))

    async def _patiently(
        self, path: str, body: dict[str, Any], token: str | None, final: Collection[int]
    ) -> dict[str, Any]:
        for pause in self._backoff:
            try:
                return await self._post(path, body, token, final)
            except _Again as error:
                log.warning("api.busy", path=path, reason=str(error))
                await asyncio.sleep(pause)
        return await self._post(path, body, token, final)

    async def _post(self, path: str, body: dict[str, Any], token: str | None, final: Collection[int]) -> dict[str, Any]:
        if self._session is None:
            raise SendFailed("the channel is not started")
        state = SimpleNamespace(sent=False)
        # Causes are cut off everywhere below: aiohttp's errors hold the address, and the address holds the token.
        try:
            async with self._session.post(
                self._base + path,
                params={"access_token": token} if token else None,
                data=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json; charset=utf-8"},
                allow_redirects=False,
                trace_request_ctx=state,
            ) as response:
                status, raw = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{path}: {type(error).__name__}"
            raise (Uncertain(reason) if state.sent else SendFailed(reason)) from None
        return self._judge(path, status, raw, token, final)

    def _judge(self, path: str, status: int, raw: bytes, token: str | None, final: Collection[int]) -> dict[str, Any]:
        if status == HTTPStatus.GATEWAY_TIMEOUT:
            raise Uncertain(f"{path}: HTTP 504")  # a gateway waited in vain: the platform may well have taken it
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Again(f"{path}: HTTP {status}", after=30)
        if status != HTTPStatus.OK:
            raise SendFailed(f"{path}: HTTP {status}", after=60)
        try:
            answer = json.loads(raw)
            code = int(answer.get("errcode", 0))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise Uncertain(f"{path}: the answer is no JSON object") from None
        if code == 0:
            return dict(answer)
        reason = f"{path}: errcode {code}: {self._scrub(str(answer.get('errmsg', '')), token)}"
        if code == BUSY:
            raise _Again(reason, after=30)
        after = 60.0 if code in RATE_LIMITED or code in TOKEN_REFUSED else None
        raise ApiError(code, reason, final=code in final, after=after)

    def _scrub(self, text: str, token: str | None) -> str:
        held = self._token.value if self._token else None
        for secret in filter(None, (self._secret, token, held)):
            text = text.replace(secret, "***")
        return _SECRET.sub(r"\1***", text)[:200]


async def _note_sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    """Runs just before the first byte is written: from here on the platform may have heard us."""
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.sent = True
