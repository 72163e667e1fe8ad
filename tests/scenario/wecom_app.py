"""The demo town with its staff on the self-built WeCom app and its residents at the AI bot, beside the platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiohttp import web
from sqlmodel import Session, col

from bot.app import build
from bot.channels.wecom_app import NAME, PATH
from bot.platform.world import Bubble
from config.settings import Settings
from models.chat import Chat, ChatKind
from models.database import Database
from models.grid import Grid
from models.mark import TOWN, bump
from models.person import Identity
from models.ticket import Ticket, TicketEvent
from nlu.types import Engine
from tests.platform.harness import TestPlatform
from tests.scenario.wecom import listening, settings_for

WORKER, OTHER, STRANGER = "w01", "c01", "w07"  # 网格员小顾, 柳岸社区余书记, 网格员大山
STAFF = ("W", "C", "S", "D", "P", "M", "H")  # how the codes of those begin who are no residents and no leaders


def staff_to_the_app(db: Database) -> None:
    """Residents and leaders write by the AI bot; everybody else is reached by the app."""

    def write(session: Session) -> None:
        session.connection().execute(sa.update(Identity).values(channel=NAME))
        at_the_bot = sa.or_(col(Identity.person).like("U%"), col(Identity.person).like("L%"))
        session.connection().execute(sa.update(Identity).where(at_the_bot).values(channel="wecom_bot"))
        session.connection().execute(sa.delete(Chat).where(col(Chat.kind) == ChatKind.DIRECT))
        session.connection().execute(sa.update(Chat).values(channel="wecom_bot"))
        bump(session, TOWN)

    db.tx(write)


def bounded(db: Database, grid: str) -> None:
    """Give a grid of the demo town a boundary: from 120 to 120.1 E, from 30 to 30.1 N."""
    square = '{"type":"Polygon","coordinates":[[[120,30],[120.1,30],[120.1,30.1],[120,30.1],[120,30]]]}'

    def write(session: Session) -> None:
        session.connection().execute(sa.update(Grid).where(col(Grid.code) == grid).values(boundary=square))
        bump(session, TOWN)

    db.tx(write)


def with_app(p: TestPlatform, db_url: str, home: Path, **more: Any) -> Settings:
    """A deployment that has the bot and the app. more: further settings of the app."""
    settings = settings_for(p, db_url, home, mode="connection")
    return Settings.model_validate(settings.model_dump(exclude_defaults=True) | {"wecom_app": of_the_app(p) | more})


def of_the_app(p: TestPlatform) -> dict[str, Any]:
    """The app's own settings."""
    return {
        "corp_id": p.app.corp_id, "agent_id": p.app.agent_id, "secret": p.app.secret, "token": p.app.token,
        "aes_key": p.app.aes_key, "api_base": p.base, "poll_seconds": 0.05, "rate": 1000,
    }  # fmt: skip


@asynccontextmanager
async def at_work(p: TestPlatform, settings: Settings, engine: Engine) -> AsyncIterator[web.Application]:
    """The whole application on loopback; its addresses told to the platform."""
    app = build(settings, clock=p.clock, engine=engine)
    async with listening(app) as base:
        p.app.callback = f"{base}{PATH}"
        assert await p.app.verify()
        await p.until(lambda: p.bot.connected)
        yield app


def face(card: Bubble) -> dict[str, Any]:
    """What the card shows on its own screen."""
    return card.card_for(card.chat) or {}


def buttons(card: Bubble) -> list[str]:
    """The words on its buttons."""
    return [button["text"] for button in face(card)["button_list"]]


def tickets(db: Database) -> list[Ticket]:
    """All of them."""
    return list(db.tx(lambda session: session.scalars(sa.select(Ticket).order_by(col(Ticket.id))).all()))


def history(db: Database) -> list[tuple[str, str]]:
    """(what, actor) of all lines."""

    def read(session: Session) -> list[tuple[str, str]]:
        rows = session.scalars(sa.select(TicketEvent).order_by(col(TicketEvent.id)))
        return [(row.what, row.actor) for row in rows]

    return db.tx(read)


def stolen(p: TestPlatform, card: Bubble, user: str, key: str) -> dict[str, Any]:
    """A press, by somebody on whose screen that card never was."""
    return p.app.letter(
        user, "event",
        {
            "Event": "template_card_event", "EventKey": key, "TaskId": (card.card or {})["task_id"],
            "CardType": "button_interaction", "ResponseCode": "stolen-code", "AgentID": p.app.agent_id,
        },
    )  # fmt: skip
