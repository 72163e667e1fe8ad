"""QQ groups and users around one account that a OneBot implementation has logged in, on the common screens.

People are numbers here, and a group is `g-` and its number. What is written before the bot has taken the connection
reaches nobody, as in the wild.
"""

from contextlib import suppress

import aiohttp

from bot.platform.aibot_people import JPEG
from bot.platform.onebot import ACCOUNT, Implementation
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble

CHANNEL = "onebot"
AGAIN = 3.0  # seconds until it dials again


class QQ(Implementation):
    """callback: the bot's address, ws://…/onebot/v11/ws; "" for none. chat: a group that is there from the start."""

    def __init__(self, shared: Shared) -> None:
        token = shared.names.word("qq.token", 32)
        super().__init__("", token, account=ACCOUNT, clock=lambda: shared.clock().timestamp())
        self._shared = shared
        self.chat = self.group("QQ 邻里群", 777)

    @property
    def callback(self) -> str:
        """Where it dials."""
        return self.url

    @callback.setter
    def callback(self, url: str) -> None:
        self.url = url

    async def verify(self) -> bool:
        """Dial; whether the bot took it."""
        with suppress(aiohttp.ClientError, OSError):
            await self.dial()
        return self.connected

    async def redial(self) -> None:
        """Dial again and again, as an implementation does whose bot comes and goes."""
        while True:
            if self.callback and not self.connected:
                await self.verify()
            await self._shared.clock.wait(AGAIN)

    def group(self, name: str, number: int, *members: str) -> str:
        """A group; returns its chat id. Without members everybody looks."""
        return self._shared.world.group(CHANNEL, name, members, f"g-{number}").id

    async def say(self, chat: str | None, user: str, text: str, *, quote: Bubble | None = None) -> Bubble:
        """Words in a group, or (chat None) to the account."""
        quoted = [{"type": "reply", "data": {"id": quote.id}}] if quote is not None else []
        message = [*quoted, {"type": "text", "data": {"text": text}}]
        return await self._write(chat, user, message, text, quote=quote.text if quote is not None else "")

    async def photo(self, chat: str | None, user: str, data: bytes = JPEG, text: str = "") -> Bubble:
        """A picture, with words or without."""
        picture = {"file": "picture.jpg", "url": self._shared.media.plain("image", "picture.jpg", data)}
        words = [{"type": "text", "data": {"text": text}}] if text else []
        return await self._write(chat, user, [{"type": "image", "data": picture}, *words], f"[图片]{text}")

    def post(self, chat: str, message: list[Body]) -> int:
        """On the screens of that chat."""
        number = next(self._ids)
        text = "".join(str(one["data"]["text"]) for one in message if one["type"] == "text")
        answered = [str(one["data"].get("id")) for one in message if one["type"] == "reply"]
        quote = next((told.text for told in self._shared.world.talk(chat) if told.id in answered), "")
        now = self._shared.clock()
        self._shared.world.show(
            Bubble(str(number), now, CHANNEL, chat, text=text, body={"message": message}, quote=quote)
        )
        return number

    async def _write(self, chat: str | None, user: str, message: list[Body], shown: str, *, quote: str = "") -> Bubble:
        if not self.connected:
            raise ValueError("机器人还没有接上这个 QQ 号")
        group = None if chat is None else _number(chat.removeprefix("g-"))
        number = await self.tell(group, _number(user), message)
        told = Bubble(str(number), self._shared.clock(), CHANNEL, chat or user, by=user, text=shown, quote=quote)
        return self._shared.world.show(told)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("QQ 上的人和群都是号码")
    return int(text)
