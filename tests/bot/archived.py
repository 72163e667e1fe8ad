"""Records of the message archive as DecryptData gives them (企业微信 91774), and what was kept of them."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.archive import NAME
from models import inbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.inbox import Inbox
from models.mark import TOWN, bump
from models.message import Incoming, Outgoing
from tests.conftest import START

ROOM = "wrAQ01"
ZONE = ZoneInfo("Asia/Shanghai")
MS = int(START.timestamp() * 1000)


def record(number: int = 1, text: str = "3栋楼道灯坏了", **more: Any) -> dict[str, Any]:
    """What DecryptData gives (91774)."""
    told = {
        "msgid": f"CAQQ{number}_external", "action": "send", "from": "wm-chunya", "tolist": ["wm-2"], "roomid": ROOM,
        "msgtime": MS + number * 1000, "msgtype": "text", "text": {"content": text},
    }  # fmt: skip
    return told | more


def line(told: object) -> bytes:
    """A record as it stands in a file."""
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def lines(first: int, last: int) -> bytes:
    """Records of these numbers."""
    return b"".join(line(record(number, f"第{number}句")) for number in range(first, last + 1))


def name_room(db: Database, code: str = ROOM, grid: str | None = None) -> None:
    """The town names the archive's group."""

    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code=code, kind=ChatKind.GROUP, grid=grid, name="柳岸花园南区邻里群"))
        bump(session, TOWN)

    db.tx(write)


def kept(db: Database) -> list[Incoming]:
    """The inbox, oldest first."""
    rows = db.tx(lambda session: session.scalars(sa.select(Inbox).order_by(col(Inbox.id))).all())
    return [inbox.read(row) for row in rows]


def texts(db: Database) -> list[str]:
    """The words of it."""
    return [message.text for message in kept(db)]


def out(text: str = "收到，已登记 LS00001", *, chat: str = ROOM, **more: Any) -> Outgoing:
    """An answer to the first record."""
    return Outgoing(channel=NAME, chat=chat, text=text, trigger="CAQQ1_external", **more)
