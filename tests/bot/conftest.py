"""Browsers in front of one part of the application, whose `channel` or `db` the test module says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from bot.channels.known import Known
from bot.channels.web import WebChannel
from bot.task_page import routes
from bot.worker import Worker
from handlers.workdays import WorkCalendar
from models.database import Database
from tests.bot.task_page import NOW, ZONE, Phone, read
from tests.engines import Deaf

Browser = TestClient[web.Request, web.Application]
Say = Callable[..., Awaitable[ClientResponse]]


@pytest.fixture
async def browser(channel: WebChannel) -> AsyncIterator[Browser]:
    """A browser pointed at an application that serves only this channel."""
    app = web.Application()
    app.add_routes(channel.routes())

    async def close(_app: web.Application) -> None:
        await channel.stop()

    app.on_shutdown.append(close)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
def say(browser: Browser) -> Say:
    """`say(person, chat, text, ...)` posts a message."""

    async def post(person: str, chat: str, text: str = "", **fields: Any) -> ClientResponse:
        body = {"person": person, "text": text, **fields}
        return await browser.post(f"/chat/api/chats/{chat}/messages", json=body)

    return post


@pytest.fixture
def worker(db: Database) -> Worker:
    """A real worker with the standing clock."""
    return Worker(db, Deaf(), WorkCalendar(ZoneInfo(ZONE)), clock=lambda: NOW)


@pytest.fixture
def woken() -> list[str]:
    """One entry for each time the worker was woken."""
    return []


@pytest.fixture
async def phone(db: Database, tmp_path: Path, woken: list[str]) -> AsyncIterator[Phone]:
    """A gridworker's browser."""
    app = web.Application()
    app.add_routes(routes(db, Known(db), read, tmp_path / "media", lambda: woken.append("up"), lambda: NOW, ZONE))
    async with TestClient(TestServer(app)) as client:
        yield client
