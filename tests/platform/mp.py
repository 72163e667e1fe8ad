"""The Official Account's adapter, at work on the test platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.channels.wechat_mp import PATH, OfficialAccount
from bot.fetching import Fetcher
from bot.ingest import Ingest
from bot.scenes import Scenes
from config.settings import OfficialAccountSettings
from handlers.workdays import WorkCalendar
from models.database import Database
from tests.platform.harness import Opposite, TestPlatform, listening

ZONE = ZoneInfo("Asia/Shanghai")
SCENES = Scenes("the-deployments-secret")


class App(Opposite[OfficialAccount]):
    """What the deployment has on this channel."""

    def __init__(self, p: TestPlatform, db: Database, media: Path, **more: Any) -> None:
        """more: further settings of the channel."""
        super().__init__(p, db)
        self.media = media
        told = {
            "token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
            "api_base": p.base, "rate": 1000, "media_hosts": (p.base,),
        }  # fmt: skip
        settings = OfficialAccountSettings.model_validate(told | more)
        self.ingest = Ingest(db, clock=p.clock)
        self.channel = OfficialAccount(settings, self.ingest, p.clock, db=db, scenes=SCENES, zone=ZONE)
        self.channel._api._backoff = (0.0, 0.0)  # a platform that is down here stays down until the test says otherwise
        self.fetcher = Fetcher(
            db, {self.channel.name: self.channel}, media, WorkCalendar.configured(ZONE), clock=p.clock, hears=True
        )


@asynccontextmanager
async def serving(p: TestPlatform, db: Database, media: Path, **more: Any) -> AsyncIterator[App]:
    """The adapter, its address told to the platform."""
    app = App(p, db, media, **more)
    async with listening(app.channel) as server:
        p.mp.callback = str(server.make_url(PATH))
        await app.channel.start()
        yield app
        await app.channel.stop()
        await app.ingest.drain()
