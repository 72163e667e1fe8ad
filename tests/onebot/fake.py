"""The platform's OneBot implementation for tests: it can be rude, and keeps what it is told.

`test_foreign.py` has aiocqhttp and nonebot2 talk to it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from bot.platform.onebot import ACCOUNT, Implementation, failed

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


class FakeQQ(Implementation):
    """The platform's implementation with faults. silent: actions get no answer. refuse: actions fail with this retcode,
    so often as it is there."""

    def __init__(
        self, url: str, token: str, account: int = ACCOUNT, *, clock: Callable[[], float] = lambda: float(EPOCH),
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(url, token, account=account, clock=clock)
        self.headers = headers or {}
        self.shown: list[Shown] = []
        self.actions: list[dict[str, Any]] = []
        self.refuse: list[int] = []
        self.silent = False
        self._news = asyncio.Event()

    async def __aenter__(self) -> "FakeQQ":
        await self.dial()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    async def drop(self) -> None:
        """Vanish without a goodbye, as a machine does that loses its power."""
        assert self._socket is not None
        connection = self._socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await self._over()

    async def closed(self) -> int | None:
        """Wait until the other side hangs up; its close code."""
        assert self._reader is not None
        assert self._socket is not None
        socket = self._socket
        await asyncio.wait_for(asyncio.shield(self._reader), PATIENCE)
        return socket.close_code

    def answer(self, action: dict[str, Any]) -> dict[str, Any] | None:
        """As the standard says, unless the test says otherwise."""
        self.actions.append(action)
        self._news.set()
        if self.silent:
            return None
        return failed(self.refuse.pop(0), "秘密的话") if self.refuse else super().answer(action)

    def post(self, chat: str, message: list[Segment]) -> int:
        """Kept in `shown`."""
        self.shown.append(Shown(next(self._ids), chat, message))
        return self.shown[-1].id

    async def raw(self, frame: str) -> None:
        """Send any text."""
        assert self._socket is not None
        await self._socket.send_str(frame)

    async def say(self, group: int | None, user: int, *message: Segment | str, name: str = "", **more: Any) -> int:
        """Somebody writes in a group, or (group None) to the bot. Returns the message's id."""
        parts = [text(one) if isinstance(one, str) else one for one in message]
        return await self.tell(group, user, parts, name=name, **more)

    async def recall(self, group: int, user: int, message: int, *, by: int | None = None) -> None:
        """Somebody takes a message back, or an administrator (by) removes it."""
        fields = {"group_id": group, "user_id": user, "operator_id": by or user, "message_id": message}
        await self.event(post_type="notice", notice_type="group_recall", **fields)

    def seen(self, chat: int | str) -> list[Shown]:
        """What the account posted in `g-777`, or to a user."""
        return [one for one in self.shown if one.chat == str(chat)]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._news.clear()
                await self._news.wait()
