"""What a scenario test looks at: a ticket as it stands now, and the lines the bot said."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session

from handlers.town import Town
from models import outbox
from models.database import Database
from models.deadline import Deadline
from models.message import Card, Purpose
from models.outbox import Outbox
from models.ticket import Attachment, Supporter, Ticket, TicketEvent, TicketMessage

T = TypeVar("T")
ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class Line:
    """One line of the bot. to: whom an alert is for, by name; person: her code. at: local time."""

    id: str
    chat: str
    text: str
    is_alert: bool
    to: str
    person: str | None
    why: str
    card: Card | None
    ticket: int | None
    at: datetime


def outgoing_id(row: Outbox) -> str:
    """The id under which the platform shows a line of the bot."""
    return f"out-{row.id}"


def said_by_bot(session: Session, town: Town) -> list[Line]:
    """Everything the bot said, oldest first."""
    lines = []
    for row in session.scalars(sa.select(Outbox).order_by(Outbox.id)):  # type: ignore[arg-type]
        out = outbox.read(row)
        name = town.people[out.to_person].name if out.to_person else ""
        lines.append(
            Line(
                id=outgoing_id(row), chat=out.chat, text=out.text, is_alert=out.purpose == Purpose.ALERT, to=name,
                person=out.to_person, why=out.why, card=out.card, ticket=out.ticket, at=row.created_at.astimezone(ZONE),
            )
        )  # fmt: skip
    return lines


class TicketView:
    """A ticket by its id; every property is read anew."""

    def __init__(self, db: Database, town: Town, ticket: int) -> None:
        self._db = db
        self._town = town
        self.id = ticket

    def __repr__(self) -> str:
        return f"<{self.number} {self.category} {self.place or self.grid} {self.status} {self.messages}>"

    def _read(self, work: Callable[[Session], T]) -> T:
        return self._db.tx(work)

    @property
    def row(self) -> Ticket:
        """The row as it is now."""
        return self._read(lambda session: session.get_one(Ticket, self.id))

    @property
    def number(self) -> str:
        """What people call it by."""
        return self.row.number

    @property
    def category(self) -> str:
        """The leaf's code."""
        return self.row.category

    @property
    def grid(self) -> str | None:
        """The grid's code."""
        return self.row.grid

    @property
    def place(self) -> str:
        """The place's name; empty where there is none."""
        code = self.row.place
        return self._town.places[code].name if code else ""

    @property
    def status(self) -> str:
        """`reported`, `assigned` …"""
        return self.row.status.value

    @property
    def urgent(self) -> bool:
        """Minutes count."""
        return self.row.urgent

    @property
    def sensitive(self) -> bool:
        """Not for the group."""
        return self.row.sensitive

    @property
    def worker(self) -> str:
        """Who is responsible, by name."""
        code = self.row.worker
        return self._town.people[code].name if code else ""

    @property
    def reporters(self) -> list[str]:
        """Everybody who told of it, by name where the town knows one."""

        def names(session: Session) -> list[str]:
            mine = sa.select(Supporter).where(Supporter.ticket == self.id).order_by(Supporter.id)  # type: ignore[arg-type]
            return [self._town.people[s.person].name if s.person else s.sender for s in session.scalars(mine)]

        return self._read(names)

    @property
    def messages(self) -> list[str]:
        """The words it is made of, oldest first; a wordless picture is empty."""
        return [row.text for row in self._rows(TicketMessage)]

    @property
    def roles(self) -> list[str]:
        """What each message is to it: `report`, `detail`, `join` …"""
        return [row.role for row in self._rows(TicketMessage)]

    @property
    def photos(self) -> list[str]:
        """The names of its pictures."""
        return [row.name for row in self._rows(Attachment) if row.name]

    @property
    def history(self) -> list[TicketEvent]:
        """Its events, oldest first."""
        return self._rows(TicketEvent)

    @property
    def events(self) -> list[str]:
        """The names of its events, oldest first."""
        return [event.what for event in self.history]

    @property
    def due(self) -> list[datetime]:
        """The deadlines that still run, reminders left out; local time."""
        return [d.due_at.astimezone(ZONE) for d in self._rows(Deadline) if d.kind == "settle" and d.done_at is None]

    def _rows(self, table: type[T]) -> list[T]:
        columns = table.__table__.c  # type: ignore[attr-defined]
        statement = sa.select(table).where(columns.ticket == self.id).order_by(columns.id)
        return self._read(lambda session: list(session.scalars(statement)))
