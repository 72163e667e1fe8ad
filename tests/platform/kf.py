"""The adapter of 微信客服, at work on the test platform."""

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

from bot.channels.wecom_kf import NAME, PATH, WecomKf
from bot.fetching import Fetcher
from bot.scenes import Scenes
from bot.sender import Sender
from config.wecom_kf import WecomKfSettings
from handlers.workdays import WorkCalendar
from models import inbox, outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Outgoing
from models.outbox import Outbox
from models.pull import Pull
from tests.platform.harness import TestPlatform

SCENES = Scenes("the-deployments-secret")


class App:
    """What the deployment has on this channel; it pulls when it is told to."""

    def __init__(self, p: TestPlatform, db: Database, media: Path, **more: Any) -> None:
        """more: further settings of the channel."""
        told = {
            "token": p.kf.token, "aes_key": p.kf.aes_key, "corp_id": p.kf.corp_id, "secret": p.kf.secret,
            "accounts": (p.kf.open_kfid,), "api_base": p.base, "rate": 1000,
        }  # fmt: skip
        settings = WecomKfSettings.model_validate(told | more)
        self.p, self.db, self.media = p, db, media
        self.woken = 0
        self._turn = itertools.count()
        self.channel = WecomKf(settings, db, clock=p.clock, scenes=SCENES, wake=self._wake)
        self.channel._api._backoff = (0.0, 0.0)  # a platform that is down here stays down until the test says otherwise
        self.sender = Sender(db, {NAME: self.channel}, p.clock)
        calendar = WorkCalendar.configured(ZoneInfo("Asia/Shanghai"))
        self.fetcher = Fetcher(db, {NAME: self.channel}, media, calendar, clock=p.clock)

    def _wake(self) -> None:
        self.woken += 1

    async def look(self) -> int:
        """Pull what is there."""
        return await self.channel.puller.look()

    def heard(self) -> list[Incoming]:
        """What was kept, oldest first."""

        def read(session: Session) -> list[Incoming]:
            return [inbox.read(row) for row in session.scalars(sa.select(Inbox).order_by(col(Inbox.id)))]

        return self.db.tx(read)

    def rows(self) -> list[Outbox]:
        """What leaves or has left, oldest first."""
        return self.db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(col(Outbox.id)))))

    def pull(self) -> Pull:
        """Where the puller stands."""
        return self.db.tx(lambda session: session.scalars(sa.select(Pull)).one())

    async def send(self, user: str, *texts: str, **more: Any) -> None:
        """Put messages in the outbox and let them leave."""
        outs = [Outgoing(channel=NAME, chat=user, text=text, **more) for text in texts]
        rows = [(f"test:{next(self._turn)}", out) for out in outs]
        await self.db.run(lambda session: outbox.put(session, rows, self.p.clock()))
        await self.leave()

    async def leave(self) -> None:
        """Everything that is due leaves."""
        taken = 1
        while taken:
            taken = await self.sender.step()

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
    served = web.Application()
    served.add_routes(app.channel.routes())
    async with TestServer(served) as server:
        p.kf.callback = str(server.make_url(PATH))
        await app.channel._api.start()
        yield app
        await app.channel.stop()
