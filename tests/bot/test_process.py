"""A process that only serves: it opens no connection that a worker's process could have, and sends only by its own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import col

from bot.app import PROCESS, build
from bot.channels.onebot import NAME as ONEBOT
from bot.channels.onebot import PATH
from bot.channels.wecom_bot.letters import NAME as BOT
from config.settings import Settings
from models import outbox
from models.database import Database
from models.message import Outgoing
from models.outbox import SENT, Outbox
from tests.engines import Deaf
from tests.onebot.fake import FakeQQ, so
from tests.platform.harness import platform
from tests.platform.wecom_bot import heard
from tests.platform.wecom_bot import settings as bot_settings

TOKEN, NOBODY = "a-token-of-32-characters-at-least", "http://127.0.0.1:9"
ACCOUNT = {"token": "t", "aes_key": "k" * 43, "app_id": "wx1", "app_secret": "s", "api_base": NOBODY}


def settings(url: str, home: Path, **more: Any) -> Settings:
    return Settings.model_validate({"home": home, "database_url": url, "demo": False} | more)


def put(db: Database, channel: str, chat: str, at: Any) -> None:
    out = Outgoing(channel=channel, chat=chat, text="已登记。")
    db.tx(lambda session: outbox.put(session, [(f"test:{channel}:{chat}", out)], at))


def row(db: Database, channel: str) -> Outbox:
    ours = sa.select(Outbox).where(col(Outbox.channel) == channel, col(Outbox.dedup_key).startswith("test:"))
    return db.tx(lambda session: session.scalars(ours).one())


async def test_it_sends_by_the_connection_that_was_dialled_to_it_and_nothing_else(
    db: Database, db_url: str, tmp_path: Path
) -> None:
    told = settings(db_url, tmp_path, onebot={"token": TOKEN, "rate": 20}, wechat_mp=ACCOUNT)
    app = build(told, worker=False)
    async with TestClient(TestServer(app)) as client:
        process = app[PROCESS]
        body = await (await client.get("/healthz")).json()
        assert (body["workers"], body["senders"]) == (0, 1)
        put(db, "wechat_mp", "o1", process.clock())
        put(db, ONEBOT, "20001", process.clock())
        async with FakeQQ(str(client.make_url(PATH)), TOKEN) as qq:
            process.outbox.ring()
            await qq.until(lambda: bool(qq.seen(20001)))
            await so(lambda: row(db, ONEBOT).outcome == SENT)
        assert (row(db, "wechat_mp").attempts, row(db, "wechat_mp").lease) == (0, None)


async def test_its_health_fails_when_its_sender_is_gone(db_url: str, tmp_path: Path) -> None:
    app = build(settings(db_url, tmp_path, onebot={"token": TOKEN}), worker=False)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/healthz")).status == 200
        app[PROCESS]._tasks["sender"].cancel()
        await so(lambda: not app[PROCESS].alive("sender"))
        assert (await client.get("/healthz")).status == 503


async def test_where_nothing_is_held_nothing_is_sent(db_url: str, tmp_path: Path) -> None:
    app = build(settings(db_url, tmp_path, wechat_mp=ACCOUNT), worker=False)
    async with TestClient(TestServer(app)) as client:
        body = await (await client.get("/healthz")).json()
        assert (body["status"], body["senders"]) == ("ok", 0)


async def test_it_leaves_the_long_connection_to_a_worker(db_url: str, tmp_path: Path) -> None:
    async with platform() as p:
        told = settings(db_url, tmp_path, wecom_bot=bot_settings(p).model_dump(exclude_unset=True))
        pages = build(told, worker=False, clock=p.clock)
        async with TestClient(TestServer(pages)) as client:
            await asyncio.sleep(0.3)
            assert (p.bot.wire.subscribed, pages[PROCESS].channels[BOT].state) == (0, "off")
            assert (await (await client.get("/healthz")).json())["senders"] == 0
            working = build(told, worker=True, clock=p.clock, engine=Deaf())
            async with TestClient(TestServer(working)):
                await p.until(lambda: p.bot.connected)
                assert p.bot.wire.subscribed == 1
                assert p.bot.wire.kicked == 0


@pytest.mark.parametrize("working", [False, True])
async def test_told_to_take_it_it_also_sends(db: Database, db_url: str, tmp_path: Path, working: bool) -> None:
    async with platform() as p:
        bot = bot_settings(p, connect=True).model_dump(exclude_unset=True)
        app = build(
            settings(db_url, tmp_path, wecom_bot=bot),
            worker=working,
            clock=p.clock,
            engine=Deaf(),
        )
        async with TestClient(TestServer(app)):
            await p.until(lambda: p.bot.connected)
            await p.say(None, "u05", "在吗")  # whoever has not spoken cannot be written to
            await p.until(lambda: heard(db))
            put(db, BOT, "u05", p.clock())
            app[PROCESS].outbox.ring()
            await so(lambda: row(db, BOT).outcome == SENT)
            assert "已登记。" in [bubble.text for bubble in p.seen("u05")]
