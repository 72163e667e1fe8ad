"""One open ticket, the links that open its page, and what a browser does there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlmodel import Session

from models.database import Database
from models.deadline import Deadline
from models.ticket import Attachment, Status, Supporter, Ticket, TicketEvent, TicketMessage

NOW = datetime(2026, 3, 2, 0, 40, tzinfo=UTC)  # 08:40 in the town
ZONE = "Asia/Shanghai"
FORTNIGHT = 14 * 24 * 3600
LINKS = URLSafeTimedSerializer("a key for this test only")
OWN, STRANGER, RESIDENT = "W01", "W07", "U01"
Phone = TestClient[web.Request, web.Application]


def read(token: str) -> tuple[int, str] | None:
    """What a link was made for, up to a fortnight."""
    try:
        ticket, person = LINKS.loads(token, max_age=FORTNIGHT)
    except BadSignature:
        return None
    return int(ticket), str(person)


def link(person: str = OWN, ticket: int = 1) -> str:
    """The path of a card's link."""
    return f"/task/{LINKS.dumps([ticket, person])}"


def lamp(session: Session) -> None:
    """A dark stairwell in 柳岸花园3幢, told by one resident with her number, seen by a second, given to 网格员小顾."""
    ticket = Ticket(
        status=Status.ASSIGNED, category="facility.lighting", tier=1, grid="QX-01-01-01", place="P-LA-B03",
        spot="2单元楼梯口", summary="灯不亮", channel="web", chat="g-QX-01-01-01", reporter="u01", worker=OWN,
        urgent=True, opened_at=NOW - timedelta(hours=1), last_message_at=NOW - timedelta(hours=1),
    )  # fmt: skip
    session.add(ticket)
    session.flush()
    number = ticket.id or 0
    told = [("m1", "u01", "report", "楼梯灯又不亮了<b> 打我13812345678"), ("m2", "u02", "join", "我家那层也是")]
    for name, sender, role, text in told:
        session.add(TicketMessage(
            ticket=number, channel="web", chat="g-QX-01-01-01", message=name, sender=sender, kind="text", role=role,
            text=text, sent_at=NOW - timedelta(hours=1),
        ))  # fmt: skip
        session.add(Supporter(ticket=number, channel="web", chat="g-QX-01-01-01", sender=sender, since=NOW))
    session.add(Attachment(ticket=number, message="m1", kind="location", lon=118.9098, lat=28.9553, added_at=NOW))
    due = datetime(2026, 3, 2, 16, tzinfo=UTC)
    session.add(Deadline(ticket=number, kind="settle", since=due - timedelta(hours=8), due_at=due))
    events = [
        ("web:u01", "opened", "chatter facility.lighting"),
        ("system", "assigned", f"{OWN} (gridworker QX-01-01)"),
    ]
    for actor, what, note in events:
        session.add(TicketEvent(ticket=number, at=NOW, actor=actor, what=what, status=Status.ASSIGNED, note=note))


def look(db: Database, number: int = 1) -> Ticket:
    """The ticket as it stands."""
    return db.tx(lambda session: session.get_one(Ticket, number))


def count(db: Database, table: type[Any], *where: Any) -> int:
    """How many rows."""
    statement = sa.select(sa.func.count()).select_from(table).where(*where)
    return int(db.tx(lambda session: session.scalar(statement)) or 0)


async def press(phone: Phone, path: str, action: str, client_id: str = "press-0001", **more: Any) -> int:
    """The status of a press."""
    answer = await phone.post(f"{path}/act", json={"action": action, "client_id": client_id, **more})
    return answer.status


async def state(phone: Phone, path: str, client_id: str = "press-0001") -> dict[str, Any]:
    """What the page polls."""
    answer = await phone.get(f"{path}/state", params={"press": client_id})
    assert answer.status == 200
    found: dict[str, Any] = await answer.json()
    return found
