"""The callback addresses as one table, and whoever writes rubbish to them: seeded, so that a failure comes again."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.channels.security import Vault
from bot.platform.server import Platform

OTHER_TOKEN, OTHER_KEY = "anothertoken", "w" * 43
XML_NAMES = (
    "ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "EventKey", "Content", "MsgId", "AgentID", "PicUrl",
    "MediaId", "Location_X", "Location_Y", "TaskId", "SelectedItems", "ResponseCode", "Token", "OpenKfId", "Ticket",
)  # fmt: skip
JSON_NAMES = (
    "msgid", "aibotid", "chatid", "chattype", "from", "userid", "msgtype", "text", "content", "event", "eventtype",
    "template_card_event", "card_type", "event_key", "task_id", "selected_items", "quote", "mixed", "msg_item", "id",
    "stream", "response_url", "image", "url", "aeskey",
)  # fmt: skip
WORDS = (
    "text", "event", "image", "CLICK", "SCAN", "subscribe", "template_card_event", "kf_msg_or_event", "group", "single",
    "accept:1", "done:1", "-1", "0", "99999999999999999999", "NaN", "1e999", "\x00", "\ud7ff", "]]>", "<![CDATA[", "%s",
    "${jndi:ldap://x}", "'; DROP TABLE ticket; --", "../../etc/passwd", "&lol9;", "@all", "😀" * 40, "你" * 300,
)  # fmt: skip
SMALL = 30  # characters of noise


@dataclass(frozen=True)
class Endpoint:
    """One callback address. token, key, receiver: the right ones. xml: how letters are written. letter: a right one, of
    a message with these words under this id, by whoever is named third."""

    name: str
    path: str
    token: str
    key: str
    receiver: str
    xml: bool
    letter: Callable[..., str]

    def sealed(
        self, letter: str, stamp: str, nonce: str, *, token: str = "", key: str = "", receiver: str | None = None
    ) -> tuple[dict[str, str], str]:
        """Query and body, as the platform would post them; with another token, key or receiver, as somebody else."""
        vault = Vault(token or self.token, key or self.key, self.receiver if receiver is None else receiver)
        encrypted, signature = vault.seal(letter, stamp, nonce)
        return {"msg_signature": signature, "timestamp": stamp, "nonce": nonce}, self.wrapped(encrypted)

    def wrapped(self, encrypted: str) -> str:
        """The body around an encrypted letter."""
        if self.xml:
            return f"<xml><ToUserName><![CDATA[x]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        return json.dumps({"encrypt": encrypted})

    def bombs(self) -> Mapping[str, tuple[str, str]]:
        """What would cost a careless reader dearly: name → (letter, why it is refused)."""
        if not self.xml:
            deep = '{"a":' * 5_000 + "1" + "}" * 5_000
            return {
                "deep": (deep, "depth"),
                "deep lists": ("[" * 20_000, "depth"),
                "doubled key": ('{"msgid":"a","msgid":"b"}', "malformed"),
                "NaN": ('{"msgid":NaN}', "malformed"),
                "huge number": ('{"msgid":' + "9" * 20_000 + "}", "malformed"),
                "no object": ('"' + "a" * 1_000 + '"', "malformed"),
            }
        lines = "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, 10))
        return {
            "entities": (f'<!DOCTYPE x [<!ENTITY b0 "lol">{lines}]><xml><Content>&b9;</Content></xml>', "markup"),
            "outside": ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml>&e;</xml>', "markup"),
            "dtd": ('<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml/>', "markup"),
            "instruction": ('<xml><?xml-stylesheet href="http://127.0.0.1:9/x"?></xml>', "markup"),
            "deep": ("<a>" * 5_000 + "</a>" * 5_000, "depth"),
            "unclosed": ("<xml>" * 5, "malformed"),
        }


def endpoints(p: Platform) -> list[Endpoint]:
    """All of them, with this platform's accounts."""
    mp, app, kf, bot = p.mp, p.app, p.kf, p.bot
    at = f"<CreateTime>{int(p.clock().timestamp())}</CreateTime>"

    def said(words: str, number: str) -> str:
        return f"{at}<MsgType>text</MsgType><Content><![CDATA[{words}]]></Content><MsgId>{number}</MsgId>"

    def to_account(words: str, number: str, who: str = "o-1") -> str:
        return f"<xml><ToUserName>gh_1</ToUserName><FromUserName>{who}</FromUserName>{said(words, number)}</xml>"

    def to_app(words: str, number: str, who: str = "w01") -> str:
        named = f"<ToUserName>{app.corp_id}</ToUserName><FromUserName>{who}</FromUserName>"
        return f"<xml>{named}<AgentID>{app.agent_id}</AgentID>{said(words, number)}</xml>"

    def to_service(_words: str, number: str, _who: str = "") -> str:
        which = f"<Token>T{number}</Token><OpenKfId>{kf.open_kfid}</OpenKfId>"
        told = f"{at}<MsgType>event</MsgType><Event>kf_msg_or_event</Event>{which}"
        return f"<xml><ToUserName>{kf.corp_id}</ToUserName>{told}</xml>"

    def to_bot(words: str, number: str, who: str = "u05") -> str:
        told = {"msgid": number, "aibotid": bot.id, "chattype": "single", "from": {"userid": who}}
        return json.dumps(told | {"msgtype": "text", "text": {"content": words}})

    return [
        Endpoint("wechat_mp", "/callback/wechat_mp", mp.token, mp.aes_key, mp.app_id, True, to_account),
        Endpoint("wecom_app", "/callback/wecom_app", app.token, app.aes_key, app.corp_id, True, to_app),
        Endpoint("wecom_kf", "/callback/wecom_kf", kf.token, kf.aes_key, kf.corp_id, True, to_service),
        Endpoint("wecom_bot", "/callback/wecom_bot", bot.token, bot.aes_key, "", False, to_bot),
    ]


