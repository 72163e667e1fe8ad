"""The AI bot's channel alone, opposite the platform: a door to a real inbox, and no worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from prometheus_client import REGISTRY

from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.live import Live
from bot.channels.wecom_bot.socket import Connection, Pace
from bot.ingest import Ingest
from config.settings import WecomBotSettings
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Button, Card, Incoming, Outgoing
from models.outbox import Outbox
from tests.platform.harness import TestPlatform, listening

CARD = Card(title="LS00007 照明", words="灯坏了", buttons=(Button(text="接单", action="accept:7"),))
# A loaded machine answers late: only who waits in vain has little patience.
PATIENT = Pace(
    ping=20.0, silence=60.0, ack=10.0, connect=10.0, first=0.02, most=0.1, refused=0.05, steady=60.0, settle=0.05
)
HASTY = replace(PATIENT, ack=0.3)
QUICK = replace(PATIENT, ping=0.2, silence=1.0)


async def soon(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until it holds; real seconds."""
    until = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.01)


async def stays(condition: Callable[[], object], seconds: float = 0.4) -> None:
    """It holds, and goes on to hold."""
    for _ in range(int(seconds / 0.02)):
        assert condition()
        await asyncio.sleep(0.02)


def figure(name: str, **labels: str) -> float:
    """A metric as it stands."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def settings(p: TestPlatform, **more: Any) -> WecomBotSettings:
    """The bot of this platform, on a long connection where nothing else is said."""
    told = {
        "bot_id": p.bot.id, "secret": p.bot.secret, "token": p.bot.token, "aes_key": p.bot.aes_key, "name": p.bot.name,
        "ws_url": p.ws_url, "response_url": f"{p.base}/cgi-bin/aibot/response", "media_hosts": (p.base,),
        "standby_seconds": 0.05,
    }  # fmt: skip
    return WecomBotSettings.model_validate(told | more)


def make(p: TestPlatform, db: Database, pace: Pace = PATIENT, *, pictures: Path | None = None, **more: Any) -> WecomBot:
    """The channel, not started."""
    ingest = Ingest(db, clock=p.clock)
    return WecomBot(settings(p, **more), db, ingest, clock=p.clock, pace=pace, pictures=pictures)


@asynccontextmanager
async def connected(p: TestPlatform, db: Database, pace: Pace = PATIENT, **more: Any) -> AsyncIterator[WecomBot]:
    """Started, and taken by the platform."""
    bot = make(p, db, pace, **more)
    await bot.start()
    try:
        await soon(lambda: bot.ready)
        yield bot
    finally:
        await bot.stop()


@asynccontextmanager
async def hooked(p: TestPlatform, db: Database, **more: Any) -> AsyncIterator[WecomBot]:
    """The webhook mode, its address entered at the platform and checked."""
    bot = make(p, db, mode="webhook", **more)
    async with listening(bot) as server:
        await bot.start()
        p.bot.callback = str(server.make_url(f"/callback/{NAME}"))
        try:
            assert await p.bot.verify()
            yield bot
        finally:
            await bot.stop()


def heard(db: Database) -> list[Incoming]:
    """What is in the inbox, oldest first."""
    rows = db.tx(lambda session: session.scalars(sa.select(Inbox).order_by(Inbox.id)).all())  # type: ignore[arg-type]
    return [inbox.read(row) for row in rows]


def put(db: Database, p: TestPlatform, chat: str, text: str, key: str = "k1", **more: Any) -> Outgoing:
    """A row in the outbox; gives its message."""
    out = Outgoing(channel=NAME, chat=chat, text=text, **more)
    db.tx(lambda session: outbox.put(session, [(key, out)], p.clock()))
    return out


def row(db: Database, key: str = "k1") -> Outbox:
    """That row as it is now."""
    return db.tx(lambda session: session.scalars(sa.select(Outbox).where(Outbox.dedup_key == key)).one())  # type: ignore[arg-type]


def handled(db: Database, p: TestPlatform, outcome: str = "report") -> None:
    """As if the worker had dealt with all that is there."""
    done = sa.update(Inbox).where(Inbox.finished_at.is_(None))  # type: ignore[union-attr]
    db.tx(lambda session: session.connection().execute(done.values(finished_at=p.clock(), outcome=outcome)))


def live(bot: Any) -> Live:
    """Its long-connection mode."""
    assert isinstance(bot.live, Live)
    return bot.live


def line(bot: Any) -> Connection:
    """Its one connection."""
    return live(bot)._connection
