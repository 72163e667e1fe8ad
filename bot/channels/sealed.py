"""Encrypted callbacks of WeCom (企业微信): JSON for the AI bot (智能机器人), XML for self-built apps and 微信客服.

Platform pages: 101033 加解密说明, 101039 接收消息, 90238 回调配置. Signature, time window, key and receiver are those
of `bot.channels.security.Vault`; here stand the shapes around them, and the answers.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

import xmltodict

from bot.channels.security import Refused, Vault, refusing

JSON_DEPTH = 16  # the deepest letter of the platform, the options of a clicked card, has eight levels
NONCE = re.compile(r"[0-9A-Za-z_-]{1,64}")

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[{\]}]")


def check_json(text: str) -> dict[str, Any]:
    """The object in `text`. Raises Refused for anything else, for deep nesting, doubled keys, and NaN."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > JSON_DEPTH:
            raise Refused("depth")
    with refusing():
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise Refused("malformed")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("malformed")  # two readers would understand two different letters
    return found


def _no_number(_name: str) -> NoReturn:
    raise Refused("malformed")


def cdata(text: str) -> str:
    """`text` as XML character data: a `]]>` in it cannot end the section."""
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


class Seal(Vault):
    """Opens and answers the callbacks of one WeCom bot or app. receiver: "" for a bot, else the corp id."""

    def greet(self, query: Mapping[str, str], now: datetime) -> str:
        """What the address check wants back, within a second: the echostr decrypted, as it is. Raises Refused."""
        return self.decrypt(query.get("echostr", ""), query, now)

    def open_json(self, body: str, query: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """The object inside `{"encrypt": "…"}`. Raises Refused; a body in the clear is refused."""
        sealed = check_json(body)
        encrypted = sealed.get("encrypt")
        if encrypted is None:
            raise Refused("plaintext")
        if not isinstance(encrypted, str):
            raise Refused("malformed")
        return check_json(self.decrypt(encrypted, query, now))

    def open_fields(self, body: str, query: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """The elements inside `<xml><Encrypt>…`, as xmltodict gives them (repeated ones as lists). Raises Refused."""
        letter = self.opened(body, query, now)
        with refusing():
            fields = xmltodict.parse(letter)["xml"]
        if not isinstance(fields, dict):
            raise Refused("malformed")
        return fields

    def answer_json(self, payload: dict[str, Any], nonce: str, now: datetime) -> str:
        """The body of an encrypted answer. nonce: that of the callback. Its timestamp is a number, as page 101033 has
        it."""
        timestamp = str(int(now.timestamp()))
        encrypted, signature = self._sealed(json.dumps(payload, ensure_ascii=False), timestamp, nonce)
        return json.dumps(
            {"encrypt": encrypted, "msgsignature": signature, "timestamp": int(timestamp), "nonce": nonce}
        )

    def answer_xml(self, letter: str, nonce: str, now: datetime) -> str:
        """The same for XML callbacks. letter: the answer's XML, whose texts went through `cdata`."""
        timestamp = str(int(now.timestamp()))
        encrypted, signature = self._sealed(letter, timestamp, nonce)
        return (
            f"<xml><Encrypt>{cdata(encrypted)}</Encrypt><MsgSignature>{cdata(signature)}</MsgSignature>"
            f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{cdata(nonce)}</Nonce></xml>"
        )

    def _sealed(self, letter: str, timestamp: str, nonce: str) -> tuple[str, str]:
        if not NONCE.fullmatch(nonce):
            raise Refused("malformed")  # it is the callback's, so anybody's words; it goes into our answer
        return self.seal(letter, timestamp, nonce)
