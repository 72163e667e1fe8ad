"""A OneBot v11 implementation without QQ behind it: it dials in, plays what people say, and keeps what it is told.

It is as strict as the standard is, so that what passes here passes elsewhere; `test_foreign.py` has aiocqhttp and
nonebot2 talk to it.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any

import aiohttp

Segment = dict[str, Any]
PATIENCE = 10.0  # seconds of real time for what the other side does
EPOCH = 1_772_409_600  # 2026-03-02 00:00 UTC


async def so(true: Callable[[], bool]) -> None:
    """Wait until it is so. Raises TimeoutError."""
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(PATIENCE / 2_000)
    raise TimeoutError


def text(words: str) -> Segment:
    """A text segment."""
    return {"type": "text", "data": {"text": words}}


def at(user: int | str) -> Segment:
    """A mention."""
    return {"type": "at", "data": {"qq": str(user)}}


def reply(message: int) -> Segment:
    """A quote."""
    return {"type": "reply", "data": {"id": str(message)}}


def image(name: str, base: str = "https://gchat.qpic.cn/") -> Segment:
    """A picture. base: where it can be had."""
    return {"type": "image", "data": {"file": name, "url": f"{base}{name}"}}


def record(name: str) -> Segment:
    """A voice."""
    return {"type": "record", "data": {"file": name, "url": f"https://grouptalk.c2c.qq.com/{name}"}}


@dataclass(frozen=True)
class Shown:
    """What the account posted. chat: `g-777`, or a user's number."""

    id: int
    chat: str
    message: list[Segment]

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(one["data"]["text"] for one in self.message if one["type"] == "text")

    @property
    def quotes(self) -> int | None:
        """The message it quotes."""
        return next((int(one["data"]["id"]) for one in self.message if one["type"] == "reply"), None)


@dataclass
class FakeQQ:
    """One account. silent: actions get no answer. refuse: actions fail with this retcode, so often as it is there."""

    url: str
    token: str
    account: int = 10001
    clock: Callable[[], float] = lambda: float(EPOCH)
    shown: list[Shown] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = count(1)
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> "FakeQQ":
        await self.dial()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    # --- the connection -----------------------------------------------------------------------------------------

    async def dial(self) -> None:
        """Connect. Raises aiohttp.WSServerHandshakeError when the other side refuses."""
        await self._over()
        told = {"X-Self-ID": str(self.account), "X-Client-Role": "Universal"}
        if self.token:
            told["Authorization"] = f"Bearer {self.token}"
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(self.url, headers=told | self.headers)
        except aiohttp.ClientError:
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

    async def drop(self) -> None:
        """Vanish without a goodbye, as a machine does that loses its power."""
        assert self._socket is not None
        connection = self._socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await self._over()

    async def _over(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        if self._session is not None:
            await self._session.close()
        self._socket = self._reader = self._session = None

    async def closed(self) -> int | None:
        """Wait until the other side hangs up; its close code."""
        assert self._reader is not None
        assert self._socket is not None
        socket = self._socket
        await asyncio.wait_for(asyncio.shield(self._reader), PATIENCE)
        return socket.close_code

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            action = json.loads(frame.data)
            self.actions.append(action)
            if not self.silent:
                await socket.send_json(self._answer(action) | {"echo": action.get("echo")})
            self._news.set()

    # --- what it is told ----------------------------------------------------------------------------------------

    def _answer(self, action: dict[str, Any]) -> dict[str, Any]:
        params = action.get("params") or {}
        if self.refuse:
            return failed(self.refuse.pop(0))
        match action["action"]:
            case "send_group_msg":
                return self._send(f"g-{params.get('group_id')}", params.get("group_id"), params)
            case "send_private_msg":
                return self._send(f"{params.get('user_id')}", params.get("user_id"), params)
            case "send_msg" if params.get("message_type") == "group" or params.get("group_id"):
                return self._send(f"g-{params.get('group_id')}", params.get("group_id"), params)
            case "send_msg":
                return self._send(f"{params.get('user_id')}", params.get("user_id"), params)
            case "get_login_info":
                return done({"user_id": self.account, "nickname": "邻声"})
            case "get_status":
                return done({"online": True, "good": True})
        return failed(1404)

    def _send(self, chat: str, number: object, params: dict[str, Any]) -> dict[str, Any]:
        message = params.get("message")
        if isinstance(message, str):
            message = [text(message)]
        if not isinstance(number, int) or not isinstance(message, list) or not message:
            return failed(100)
        for one in message:
            known = one.get("type") in ("text", "at", "reply", "image", "record") and isinstance(one.get("data"), dict)
            if not known or (one["type"] == "text" and not isinstance(one["data"].get("text"), str)):
                return failed(100)
        self.shown.append(Shown(next(self._ids), chat, message))
        return done({"message_id": self.shown[-1].id})

    # --- what people do -----------------------------------------------------------------------------------------

    async def event(self, **fields: Any) -> None:
        """Send an event as it is."""
        assert self._socket is not None
        await self._socket.send_json({"time": int(self.clock()), "self_id": self.account} | fields)

    async def raw(self, frame: str) -> None:
        """Send any text."""
        assert self._socket is not None
        await self._socket.send_str(frame)

    async def beat(self, *, online: bool = True) -> None:
        """A heartbeat."""
        status = {"online": online, "good": online}
        await self.event(post_type="meta_event", meta_event_type="heartbeat", status=status, interval=5000)

    async def say(self, group: int | None, user: int, *message: Segment | str, name: str = "", **more: Any) -> int:
        """Somebody writes in a group, or (group None) to the bot. Returns the message's id."""
        number = next(self._ids)
        parts = [text(one) if isinstance(one, str) else one for one in message]
        sender = {"user_id": user, "nickname": name or str(user), "card": "", "role": "member"}
        where = {"message_type": "private", "sub_type": "friend"}
        if group is not None:
            where = {"message_type": "group", "sub_type": "normal", "group_id": group, "anonymous": None}  # type: ignore[dict-item]
        fields = {
            "post_type": "message", "message_id": number, "user_id": user, "message": parts, "raw_message": "",
            "font": 0, "sender": sender,
        }  # fmt: skip
        await self.event(**(fields | where | more))
        return number

    async def recall(self, group: int, user: int, message: int, *, by: int | None = None) -> None:
        """Somebody takes a message back, or an administrator (by) removes it."""
        fields = {"group_id": group, "user_id": user, "operator_id": by or user, "message_id": message}
        await self.event(post_type="notice", notice_type="group_recall", **fields)

    # --- what is seen -------------------------------------------------------------------------------------------

    def seen(self, chat: int | str) -> list[Shown]:
        """What the account posted in `g-777`, or to a user."""
        return [one for one in self.shown if one.chat == str(chat)]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._news.clear()
                await self._news.wait()


def done(data: dict[str, Any]) -> dict[str, Any]:
    """An answer that says it is done."""
    return {"status": "ok", "retcode": 0, "data": data, "message": "", "wording": ""}


def failed(code: int) -> dict[str, Any]:
    """An answer that says it is not."""
    return {"status": "failed", "retcode": code, "data": None, "message": "秘密的话", "wording": "秘密的话"}
