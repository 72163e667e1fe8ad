"""What `linsheng doctor --channel` proves of a channel: that its credentials are taken, and its address leads here.

Each channel says in `Channel.prove` what of this fits it. A proof changes nothing, at the platform and here, and tells
no secret.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from bot.channels.api import ApiClient
from bot.channels.base import Proof, SendFailed, Uncertain
from bot.channels.credentials import Credential
from bot.channels.security import Vault, signature_of
from models.base import Clock

__all__ = [
    "FAIL",
    "OK",
    "WARN",
    "Greeting",
    "Proof",
    "asked",
    "callback",
    "plain_greeting",
    "refuses",
    "sealed_greeting",
    "status",
    "token",
    "told",
]  # fmt: skip

OK, WARN, FAIL = "ok", "warn", "fail"
SECONDS = 5.0  # for the whole of one question
BYTES = 4096  # of an answer; an echo is shorter
LOCAL = ("127.0.0.1", "localhost", "::1")
WRONG = "the id or the secret is not this account's"
LISTED = "this machine's address is not on the account's list (IP白名单, 企业可信IP): add it there"
# 全局返回码说明 (公众号; 企业微信 90313): what to do about the codes that a new deployment meets.
HINTS = {
    40001: WRONG, 40013: WRONG, 40125: WRONG, 41002: WRONG, 41004: WRONG, 40091: WRONG, 40164: LISTED, 60020: LISTED,
    45009: "the account's calls of today are used up: try again tomorrow",
    48001: "the account has no right to this interface: only a verified (认证) one has, see 接口权限",
    48002: "the app may not use this interface: the administrator must grant it",
}  # fmt: skip
_CODE = re.compile(r"errcode (\d+)")


class Greeting(NamedTuple):
    """The platform's address check: what it asks in the query, and what it wants to read back."""

    query: Mapping[str, str]
    echo: str


def plain_greeting(token: str, now: datetime) -> Greeting:
    """公众号: 验证消息的确来自微信服务器."""
    stamp, nonce, echo = str(int(now.timestamp())), secrets.token_hex(8), str(secrets.randbelow(10**18))
    query = {"signature": signature_of(token, stamp, nonce), "timestamp": stamp, "nonce": nonce, "echostr": echo}
    return Greeting(query, echo)


def sealed_greeting(token: str, aes_key: str, receiver: str, now: datetime) -> Greeting:
    """企业微信 90238 and 101033: 验证URL有效性."""
    stamp, nonce, echo = str(int(now.timestamp())), secrets.token_hex(8), str(secrets.randbelow(10**18))
    sealed, signature = Vault(token, aes_key, receiver).seal(echo, stamp, nonce)
    return Greeting({"msg_signature": signature, "timestamp": stamp, "nonce": nonce, "echostr": sealed}, echo)


def told(error: Exception | str) -> str:
    """An error of an API client or of a connection, with what to do. Its words are scrubbed by whoever raised it."""
    code = _CODE.search(str(error))
    hint = HINTS.get(int(code[1])) if code else None
    return f"{error}{f': {hint}' if hint else ''}."


async def token(base: str, credential: Credential, clock: Clock, *, ask: str = "/cgi-bin/getcallbackip") -> Proof:
    """Fetch a token as a channel does, and share it with nobody: what other processes hold stays good. Then ask for
    something with it: WeCom gives its tokens to any address, and looks at the list only then."""
    found = await asked(base, credential, clock, ask)
    if isinstance(found, Proof):
        return found
    said = f"{base} gave a token, and answers to it"
    if isinstance(addresses := found.get("ip_list"), list):  # of getcallbackip
        said += f"; its callbacks come from {', '.join(map(str, addresses))}"
    return Proof("credentials", OK, said)


async def asked(
    base: str, credential: Credential, clock: Clock, path: str, *, params: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None, check: str = "credentials",
) -> dict[str, Any] | Proof:  # fmt: skip
    """The platform's answer, with a token fetched for this question, or the failed proof. body: of a POST; it must
    change nothing."""
    api = ApiClient(base, credential, clock=clock, backoff=())
    await api.start()
    try:
        return await api.get(path, params) if body is None else await api.call(path, body)
    except (SendFailed, Uncertain) as error:
        return Proof(check, FAIL, f"{base}: {told(error)}")
    finally:
        await api.stop()


async def callback(public_url: str, path: str, greeting: Greeting, *, within: float) -> Proof:
    """Greet our own address as the platform does when the address is entered there, by way of whatever proxy stands
    before it. within: seconds that the platform waits."""
    address = f"{public_url.rstrip('/')}{path}"
    began = asyncio.get_running_loop().time()
    try:
        status, body = await _get(address, greeting.query)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # their words hold the query
        todo = "start `linsheng serve`; then look at the proxy, its certificate, and LINSHENG_PUBLIC_URL"
        return Proof("callback", FAIL, f"no answer at {address} ({type(error).__name__}): {todo}.")
    took = asyncio.get_running_loop().time() - began
    if status == 200 and body == greeting.echo.encode():
        if took > within:
            said = f"{address} took {took:.1f} s, the platform waits {within:g}: look at what is slow."
            return Proof("callback", WARN, said)
        if (URL(address).host or "") in LOCAL:
            said = f"{address} answers, but only on this machine: set LINSHENG_PUBLIC_URL to what the platform reaches."
            return Proof("callback", WARN, said)
        return Proof("callback", OK, f"{address} answers as the platform wants it, asked from this machine")
    why = {
        403: "the process there has another token, key, id or clock than these settings",
        404: "what answers there does not serve this channel: is it on there, and does the proxy pass this path?",
        502: "the proxy does not reach `linsheng serve`",
    }.get(status, "the platform follows no redirect" if 300 <= status < 400 else "something else answers there")
    return Proof("callback", FAIL, f"{address} answered {status}: {why}.")


async def refuses(public_url: str, path: str, *, with_status: int) -> Proof:
    """Knock at our own address as a stranger does: who serves the channel there turns him away with this status."""
    address = f"{public_url.rstrip('/')}{path}"
    try:
        status, _ = await _get(address, {})
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        todo = "start `linsheng serve`; then look at the proxy and LINSHENG_PUBLIC_URL"
        return Proof("address", FAIL, f"no answer at {address} ({type(error).__name__}): {todo}.")
    if status == with_status:
        return Proof("address", OK, f"{address} is there, and turns strangers away")
    return Proof("address", FAIL, f"{address} answered {status}, not {with_status}: the channel is not served there.")


async def status(public_url: str, path: str, headers: Mapping[str, str]) -> int | None:
    """What our own address answers to these headers; None: nothing."""
    try:
        return (await _get(f"{public_url.rstrip('/')}{path}", {}, headers))[0]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


async def _get(address: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(address, params=query, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, await response.content.read(BYTES)
