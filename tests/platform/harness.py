"""The platform inside a test: `async with platform() as p`. What it offers stands in README.md here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from bot.platform.server import Platform
from tests.conftest import START, HandClock


class StoppedClock(HandClock):
    """A clock that is moved by hand, and wakes whoever waits for a moment that has come."""

    def __init__(self, now: datetime = START) -> None:
        super().__init__(now)
        self._waiting: list[tuple[datetime, asyncio.Future[None]]] = []

    async def wait(self, seconds: float) -> None:
        """Until the clock was moved that far."""
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.now + timedelta(seconds=seconds), future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def set(self, now: datetime) -> datetime:
        """Make it `now`."""
        super().set(now)
        self._wake()
        return self.now

    def forward(self, **span: float) -> datetime:
        """Let time pass."""
        super().forward(**span)
        self._wake()
        return self.now

    def _wake(self) -> None:
        for when, future in list(self._waiting):
            if when <= self.now and not future.done():
                future.set_result(None)


class TestPlatform(Platform):
    """The platform with a clock that a test moves."""

    __test__ = False
    clock: StoppedClock


@asynccontextmanager
async def platform(*, clock: StoppedClock | None = None, bot_callback: str = "") -> AsyncIterator[TestPlatform]:
    """A platform that listens on loopback. bot_callback: the AI bot's webhook; without, it awaits a long connection."""
    p = TestPlatform(clock or StoppedClock())
    p.bot.callback = bot_callback
    await p.start()
    try:
        yield p
    finally:
        await p.stop()
