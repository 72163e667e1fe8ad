"""The Official Account's adapter, at work on the test platform."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session, col

from bot.channels.wechat_mp import PATH, OfficialAccount
from bot.fetching import Fetcher
from bot.ingest import Ingest
from bot.scenes import Scenes
from bot.sender import Sender
from config.settings import OfficialAccountSettings
from handlers.workdays import WorkCalendar
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Outgoing
from tests.platform.harness import TestPlatform

ZONE = ZoneInfo("Asia/Shanghai")
SCENES = Scenes("the-deployments-secret")


class App:
    """What the deployment has on this channel."""

    def __init__(self, p: TestPlatform, db: Database, media: Path, **more: Any) -> None:
        """more: further settings of the channel."""
        told = {
            "token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
            "api_base": p.base, "rate": 1000, "media_hosts": (p.base,),
        }  # fmt: skip
        settings = OfficialAccountSettings.model_validate(told | more)
        self.p, self.db, self.media = p, db, media
        self._turn = itertools.count()
        self.ingest = Ingest(db, clock=p.clock)
        self.channel = OfficialAccount(settings, self.ingest, p.clock, db=db, scenes=SCENES, zone=ZONE)
        self.channel._api._backoff = (0.0, 0.0)  # a platform that is down here stays down until the test says otherwise
        self.sender = Sender(db, {self.channel.name: self.channel}, p.clock)
        self.fetcher = Fetcher(
            db, {self.channel.name: self.channel}, media, WorkCalendar.configured(ZONE), clock=p.clock, hears=True
        )

    def heard(self) -> list[Incoming]:
        """What was kept, oldest first."""

        def read(session: Session) -> list[Incoming]:
            return [inbox.read(row) for row in session.scalars(sa.select(Inbox).order_by(col(Inbox.id)))]

        return self.db.tx(read)

    async def send(self, user: str, *texts: str, **more: Any) -> None:
        """Put messages in the outbox and let them leave."""
        outs = [Outgoing(channel="wechat_mp", chat=user, text=text, **more) for text in texts]
        rows = [(f"test:{next(self._turn)}", out) for out in outs]
        await self.db.run(lambda session: outbox.put(session, rows, self.p.clock()))
        await self.leave()

    async def leave(self) -> None:
        """Everything that waits leaves."""
        taken = 1
        while taken:
            taken = await self.sender.step()


@asynccontextmanager
async def serving(p: TestPlatform, db: Database, media: Path, **more: Any) -> AsyncIterator[App]:
    """The adapter, its address told to the platform."""
    app = App(p, db, media, **more)
    served = web.Application()
    served.add_routes(app.channel.routes())
    async with TestServer(served) as server:
        p.mp.callback = str(server.make_url(PATH))
        await app.channel.start()
        yield app
        await app.channel.stop()
        await app.ingest.drain()
