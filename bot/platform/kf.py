"""微信客服: what customers do; the calls stand in `kf_api`. Sources: kf pages, 企业微信 94670, 94677, 95122."""

import copy
import json
import secrets
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from bot.platform.aibot_people import JPEG
from bot.platform.clock import beginning
from bot.platform.codes import PlatformError
from bot.platform.crypto import random_word
from bot.platform.limits import Window
from bot.platform.official import AMR
from bot.platform.push import Push
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble
from bot.platform.xml_account import XmlAccount

CHANNEL = "wecom_kf"
TOKEN_LIFE = timedelta(minutes=10)
WELCOME_LIFE = timedelta(seconds=20)
CUSTOMER, SYSTEM, SERVICER = 3, 4, 5
UNTREATED, ASSISTANT, QUEUE, HUMAN, CLOSED = range(5)


class CustomerService(XmlAccount):
    """One 客服 account. open_kfid, corp_id, secret, token, aes_key: for the app's settings. Users are external ids.

    accounts: all of the corporation's that this application answers for, itself among them.
    """

    def __init__(self, shared: Shared, corp_id: str) -> None:
        super().__init__(shared, "kf", corp_id, corp_id, official=False)
        self.corp_id = corp_id
        self.accounts = [self]
        self._begin(f"wk{shared.names.word('kf.id', 30)}")

    def beside(self) -> "CustomerService":
        """Another 客服账号 of the same application: chats, sessions and counts of its own, the same callback."""
        other = copy.copy(self)
        other._begin(f"wk{random_word(30)}")
        self.accounts.append(other)
        return other

    def _begin(self, open_kfid: str) -> None:
        self.open_kfid = open_kfid
        self.messages: list[Body] = []
        self.run = beginning(self.clock)  # cursors name it: one of another run stands before everything
        self.states: dict[str, tuple[int, str]] = {}  # by customer: state and servicer
        self.links: dict[str, str] = {}  # contact ways: url to scene
        self.window = Window(late=95002, used=95001)
        self.tokens: dict[str, datetime] = {}
        self._welcomes: dict[str, tuple[str, datetime]] = {}

    async def enter(self, user: str, url: str = "") -> Push | None:
        """She opens the chat, by a contact way's address; `&scene_param=…` on it comes along. The welcome code is given
        when she has not been in a session for 48 hours."""
        scene = self.links.get(url.partition("&")[0], "")
        event: Body = {
            "event_type": "enter_session",
            "open_kfid": self.open_kfid,
            "external_userid": user,
            "scene": scene,
        }
        event["scene_param"] = parse_qs(urlsplit(url).query or url.partition("&")[2]).get("scene_param", [""])[0]
        if not self.window.left(user, self.clock()):
            event["welcome_code"] = random_word(43)
            self._welcomes[event["welcome_code"]] = (user, self.clock())
        return await self._add({"origin": SYSTEM, "msgtype": "event", "event": event}, user, system=True)

    async def say(self, user: str, text: str, *, menu: str = "") -> Bubble:
        """Words. menu: the id of the msgmenu item that she pressed."""
        return await self._write(user, "text", {"content": text} | ({"menu_id": menu} if menu else {}), text)

    async def choose(self, menu: Bubble, user: str, item: str) -> Bubble:
        """She presses an item of a msgmenu. Raises ValueError when it has no such item."""
        items = {
            found["click"]["id"]: found["click"]["content"]
            for found in menu.body["msgmenu"]["list"]
            if found["type"] == "click"
        }
        if item not in items:
            raise ValueError(f"the menu offers {sorted(items)}")
        return await self.say(user, items[item], menu=item)

    async def photo(self, user: str, data: bytes = JPEG) -> Bubble:
        """A picture."""
        return await self._write(user, "image", {"media_id": self.media.keep("image", "picture.jpg", data)}, "[图片]")

    async def voice(self, user: str, data: bytes = AMR) -> Bubble:
        """A voice message."""
        return await self._write(user, "voice", {"media_id": self.media.keep("voice", "voice.amr", data)}, "[语音]")

    async def location(self, user: str, lat: float, lon: float, name: str = "", address: str = "") -> Bubble:
        """A pin, GCJ-02."""
        body = {"latitude": lat, "longitude": lon, "name": name, "address": address}
        return await self._write(user, "location", body, f"[位置]{name}")

    async def forward(self, user: str, title: str, lines: list[tuple[str, str]]) -> Bubble:
        """A forwarded chat record. lines: (who, words)."""
        items = [
            {
                "send_time": self.seconds, "msgtype": "text", "sender_name": who,
                "msg_content": json.dumps({"msgtype": "text", "text": {"content": words}}, ensure_ascii=False),
            }
            for who, words in lines
        ]  # fmt: skip
        return await self._write(user, "merged_msg", {"title": title, "item": items}, title)

    async def recall(self, user: str, taken: Bubble) -> Push | None:
        """She takes a message back."""
        taken.recalled = True
        event = {
            "event_type": "user_recall_msg", "open_kfid": self.open_kfid, "external_userid": user,
            "recall_msgid": taken.id,
        }  # fmt: skip
        return await self._add({"origin": SYSTEM, "msgtype": "event", "event": event}, user, system=True)

    async def fail(self, user: str, message: str, kind: int = 4) -> Push | None:
        """The platform tells that a sent message did not arrive. kind: fail_type, 4 session over, 10 user refuses."""
        event = {
            "event_type": "msg_send_fail", "open_kfid": self.open_kfid, "external_userid": user,
            "fail_msgid": message, "fail_type": kind,
        }  # fmt: skip
        return await self._add({"origin": SYSTEM, "msgtype": "event", "event": event}, user, system=True)

    def greets(self, code: str) -> bool:
        """Whether this account gave that welcome code, and nobody has used it."""
        return code in self._welcomes

    def welcome_to(self, code: str) -> str:
        """Whom a welcome code greets; it is good once and for 20 seconds. Raises PlatformError."""
        user, at = self._welcomes.pop(code, ("", self.clock()))
        if not user or self.clock() - at > WELCOME_LIFE:
            raise PlatformError(40058, "code")
        return user

    async def announce(self) -> Push | None:
        """Tell the app that there is something to fetch."""
        token = f"ENC{random_word(40)}"
        self.tokens[token] = self.clock() + TOKEN_LIFE
        letter = {
            "ToUserName": self.corp_id, "CreateTime": self.seconds, "MsgType": "event", "Event": "kf_msg_or_event",
            "Token": token, "OpenKfId": self.open_kfid,
        }  # fmt: skip
        push, answer = await self.tell("", letter)
        if answer:
            self.complain(f"{CHANNEL}: kf_msg_or_event takes no answer")
        return push

    async def _write(self, user: str, kind: str, inner: Body, text: str) -> Bubble:
        self.window.heard(user, self.clock())
        state, _ = self.states.get(user, (UNTREATED, ""))
        if state in (UNTREATED, CLOSED):
            self.states[user] = (ASSISTANT, "")
        message = f"from_msgid_{secrets.randbits(62)}"
        bubble = Bubble(message, self.clock(), CHANNEL, user, by=user, kind=kind, text=text, body={kind: inner})
        self.world.show(bubble)
        await self._add({"msgid": message, "origin": CUSTOMER, "msgtype": kind, kind: inner}, user)
        return bubble

    async def _add(self, message: Body, user: str, *, system: bool = False) -> Push | None:
        head: Body = {"msgid": f"from_msgid_{secrets.randbits(62)}", "send_time": self.seconds}
        if not system:  # an event carries both inside
            head |= {"open_kfid": self.open_kfid, "external_userid": user}
        self.messages.append(head | message)
        return await self.announce()
