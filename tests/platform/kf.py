"""The adapter of 微信客服, at work on the test platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bot.channels.wecom_kf import NAME, PATH, WecomKf
from bot.fetching import Fetcher
from bot.scenes import Scenes
from config.wecom_kf import WecomKfSettings
from handlers.workdays import WorkCalendar
from models.database import Database
from models.pull import Pull
from tests.platform.harness import Opposite, TestPlatform, listening

SCENES = Scenes("the-deployments-secret")


class App(Opposite[WecomKf]):
    """What the deployment has on this channel; it pulls when it is told to."""

    def __init__(self, p: TestPlatform, db: Database, media: Path, **more: Any) -> None:
        """more: further settings of the channel."""
        super().__init__(p, db)
        told = {
            "token": p.kf.token, "aes_key": p.kf.aes_key, "corp_id": p.kf.corp_id, "secret": p.kf.secret,
            "accounts": tuple(one.open_kfid for one in p.kf.accounts), "api_base": p.base, "rate": 1000,
        }  # fmt: skip
        settings = WecomKfSettings.model_validate(told | more)
        self.woken = 0
        self.channel = WecomKf(settings, db, clock=p.clock, scenes=SCENES, wake=self._wake)
        self.channel._api._backoff = (0.0, 0.0)  # a platform that is down here stays down until the test says otherwise
        calendar = WorkCalendar.configured(ZoneInfo("Asia/Shanghai"))
        self.fetcher = Fetcher(db, {NAME: self.channel}, media, calendar, clock=p.clock)

    def _wake(self) -> None:
        self.woken += 1

    async def look(self) -> int:
        """Pull what is there."""
        return await self.channel.puller.look()

    def pull(self) -> Pull:
        """Where the puller stands."""
        return self.db.tx(lambda session: session.scalars(sa.select(Pull)).one())

    def texts(self, user: str) -> list[str]:
        """What she sees of ours."""
        return [bubble.text for bubble in self.p.seen(user)]

    def sent(self, path: str) -> list[int]:
        """The codes with which calls of `kf/…` ended."""
        return [call.code for call in self.p.calls if call.path == f"/cgi-bin/kf/{path}"]


@asynccontextmanager
async def serving(p: TestPlatform, db: Database, media: Path, **more: Any) -> AsyncIterator[App]:
    """The adapter, its address told to the platform."""
    app = App(p, db, media, **more)
    async with listening(app.channel) as server:
        for account in p.kf.accounts:
            account.callback = str(server.make_url(PATH))
        await app.channel._api.start()
        yield app
        await app.channel.stop()
