"""One later answer to a message of the webhook mode: a POST to its `response_url`, once, within the hour.

Platform page 101138 主动回复消息. The address comes in a letter and holds a secret: it must be exactly the platform's,
it is followed nowhere else, and it stands in no error.
"""

import json
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from bot.channels.api import ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.replies import PAUSE, USED_UP, AccountRefused
from bot.channels.rests import Rests
from bot.channels.wecom_bot.rates import FULL, LIMITED
from models.base import Clock

SECONDS = 8.0
BUSY = -1
CALL = "aibot/response"


def allowed(url: str, ours: str) -> bool:
    """Whether a response_url is the platform's: scheme, host, port and path as in `ours`, and a response_code.

    ours: `https://qyapi.weixin.qq.com/cgi-bin/aibot/response`.
    """
    try:
        given, right = urlsplit(url), urlsplit(ours)
        same = (given.scheme, given.hostname, given.port, given.path) == (
            right.scheme, right.hostname, right.port, right.path,
        )  # fmt: skip
        code = parse_qs(given.query, strict_parsing=True).get("response_code", [])
    except ValueError:
        return False
    plain = not (given.username or given.password or given.fragment)
    return same and plain and len(code) == 1 and bool(code[0]) and url.isascii() and url.isprintable()


class Stumbled(Uncertain):
    """The platform broke at the call or behind it: the address may be used up, and the message may have arrived."""


class Responses:
    """Posts answers; nothing is tried twice here."""

    def __init__(self, ours: str, clock: Clock) -> None:
        self._ours = ours
        self._rests = Rests(clock)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS, connect=3.0), cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )  # fmt: skip

    async def stop(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, body: dict[str, Any]) -> None:
        """Raises AccountRefused (it takes nothing of this bot's now, the address is still good), ApiError (it did not
        take it by this address), SendFailed, Uncertain, Stumbled."""
        if not allowed(url, self._ours):
            raise ApiError(0, "response: not the platform's address", final=True)
        if self._session is None:
            raise SendFailed("the channel is not started")
        self._rests.check(CALL)
        state = SimpleNamespace(sent=False)
        # Causes are cut off: they hold the address.
        try:
            async with self._session.post(url, json=body, allow_redirects=False, trace_request_ctx=state) as response:
                status, raw = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"response: {type(error).__name__}"
            raise (Uncertain(reason) if state.sent else SendFailed(reason)) from None
        try:
            _judge(status, raw)
        except AccountRefused as error:
            raise self._rests.refused(CALL, error) from None
        self._rests.taken(CALL)


def _judge(status: int, raw: bytes) -> None:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:  # not taken: the address is still good
        raise SendFailed(f"response: HTTP {status}", after=5)
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        raise Uncertain(f"response: HTTP {status}")  # a gateway waited in vain: it may well be on its way
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Stumbled(f"response: HTTP {status}")
    if status != HTTPStatus.OK:
        raise ApiError(status, f"response: HTTP {status}")
    try:
        code = int(json.loads(raw).get("errcode", 0))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Uncertain("response: the answer is no JSON object") from None
    if code == BUSY:
        raise SendFailed(f"response: errcode {code}", after=5)
    if code in USED_UP:
        raise AccountRefused(code, f"{FULL}: response: errcode {code}", after=PAUSE)
    if code in LIMITED:  # the address is still good
        raise SendFailed(f"{FULL}: response: errcode {code}", after=PAUSE)
    if code:
        raise ApiError(code, f"response: errcode {code}")


async def _note_sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    """Runs just before the first byte is written: from here on the platform may have heard us."""
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.sent = True
