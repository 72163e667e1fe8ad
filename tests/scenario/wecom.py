"""The demo town on WeCom: the AI bot's groups and people, and the whole process beside the platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import unused_port

from bot.app import PROCESS, build
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.socket import Pace
from bot.platform.world import Bubble
from config.settings import Settings
from nlu.types import Engine
from tests.platform.harness import TestPlatform

GROUP = "g-QX-01-01-01"  # 柳岸花园南区邻里群
RESIDENT, NEIGHBOUR, LEADER = "u05", "u01", "l01"  # 春芽, 小满要早睡, 秀英姐
WORKER, STRANGER = "w01", "w07"  # 网格员小顾, 网格员大山
QUICK = Pace(ping=5.0, silence=12.0, ack=10.0, connect=10.0, first=0.05, most=0.2, refused=0.1, steady=60.0)


def settings_for(p: TestPlatform, db_url: str, home: Path, *, mode: str) -> Settings:
    """A deployment whose only platform is `p`."""
    bot = {
        "mode": mode, "bot_id": p.bot.id, "secret": p.bot.secret, "token": p.bot.token, "aes_key": p.bot.aes_key,
        "name": p.bot.name, "ws_url": p.ws_url, "response_url": f"{p.base}/cgi-bin/aibot/response",
        "media_hosts": (p.base,), "standby_seconds": 0.05,
    }  # fmt: skip
    return Settings.model_validate(
        {"home": home, "database_url": db_url, "secret_key": "of-the-tests", "wecom_bot": bot}
    )


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """The whole application on loopback, its connection to the bot's platform quick; gives its address."""
    bot = app[PROCESS].channels[NAME]
    assert isinstance(bot, WecomBot)
    if bot.live is not None:
        bot.live._connection._pace = QUICK
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    port = unused_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def deployment(p: TestPlatform, settings: Settings, engine: Engine) -> AsyncIterator[web.Application]:
    """The whole application on loopback, connected one way or the other."""
    app = build(settings, clock=p.clock, engine=engine)
    async with listening(app) as base:
        if settings.wecom_bot.mode == "webhook":
            p.bot.callback = f"{base}/callback/{NAME}"
            assert await p.bot.verify()
        else:
            await p.until(lambda: p.bot.connected)
        yield app


def texts(p: TestPlatform, who: str) -> list[str]:
    """What was said there, cards left out."""
    return [bubble.text for bubble in p.seen(who) if bubble.card is None]


def last(p: TestPlatform, who: str) -> str:
    """The last words said there; "" where there are none."""
    return ([""] + [text for text in texts(p, who) if text])[-1]


def cards(p: TestPlatform, who: str) -> list[Bubble]:
    """The cards on somebody's screen, recalled ones not."""
    return [bubble for bubble in p.seen(who) if bubble.card is not None]
