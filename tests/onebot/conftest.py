"""A group that the town names, the channel on loopback, and an account that has dialled in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session

from bot.channels.onebot import NAME, PATH, OneBot
from bot.ingest import Ingest, Once
from config.side_channels import OneBotSettings
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Incoming, Outgoing
from tests.onebot.fake import FakeQQ, so

TOKEN, GROUP = "a-token-of-32-characters-at-least", 777


class Recorder(Ingest):
    """A door that remembers, or fails with what stands in `errors`, one after another."""

    def __init__(self) -> None:
        self.kept: list[Incoming] = []
        self.errors: list[Exception] = []
        self.news = asyncio.Event()

    async def accept(self, message: Incoming, once: Once | None = None) -> None:
        """Keep it, or raise the next error."""
        if self.errors:
            raise self.errors.pop(0)
        self.kept.append(message)
        self.news.set()

    async def first(self, number: int = 1) -> list[Incoming]:
        """Wait until so many are kept."""
        async with asyncio.timeout(10):
            while len(self.kept) < number:
                self.news.clear()
                await self.news.wait()
        return self.kept


def out(words: str = "收到", *, chat: str = f"g-{GROUP}", **more: Any) -> Outgoing:
    """A message to the group."""
    return Outgoing(channel=NAME, chat=chat, text=words, **more)


@pytest.fixture
def door() -> Recorder:
    """Where the channel brings what it hears."""
    return Recorder()


@pytest.fixture
def known_group(sqlite_db: Database) -> Database:
    """A database whose town names the group."""

    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code=f"g-{GROUP}", kind=ChatKind.GROUP, name="南区"))
        bump(session, TOWN)

    sqlite_db.tx(write)
    return sqlite_db


@pytest.fixture
async def channel(known_group: Database, door: Recorder) -> AsyncIterator[OneBot]:
    """Started."""
    settings = OneBotSettings.model_validate({"token": TOKEN, "rate": 20})
    found = OneBot(settings, door, known_group, patience=0.01)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def url(channel: OneBot) -> AsyncIterator[str]:
    """Where the account dials."""
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server:
        yield str(server.make_url(PATH))


@pytest.fixture
async def qq(url: str, channel: OneBot) -> AsyncIterator[FakeQQ]:
    """The account, connected and taken."""
    async with FakeQQ(url, TOKEN) as found:
        await so(lambda: channel.ready)
        yield found