class Foe:
    """Makes letters that no platform would send."""

    def __init__(self, endpoint: Endpoint, seed: int) -> None:
        self._endpoint = endpoint
        self._random = random.Random(f"{endpoint.name} {seed}")
        self._turn = 0

    def letter(self) -> str:
        """Noise; the platform's names with rubbish in them; or a right letter with a piece missing."""
        kind = self._random.randrange(3)
        if kind == 0:
            return self._noise()
        if kind == 1:
            return self._tree(0) if self._endpoint.xml else json.dumps(self._value(0))
        self._turn += 1
        whole = self._endpoint.letter(self._noise(), str(10_000 + self._turn))
        return whole[: self._random.randrange(len(whole))]

    def body(self) -> str:
        """A body whose outside is made up, too."""
        return self._random.choice((self.letter, lambda: self._endpoint.wrapped(self._noise())))()

    def _noise(self) -> str:
        few = self._random.randrange(SMALL)
        return "".join(
            chr(self._random.choice((32, 60, 123, 34, 0x4E00)) + self._random.randrange(90)) for _ in range(few)
        )

    def _word(self) -> str:
        return self._random.choice((self._noise, lambda: self._random.choice(WORDS)))()

    def _tree(self, depth: int) -> str:
        inner = []
        for _ in range(self._random.randrange(6)):
            name = self._random.choice(XML_NAMES)
            value = self._tree(depth + 1) if depth < 3 and not self._random.randrange(4) else self._word()
            inner.append(f"<{name}>{value}</{name}>")
        return f"<xml>{''.join(inner)}</xml>"

    def _value(self, depth: int) -> Any:
        pick = self._random.randrange(8 if depth < 4 else 5)
        if pick > 4:
            some = range(self._random.randrange(6))
            return {self._random.choice(JSON_NAMES): self._value(depth + 1) for _ in some}
        if pick == 4:
            return [self._word() for _ in range(self._random.randrange(4))]
        return (self._word(), self._random.randrange(-9, 9), None, True)[pick]
