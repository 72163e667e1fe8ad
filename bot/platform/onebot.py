"""A OneBot v11 implementation without QQ behind it: it dials in, tells what people say, and does what it is told.

As strict as the standard is, so that what passes here passes elsewhere. Source: OneBot v11, 通信: 反向 WebSocket; 消息.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any

import aiohttp

from bot.platform.world import Body

ACCOUNT = 10001
KINDS = ("text", "at", "reply", "image", "record")  # of segments that may be sent


class Implementation(ABC):
    """One account. url: where the bot listens, token: its own; clock: seconds since 1970."""

    def __init__(self, url: str, token: str, *, account: int, clock: Callable[[], float]) -> None:
        self.url = url
        self.token = token
        self.account = account
        self.headers: dict[str, str] = {}
        self._clock = clock
        self._ids = count(int(clock()))  # no message of a later run has the number of an earlier one
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    @abstractmethod
    def post(self, chat: str, message: list[Body]) -> int:
        """The account posts in `g-777`, or to a user's number; returns the message's id."""

    # --- the connection -----------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """The bot has taken it, and nobody has hung up."""
        return self._socket is not None and not self._socket.closed

    async def dial(self) -> None:
        """Connect. Raises aiohttp.ClientError, of which WSServerHandshakeError when the other side refuses."""
        await self._over()
        told = {"X-Self-ID": str(self.account), "X-Client-Role": "Universal"}
        if self.token:
            told["Authorization"] = f"Bearer {self.token}"
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(self.url, headers=told | self.headers)
        except (aiohttp.ClientError, OSError):
            await self._session.close()
            raise
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.event(post_type="meta_event", meta_event_type="lifecycle", sub_type="connect")
        await self.beat()

    async def hang_up(self) -> None:
        """Close cleanly."""
        if self._socket is not None:
            await self._socket.close()
        await self._over()

    async def _over(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        if self._session is not None:
            await self._session.close()
        self._socket = self._reader = self._session = None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            action = json.loads(frame.data)
            if (answer := self.answer(action)) is not None:
                await socket.send_json(answer | {"echo": action.get("echo")})

    # --- what it is told ----------------------------------------------------------------------------------------

    def answer(self, action: Body) -> Body | None:
        """Do it, and say so; None: no answer comes."""
        params = action.get("params") or {}
        group, user = params.get("group_id"), params.get("user_id")
        match action["action"]:
            case "send_group_msg":
                return self._send(f"g-{group}", group, params)
            case "send_private_msg":
                return self._send(f"{user}", user, params)
            case "send_msg" if params.get("message_type") == "group" or group:
                return self._send(f"g-{group}", group, params)
            case "send_msg":
                return self._send(f"{user}", user, params)
            case "get_login_info":
                return done({"user_id": self.account, "nickname": "邻声"})
            case "get_status":
                return done({"online": True, "good": True})
        return failed(1404)

    def _send(self, chat: str, number: object, params: Body) -> Body:
        message = params.get("message")
        if isinstance(message, str):
            message = [{"type": "text", "data": {"text": message}}]
        if not isinstance(number, int) or not isinstance(message, list) or not message:
            return failed(100)
        for one in message:
            known = one.get("type") in KINDS and isinstance(one.get("data"), dict)
            if not known or (one["type"] == "text" and not isinstance(one["data"].get("text"), str)):
                return failed(100)
        return done({"message_id": self.post(chat, message)})

    # --- what it tells ------------------------------------------------------------------------------------------

    async def event(self, **fields: Any) -> None:
        """Send an event as it is. Raises ConnectionError when nobody listens."""
        if self._socket is None:
            raise ConnectionError("the bot is not connected")
        await self._socket.send_json({"time": int(self._clock()), "self_id": self.account} | fields)

    async def beat(self, *, online: bool = True) -> None:
        """A heartbeat."""
        status = {"online": online, "good": online}
        await self.event(post_type="meta_event", meta_event_type="heartbeat", status=status, interval=5000)

    async def tell(self, group: int | None, user: int, message: list[Body], /, *, name: str = "", **more: Any) -> int:
        """Somebody writes in a group, or (group None) to the bot. Returns the message's id."""
        number = next(self._ids)
        where: Body = {"message_type": "private", "sub_type": "friend"}
        if group is not None:
            where = {"message_type": "group", "sub_type": "normal", "group_id": group, "anonymous": None}
        fields = {
            "post_type": "message", "message_id": number, "user_id": user, "message": message, "raw_message": "",
            "font": 0, "sender": {"user_id": user, "nickname": name or str(user), "card": "", "role": "member"},
        }  # fmt: skip
        await self.event(**(fields | where | more))
        return number


def done(data: Body) -> Body:
    """An answer that says it is done."""
    return {"status": "ok", "retcode": 0, "data": data, "message": "", "wording": ""}


def failed(code: int, words: str = "") -> Body:
    """An answer that says it is not. words: the implementation's own."""
    return {"status": "failed", "retcode": code, "data": None, "message": words, "wording": words}
