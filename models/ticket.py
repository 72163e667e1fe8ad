"""Tickets: one for one matter, the messages it is made of, the people who told of it, and its history."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.base import BigId, choice


class Status(StrEnum):
    """Where a matter stands. Chinese terms: 已受理, 已派单, 已接单, 已办结, 已评价, 重办, 已撤回, 非诉求, 已合并."""

    REPORTED = "reported"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    WITHDRAWN = "withdrawn"
    DISMISSED = "dismissed"
    MERGED = "merged"


OPEN = (Status.REPORTED, Status.ASSIGNED, Status.ACCEPTED, Status.REOPENED)


# Counted by the ORM at every update: of two transactions that change the same ticket at once the second one fails, and
# its message is handled again with what the first one wrote.
_VERSION = sa.Column("version", sa.Integer(), nullable=False)


class Ticket(SQLModel, table=True):
    """One matter. `quiet`: the understanding was unsure that it is one, so the chat was told nothing and the worker
    confirms. `evidence` says why the grid and the place were chosen; `from_home`: only the register knows the place, so
    it is not said in a group. `reading`: what the engine made of the message that opened it (`handlers.reading`).
    `merged_into`: the ticket that took this one over."""

    __table_args__ = (
        sa.Index("ix_ticket_chat", "channel", "chat", "last_message_at"),
        sa.Index("ix_ticket_area", "category", "grid", "last_message_at"),
    )
    __mapper_args__ = {"version_id_col": _VERSION}

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    status: Status = Field(sa_type=choice(Status), index=True)
    category: str = Field(max_length=64)
    tier: int
    grid: str | None = Field(default=None, foreign_key="grid.code", index=True, max_length=64)
    place: str | None = Field(default=None, foreign_key="place.code", max_length=64)
    from_home: bool = False
    spot: str = Field(default="", max_length=200)
    evidence: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    summary: str = ""
    urgent: bool = False
    sensitive: bool = False
    quiet: bool = False
    confidence: float = 1.0
    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    reporter: str = Field(max_length=128)
    worker: str | None = Field(default=None, foreign_key="person.code", index=True, max_length=64)
    opened_at: datetime
    last_message_at: datetime
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    rating: int | None = None
    reading: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    # No foreign key: SQLite could add one only by writing the whole table anew, and tickets are never removed.
    merged_into: int | None = Field(default=None, sa_type=BigId)
    version: int = Field(default=0, sa_column=_VERSION)

    @property
    def number(self) -> str:
        """What people call it by."""
        return f"LS{self.id:05d}"

    @property
    def is_open(self) -> bool:
        """Somebody still has to do something."""
        return self.status in OPEN


class TicketMessage(SQLModel, table=True):
    """A message that belongs to a ticket; one message may belong to several. Keeps its own copy of the words."""

    __table_args__ = (
        sa.UniqueConstraint("ticket", "channel", "chat", "message"),
        sa.Index("ix_ticketmessage_message", "channel", "chat", "message"),
        sa.Index("ix_ticketmessage_recent", "channel", "chat", "sent_at"),
        sa.Index("ix_ticketmessage_sender", "channel", "sender"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    message: str = Field(max_length=128)
    sender: str = Field(max_length=128)
    kind: str = Field(max_length=16)
    role: str = Field(max_length=16)
    text: str = ""
    sent_at: datetime


class TicketEvent(SQLModel, table=True):
    """One line of a ticket's history. Only ever added. `actor`: a person's code, `channel:user`, or `system`."""

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    at: datetime
    actor: str = Field(max_length=192)
    what: str = Field(max_length=32)
    status: Status = Field(sa_type=choice(Status))
    note: str = ""


class Supporter(SQLModel, table=True):
    """Somebody who reported the matter or joined it; all of them are told what becomes of it."""

    __table_args__ = (
        sa.UniqueConstraint("ticket", "channel", "sender"),
        sa.Index("ix_supporter_sender", "channel", "sender"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    sender: str = Field(max_length=128)
    person: str | None = Field(default=None, max_length=64)
    since: datetime


class Attachment(SQLModel, table=True):
    """A picture, voice, video or pin that belongs to a ticket. `read_text`: what stands in the picture; None as long as
    nobody has looked. `look_again_at`: somebody looks just now, and may be gone if it is past that; `looks`: how often
    it was tried (`models.pictures`)."""

    __table_args__ = (
        sa.Index(
            "ix_attachment_unread", "added_at",
            sqlite_where=sa.text("read_text IS NULL"), postgresql_where=sa.text("read_text IS NULL"),
        ),
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    message: str = Field(max_length=128)
    kind: str = Field(max_length=16)
    name: str = Field(default="", max_length=256)
    path: str = Field(default="", max_length=256)
    url: str = Field(default="", max_length=1024)
    platform_id: str = Field(default="", max_length=256)
    lon: float | None = None
    lat: float | None = None
    label: str = Field(default="", max_length=200)
    added_at: datetime
    read_text: str | None = None
    look_again_at: datetime | None = None
    looks: int = 0
