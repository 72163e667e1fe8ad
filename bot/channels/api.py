"""Calls to a platform's API: one token for all, few and bounded tries. Judged in `bot.channels.replies`."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import structlog

from bot.channels import replies
from bot.channels.base import SendFailed, Uncertain
from bot.channels.credentials import Credential
from bot.channels.media import CAP, NotFetched
from bot.channels.replies import CLOSED_TO_US, PAUSE, TOKEN_REFUSED, Again, Answer, ApiError, Download
from bot.channels.rests import Rests, say_refused
from bot.channels.tokens import EARLY, NoToken, Token, TokenKeeper
from models.base import Clock, utc_now
from models.database import Database

log = structlog.get_logger(__name__)

BACKOFF = (0.5, 2.0)
# Calls that may be made again when nobody knows whether the first was carried out (ADR 0005): path → the field of the
# body that makes a repeat none ("": whatever stands in it). What is asked by GET is always among them.
REPEATABLE = {
    "/cgi-bin/message/send": "enable_duplicate_check",  # 90236
    "/cgi-bin/message/template/send": "client_msg_id",
    "/cgi-bin/kf/send_msg": "msgid",  # 94677
    "/cgi-bin/kf/send_msg_on_event": "msgid",  # 95122
    "/cgi-bin/kf/service_state/trans": "",  # into the state that it has
    "/cgi-bin/appchat/create": "chatid",  # 90245: one that is there is refused
    "/cgi-bin/appchat/update": "",
    "/cgi-bin/menu/create": "",
    "/cgi-bin/stable_token": "",  # from here on they only ask
    "/cgi-bin/kf/service_state/get": "",
    "/cgi-bin/kf/sync_msg": "",
    "/cgi-bin/report/resident/get_order_list": "",
}
LONG = 16  # characters; in a query that is a code or a token, and no `type=image`
T = TypeVar("T")

__all__ = ["ApiClient", "ApiError", "Download"]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str] | None = field(default=None, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    final: Collection[int] = ()
    cap: int = 0  # more than 0: the answer is a file

    def data(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()

    @property
    def repeatable(self) -> bool:
        """Whether making it twice is the same as making it once."""
        key = REPEATABLE.get(self.path)
        return self.body is None or key == "" or (key is not None and bool(self.body.get(key)))

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json; charset=utf-8"} if self.body is not None else {}


Judge = Callable[[replies.Reply], T]


class ApiClient:
    """One account at one platform.

    Raises SendFailed when the platform certainly did not take a call, Uncertain when the call left and no answer came.
    """

    def __init__(
        self,
        base: str,
        credential: Credential,
        *,
        db: Database | None = None,
        clock: Clock = utc_now,
        backoff: Sequence[float] = BACKOFF,
        connect_seconds: float = 3.0,
        total_seconds: float = 8.0,
    ) -> None:
        """base: `https://api.weixin.qq.com`. db: where processes share the token; None shares with nobody. backoff:
        seconds before the second, third, … try of a busy platform."""
        self._base = base.rstrip("/")
        self._credential = credential
        self._clock = clock
        self._backoff = tuple(backoff)
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._rests = Rests(clock)
        self.tokens = TokenKeeper(credential, self._base, self._fetch, clock=clock, db=db)

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

    async def call(
        self, path: str, body: Mapping[str, Any], *, final: Collection[int] = (),
        params: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """POST `body` to `path` with the token; returns the answer. final: errcodes that no other try can help.

        params: more of the query; what stands in it is never told in an error.
        """
        return await self._with_token(_Request("POST", path, params, body, final=final), replies.answer)

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, final: Collection[int] = ()
    ) -> Answer:  # fmt: skip
        """GET `path`. Raises SendFailed only: asking changes nothing."""
        try:
            return await self._with_token(_Request("GET", path, params, final=final), replies.answer)
        except Uncertain as error:
            raise SendFailed(str(error)) from None

    async def download(
        self, path: str, params: Mapping[str, str] | None = None, *, cap: int = CAP
    ) -> Download:  # fmt: skip
        """GET a file of at most `cap` bytes (`/cgi-bin/media/get`). Raises SendFailed only."""
        try:
            return await self._with_token(_Request("GET", path, params, cap=cap), replies.file)
        except Uncertain as error:
            raise SendFailed(str(error)) from None

    async def stored_file(self, media_id: str) -> Download:
        """A file of 获取临时素材. Raises NotFetched: for good only when the platform itself says no, and names no time
        after which it might say yes."""
        try:
            return await self.download("/cgi-bin/media/get", {"media_id": media_id}, cap=CAP)
        except SendFailed as error:
            never = error.final or (isinstance(error, ApiError) and error.after is None)
            raise NotFetched(str(error), again=not never) from None

    # --- one call -----------------------------------------------------------------------------------------------

    async def _with_token(self, request: _Request, judge: Judge[T]) -> T:
        self._rests.check(request.path)
        token = await self.tokens.current()
        try:
            found = await self._patiently(request, token, judge)
        except ApiError as error:
            if error.code in CLOSED_TO_US:
                raise self._rests.refused(request.path, error) from None
            if error.code not in TOKEN_REFUSED or self._credential.fixed is not None:
                raise
            found = await self._patiently(request, await self.tokens.current(refused=token), judge)
        self._rests.taken(request.path)
        return found

    async def _fetch(self, force: bool) -> Token:
        credential = self._credential
        body = None if credential.body is None else dict(credential.body)
        if body is not None and credential.forces:
            body["force_refresh"] = force
        request = _Request("GET" if body is None else "POST", credential.path, credential.params, body)
        asked_at = self._clock()
        try:
            answer = await self._patiently(request, "", replies.answer)
        except Uncertain as error:
            raise SendFailed(f"no token: {error}") from None  # the message itself has not left yet
        except ApiError as error:
            pause = error.after or PAUSE
            say_refused(credential.path, error, pause)
            raise NoToken(str(error), pause) from None
        value, seconds = answer.get("access_token"), answer.get("expires_in")
        if not (isinstance(value, str) and value and isinstance(seconds, int) and seconds > 0):
            raise SendFailed("no token: the platform's answer holds none", after=60)
        life = timedelta(seconds=seconds)
        log.info("api.token_fetched", forced=force, seconds=seconds)
        return Token(value, asked_at + (life - EARLY if life > EARLY else life / 2))

    async def _patiently(self, request: _Request, token: str, judge: Judge[T]) -> T:
        for pause in self._backoff:
            try:
                return judge(await self._exchange(request, token))
            except Again as error:
                log.warning("api.busy", path=request.path, reason=str(error))
                await asyncio.sleep(pause)
        return judge(await self._exchange(request, token))

    async def _exchange(self, request: _Request, token: str) -> replies.Reply:
        if self._session is None:
            raise SendFailed("the channel is not started")
        params = dict(request.params or {})
        if token and self._credential.query:
            params[self._credential.query] = token
        state = SimpleNamespace(sent=False)
        # Causes are cut off everywhere below: aiohttp's errors hold the address, and the address holds the token.
        try:
            async with self._session.request(
                request.method,
                self._base + request.path,
                params=params,
                data=request.data(),
                headers=request.headers,
                allow_redirects=False,
                trace_request_ctx=state,
            ) as response:
                raw = await _read(response, request.cap)
                file = response.content_disposition
                name = (file.filename or "") if file is not None else ""
                return replies.Reply(
                    request.path, response.status, raw, response.content_type, name, request.final,
                    self._secrets(request, token), request.repeatable,
                )  # fmt: skip
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{request.path}: {type(error).__name__}"
            raise (Uncertain(reason) if state.sent else SendFailed(reason)) from None

    def _secrets(self, request: _Request, token: str) -> tuple[str, ...]:
        told = [value for value in (request.params or {}).values() if len(value) >= LONG]
        return tuple(filter(None, (self._credential.secret, token, self.tokens.value, *told)))


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """The whole answer; of a file no more than `cap` bytes. Raises SendFailed for one that is larger."""
    if not cap:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > cap:
            raise SendFailed("the file is too large", final=True)
    return bytes(body)


async def _note_sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    """Runs just before the first byte is written: from here on the platform may have heard us."""
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.sent = True
