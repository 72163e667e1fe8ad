"""What the fake platform posts: signed, encrypted callbacks, and the conversations of a storm."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from bot.channels.security import Vault, signature_of
from bot.channels.wechat_mp import PATH

TOKEN, KEY, APP, SECRET = "a-token", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7", "a-secret"

# Each opens a ticket for sure when it is the first a direct chat tells of, in the demo town.
REPORTS = (
    "柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修",
    "粮站宿舍2幢下水道又堵了，污水都冒出来了，没人管",
    "机械厂新村4幢单元门坏了关不上，好几天没人修",
    "桂雨名苑2幢外墙瓷砖掉下来了，差点砸到人，没人管",
    "白石新苑4幢井盖坏了，踩上去哐当响，好几天没人修",
    "白石新苑2幢门口路面坏了一个大坑，好几天没人修",
    "丝厂公寓3幢楼道里堆满杂物，路都走不通",
    "桂雨名苑6幢楼下垃圾堆成山，好几天没人清，臭死了",
)
BEFORE, AFTER = ("你好", "早上好", "今天天气不错"), ("谢谢", "好的，谢谢您", "周末愉快")
STATUS = "修得怎么样了"


@dataclass(frozen=True)
class Line:
    """One message of a resident: the platform's id, the openid, the words."""

    number: int
    user: str
    text: str
    report: bool = False


@dataclass(frozen=True)
class Callback:
    """A request as the platform makes it: path with query, and body."""

    path: str
    body: bytes


class Postmark:
    """Seals lines into callbacks. Every callback has a nonce of its own, one that is made again too."""

    def __init__(self) -> None:
        self._vault = Vault(TOKEN, KEY, APP)
        self._turn = 0

    def seal(self, line: Line, at: datetime) -> Callback:
        """The callback of a line that is sent at `at` (aware; the server takes five minutes either way)."""
        self._turn += 1
        seconds, nonce = str(int(at.timestamp())), f"n{self._turn}"
        fields = {
            "ToUserName": "gh_1", "FromUserName": line.user, "CreateTime": seconds, "MsgType": "text",
            "Content": line.text, "MsgId": line.number,
        }  # fmt: skip
        letter = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
        encrypted, signature = self._vault.seal(f"<xml>{letter}</xml>", seconds, nonce)
        query = {
            "signature": signature_of(TOKEN, seconds, nonce), "timestamp": seconds, "nonce": nonce,
            "openid": line.user, "encrypt_type": "aes", "msg_signature": signature,
        }  # fmt: skip
        body = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        return Callback(f"{PATH}?{urlencode(query)}", body.encode())


def conversations(count: int, draw: random.Random) -> Iterator[list[Line]]:
    """So many people, each with one matter and some talk around it."""
    number = 10_000
    for person in range(count):
        user = f"o-{person:04d}"
        said = [
            (draw.choice(BEFORE), False),
            (REPORTS[person % len(REPORTS)], True),
            (draw.choice(AFTER), False),
        ]
        if draw.random() < 0.5:
            said.append((STATUS, False))
        lines = []
        for text, report in said:
            number += 1
            lines.append(Line(number, user, text, report))
        yield lines
