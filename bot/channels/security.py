"""Reading a callback that anybody on the internet may have written.

The order is: size, shape, signature, time window, decryption, receiver, replay. Whatever is wrong ends as one
`Refused` with a word for the metrics, and never as an answer that tells a stranger how far he came.
AES and the XML classes are wechatpy's (1.8.18); it compares signatures with `!=`, knows no time window, and answers
rubbish with six kinds of exception, so nothing of it is called from anywhere else.
"""

import asyncio
import hashlib
import hmac
import re
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar
from xml.parsers import expat

import xmltodict
from aiohttp import web
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, WeChatException
from wechatpy.parser import parse_message

WINDOW = timedelta(minutes=5)
DEPTH = 10  # the deepest letter of the platform, a 发送地理位置 menu event, has three levels
TIMESTAMP_DIGITS = 11  # until the year 5138
ECHO = re.compile(r"[A-Za-z0-9_+/=.-]{1,128}")
HEAD, BLOCK = 20, 32  # bytes: chance and a length before what is written; what the whole is filled up to
READ_SECONDS = 4.0  # the platform itself gives up after five

T = TypeVar("T")
Why = Literal[
    "size", "encoding", "slow", "plaintext", "malformed", "markup", "depth", "signature", "stale", "receiver", "replay",
    "address",
]  # fmt: skip


class Refused(Exception):
    """The callback is not answered. why: the word for metrics and logs."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


@contextmanager
def refusing() -> Iterator[None]:
    """Whatever a malformed letter makes the parsers raise becomes `Refused("malformed")`, without its content."""
    try:
        yield
    except Refused:
        raise
    except InvalidAppIdException:
        raise Refused("receiver") from None
    except (
        ArithmeticError,
        AttributeError,
        Base64Error,
        LookupError,
        OSError,  # datetime.fromtimestamp on some systems
        RecursionError,
        TypeError,
        ValueError,
        WeChatException,
        expat.ExpatError,
        struct.error,
    ):
        raise Refused("malformed") from None


async def read_body(request: web.Request, limit: int) -> str:
    """The body as text. limit: bytes. Refuses what is longer, compressed, slow or not UTF-8."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused("encoding")  # the platform never compresses; a bomb would
    if (request.content_length or 0) > limit:
        raise Refused("size")
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.content.iter_chunked(8192):
                body += chunk
                if len(body) > limit:
                    raise Refused("size")
    except TimeoutError:
        raise Refused("slow") from None
    try:
        return body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise Refused("encoding") from None


def signature_of(*parts: str) -> str:
    """sha1 over the sorted parts, hex: the platform's signature."""
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()


def check_signature(given: str, *parts: str) -> None:
    """Raises Refused unless `given` is the signature of `parts`; takes as long for any wrong one."""
    with refusing():  # a lone surrogate in a query cannot be encoded
        right = hmac.compare_digest(signature_of(*parts).encode(), given.encode())
    if not right:
        raise Refused("signature")


