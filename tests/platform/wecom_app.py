"""The self-built app's channel alone, opposite the platform: its door, its sender, and no worker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.wecom_app import NAME, PATH, WecomApp
from bot.ingest import Ingest
from bot.platform.world import Bubble
from config.wecom_app import WecomAppSettings
from handlers.workflow import record
from models.appcard import AppCard
from models.database import Database
from models.mark import TOWN, bump
from models.message import Button, Card, Purpose
from models.person import Identity
from models.ticket import Status, Ticket, TicketEvent
from tests.models.letters import open_ticket
from tests.platform.harness import Opposite, TestPlatform, listening

ZONE = ZoneInfo("Asia/Shanghai")
PEOPLE = {"W01": "w01", "C01": "c01", "C02": "c02", "W07": "w07"}


class App(Opposite[WecomApp]):
    """What the deployment has on this channel."""

    def __init__(self, p: TestPlatform, db: Database, **more: Any) -> None:
        """more: further settings of the channel."""
        super().__init__(p, db)
        self.ingest = Ingest(db, clock=p.clock)
        self.channel = self.another(**more)

    def another(self, **more: Any) -> WecomApp:
        """The same channel in another process, not started."""
        p = self.p
        told = {
            "corp_id": p.app.corp_id, "agent_id": p.app.agent_id, "secret": p.app.secret, "token": p.app.token,
            "aes_key": p.app.aes_key, "api_base": p.base, "rate": 1000, "poll_seconds": 60,
        }  # fmt: skip
        settings = WecomAppSettings.model_validate(told | more)
        made = WecomApp(settings, self.db, self.ingest, zone=ZONE, clock=p.clock)
        made._api._backoff = (0.0, 0.0)  # a platform that is down here stays down until the test says otherwise
        return made

    # --- what is there ----------------------------------------------------------------------------------------------

    def cards(self) -> Sequence[AppCard]:
        """The cards that are remembered."""
        return self.db.tx(lambda session: session.scalars(sa.select(AppCard).order_by(col(AppCard.id))).all())

    def shown(self, user: str) -> list[Bubble]:
        """The cards on somebody's screen, recalled ones not."""
        return [bubble for bubble in self.p.seen(user) if bubble.card is not None]

    def called(self, path: str) -> int:
        """How often the platform was called there."""
        return sum(call.path.endswith(path) for call in self.p.calls)

    # --- what happens -----------------------------------------------------------------------------------------------

    def ticket(self, worker: str = "W01", **more: Any) -> int:
        """A ticket that somebody has."""
        told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": worker, "summary": "灯不亮", **more}
        return self.db.tx(lambda session: open_ticket(session, self.p.clock(), **told).id or 0)

    async def alert(
        self, person: str, ticket: int, *buttons: str, text: str = "【新任务】楼道照明", **more: Any
    ) -> None:
        """A task card to somebody."""
        keys = buttons or ("accept", "transfer", "done")
        card = Card(
            title=f"LS{ticket:05d} 照明", facts=(("地点", "6幢"),), words="灯不亮",
            buttons=tuple(Button(text=key[:4], action=f"{key}:{ticket}") for key in keys),
        )  # fmt: skip
        more = {"purpose": Purpose.ALERT, "card": card, "ticket": ticket, "to_person": person, "why": "test"} | more
        await self.send(PEOPLE[person], text, **more)

    def move(self, ticket: int, status: Status, worker: str | None = None) -> None:
        """The ticket goes on, by whatever way."""

        def write(session: Session) -> None:
            row = session.get_one(Ticket, ticket)
            row.status, row.worker = status, worker or row.worker
            session.add(row)

        self.db.tx(write)

    def happened(self, ticket: int, what: str) -> None:
        """A line of the ticket's history, now."""

        def write(session: Session) -> None:
            record(session, session.get_one(Ticket, ticket), what, "W01", self.p.clock())

        self.db.tx(write)

    def history(self) -> list[tuple[str, str]]:
        """(what, note) of all lines."""

        def read(session: Session) -> list[tuple[str, str]]:
            rows = session.scalars(sa.select(TicketEvent).order_by(col(TicketEvent.id)))
            return [(row.what, row.note) for row in rows]

        return self.db.tx(read)


def staff_here(db: Database) -> None:
    """Those of PEOPLE are reached by the app, and nobody else by anything."""

    def write(session: Session) -> None:
        session.connection().execute(sa.delete(Identity).where(col(Identity.person).not_in(PEOPLE)))
        session.connection().execute(sa.update(Identity).values(channel=NAME))
        bump(session, TOWN)

    db.tx(write)


@asynccontextmanager
async def serving(p: TestPlatform, db: Database, **more: Any) -> AsyncIterator[App]:
    """The adapter, its address told to the platform."""
    app = App(p, db, **more)
    async with listening(app.channel) as server:
        p.app.callback = str(server.make_url(PATH))
        await app.channel.start()
        yield app
        await app.channel.stop()
        await app.ingest.drain()
