"""The platform inside a test: `async with platform() as p`. What it offers stands in README.md here."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session, col

from bot.channels.base import Channel
from bot.platform.server import Platform
from bot.sender import Sender
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Outgoing
from models.outbox import Outbox
from tests.conftest import START, HandClock

C = TypeVar("C", bound=Channel)


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

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait until it holds, on a screen or in a database, which tells nobody. seconds: of real time."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


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


class Opposite(Generic[C]):
    """One channel of a deployment opposite the platform: what it hears, and a sender for it; no worker."""

    channel: C

    def __init__(self, p: TestPlatform, db: Database) -> None:
        self.p, self.db = p, db
        self._turn = itertools.count()

    @cached_property
    def sender(self) -> Sender:
        """A sender that has this channel only."""
        return Sender(self.db, {self.channel.name: self.channel}, self.p.clock)

    def heard(self) -> list[Incoming]:
        """What was kept, oldest first."""

        def read(session: Session) -> list[Incoming]:
            return [inbox.read(row) for row in session.scalars(sa.select(Inbox).order_by(col(Inbox.id)))]

        return self.db.tx(read)

    def rows(self) -> list[Outbox]:
        """What leaves or has left, oldest first."""
        return self.db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(col(Outbox.id)))))

    async def send(self, user: str, *texts: str, **more: Any) -> None:
        """Put messages in the outbox and let them leave."""
        outs = [Outgoing(channel=self.channel.name, chat=user, text=text, **more) for text in texts]
        rows = [(f"test:{next(self._turn)}", out) for out in outs]
        await self.db.run(lambda session: outbox.put(session, rows, self.p.clock()))
        await self.leave()

    async def leave(self) -> None:
        """Everything that is due leaves."""
        while await self.sender.step():
            pass


@asynccontextmanager
async def listening(channel: Channel) -> AsyncIterator[TestServer]:
    """The channel's addresses on loopback, and nothing else."""
    app = web.Application()
    app.add_routes(channel.routes())
    server = TestServer(app)
    async with server:
        yield server