def check_time(timestamp: str, now: datetime) -> None:
    """Raises Refused unless `timestamp` (unix seconds, as text) is within five minutes of `now`."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_DIGITS):
        raise Refused("malformed")
    with refusing():
        if abs(datetime.fromtimestamp(int(timestamp), UTC) - now) > WINDOW:
            raise Refused("stale")


def check_xml(text: str) -> None:
    """Raises Refused for a DTD, an entity, a processing instruction, too deep nesting, or what is no XML at all."""
    depth = 0

    def forbidden(*_: object) -> NoReturn:
        raise Refused("markup")

    def opened(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise Refused("depth")

    def closed(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = forbidden
    parser.EntityDeclHandler = forbidden
    parser.ProcessingInstructionHandler = forbidden
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    with refusing():
        parser.Parse(text.encode(), True)


class _Keys(NamedTuple):
    token: str
    crypto: PrpCrypto


class Vault:
    """Opens and seals the encrypted letters of one account.

    receiver: app id (公众号), corp id (企业微信应用、客服), "" for a bot (智能机器人).
    """

    def __init__(self, token: str, aes_key: str, receiver: str, old: tuple[str, str] | None = None) -> None:
        """aes_key: EncodingAESKey, 43 characters of base64. old: token and key before these, which the platform goes on
        to use until they are changed there, too. Raises ValueError when one is no key."""
        try:
            self._keys = [
                _Keys(one, PrpCrypto(WeChatCrypto(one, key, receiver).key))
                for one, key in ((token, aes_key), *((old,) if old else ()))
            ]
        except (AssertionError, Base64Error):
            raise ValueError("an EncodingAESKey is 43 characters of base64") from None
        self._used = self._keys[0]  # what the platform has now: an answer that it cannot open is lost
        self._receiver = receiver

    def greet(self, query: Mapping[str, str], now: datetime) -> str:
        """The echostr of a handshake without encryption (公众号: signature over token, timestamp, nonce)."""
        timestamp, nonce, echo = (query.get(name, "") for name in ("timestamp", "nonce", "echostr"))
        self._tried(lambda keys: check_signature(query.get("signature", ""), keys.token, timestamp, nonce))
        check_time(timestamp, now)
        # The signature does not cover echostr: whoever repeats a handshake may put a page of his own there.
        if not ECHO.fullmatch(echo):
            raise Refused("malformed")
        return echo

    def decrypt(self, encrypted: str, query: Mapping[str, str], now: datetime) -> str:
        """The letter inside; checks signature, then time, then receiver. query: msg_signature, timestamp, nonce."""
        return self._tried(lambda keys: self._decrypted(keys, encrypted, query, now))

    def _tried(self, read: Callable[[_Keys], T]) -> T:
        """With the keys that fit; they are those that the platform has. Raises the Refused that says most."""
        refusals: list[Refused] = []
        for keys in self._keys:
            try:
                found = read(keys)
            except Refused as refused:
                refusals.append(refused)
            else:
                self._used = keys
                return found
        raise next((one for one in refusals if one.why != "signature"), refusals[0])

    def _decrypted(self, keys: _Keys, encrypted: str, query: Mapping[str, str], now: datetime) -> str:
        signature, timestamp, nonce = (query.get(name, "") for name in ("msg_signature", "timestamp", "nonce"))
        check_signature(signature, keys.token, timestamp, nonce, encrypted)
        check_time(timestamp, now)
        with refusing():
            plain: str = keys.crypto.decrypt(encrypted, self._receiver)
            filled = len(b64decode(encrypted)) - HEAD - len(plain.encode()) - len(self._receiver.encode())
        # The library believes whatever length and filling it finds. Opened with another key they are rubbish, and where
        # no id stands behind them (智能机器人) nothing else tells.
        if not 1 <= filled <= BLOCK:
            raise Refused("malformed")
        return plain

    def opened(self, body: str, query: Mapping[str, str], now: datetime) -> str:
        """The XML in the body of an encrypted XML callback; a body in the clear is refused."""
        check_xml(body)
        with refusing():
            encrypted = xmltodict.parse(body)["xml"].get("Encrypt")
            if encrypted is None:
                raise Refused("plaintext")
            if not isinstance(encrypted, str):
                raise Refused("malformed")
            letter = self.decrypt(encrypted, query, now)
        check_xml(letter)
        return letter

    def open_xml(self, body: str, query: Mapping[str, str], now: datetime) -> Any:
        """The same as a wechatpy message."""
        letter = self.opened(body, query, now)
        with refusing():
            return parse_message(letter)

    def seal(self, letter: str, timestamp: str, nonce: str) -> tuple[str, str]:
        """The letter encrypted, and its signature, with the keys that the platform used last."""
        encrypted: str = self._used.crypto.encrypt(letter, self._receiver).decode()
        return encrypted, signature_of(self._used.token, timestamp, nonce, encrypted)
