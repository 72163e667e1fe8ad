"""What tests of corrections begin with: a ticket or two, a key of the task page, what was kept to learn from."""

from typing import Any

import sqlalchemy as sa

from models.correction import Correction
from tests.scenario.chat import Scene
from tests.scenario.seen import TicketView

STAFF, WORKER = "柳岸社区余书记", "网格员小顾"
SOUTH = "柳岸花园南区"


def press(chat: Scene, name: str, key: str) -> str:
    """Somebody presses a key of the task page; the answer she gets."""
    pressed = chat.deliver(chat.direct(name), name, action=key)
    assert chat.outcome(pressed) in ("work", "refused")
    return chat.told(name)[-1]


def kept(chat: Scene) -> list[Correction]:
    """All corrections, oldest first."""
    return chat.db.tx(lambda session: list(session.scalars(sa.select(Correction).order_by(Correction.id))))  # type: ignore[arg-type]


def rows(chat: Scene, table: type[Any], ticket: int) -> list[Any]:
    """The rows of a ticket."""
    return chat.db.tx(
        lambda session: list(session.scalars(sa.select(table).where(table.ticket == ticket).order_by(table.id)))
    )


def a_dark_stair(chat: Scene) -> TicketView:
    """One ticket of 网格员小顾's, told on a Monday morning."""
    chat.at("2026-03-02 08:30").group(SOUTH).says("春芽", "6幢楼道灯不亮了")
    return chat.ticket()


def two_stairs(chat: Scene) -> tuple[TicketView, TicketView]:
    """Two tickets in one group, of two neighbours."""
    group = chat.at("2026-03-02 08:30").group(SOUTH)
    group.says("春芽", "6幢楼道灯不亮了")
    chat.at("09:10")
    group.says("风吹柳", "垃圾亭满出来了 三天没人来收", photo="IMG_full.jpg")
    first, second = chat.tickets()
    return first, second
