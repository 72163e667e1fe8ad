"""Rooms for urgent matters: who is in one may be known only when the place is."""

from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.api import ApiClient
from bot.channels.credentials import gettoken
from bot.channels.wecom_app.letters import NAME
from bot.channels.wecom_app.rooms import Rooms
from handlers.workdays import WorkCalendar
from handlers.workflow import record
from models import outbox
from models.database import Database
from models.mark import TOWN, bump
from models.outbox import Outbox
from models.person import Identity
from models.ticket import Status, Ticket
from tests.conftest import HandClock
from tests.models.letters import open_ticket


async def test_told_once_its_place_and_its_people_are_known(town_db: Database, clock: HandClock) -> None:
    def opened(session: Session) -> int:
        session.connection().execute(sa.update(Identity).where(col(Identity.channel) == "web").values(channel=NAME))
        bump(session, TOWN)
        ticket = open_ticket(session, clock(), status=Status.REPORTED, urgent=True, grid=None)
        record(session, ticket, "opened", "system", clock())
        return ticket.id or 0

    def placed(session: Session) -> None:
        ticket = session.get_one(Ticket, number)
        ticket.grid, ticket.worker, ticket.status = "QX-01-01-01", "W01", Status.ASSIGNED

    number = town_db.tx(opened)
    api = ApiClient("https://localhost", gettoken("ww1", "s"), db=town_db, clock=clock)
    rooms = Rooms(town_db, api, WorkCalendar.configured(ZoneInfo("Asia/Shanghai")), "ww1", clock)
    assert await rooms.look() == 0
    town_db.tx(placed)
    assert [await rooms.look(), await rooms.look()] == [1, 0]
    (row,) = town_db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert outbox.read(row).chat == f"room:{number}"
