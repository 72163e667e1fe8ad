"""A few of the messages on which the bot stayed silent, for staff to say whether that was right."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId, choice


class SampleState(StrEnum):
    """Not looked at yet; `fine`: chatter, and silence was right; `missed`: it was a report."""

    OPEN = "open"
    FINE = "fine"
    MISSED = "missed"


class Sample(SQLModel, table=True):
    """One message. Who wrote it is not kept. grid: of its chat. `context` and `said` as in `models.correction`."""

    __table_args__ = (sa.UniqueConstraint("channel", "chat", "message"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    message: str = Field(max_length=128)
    grid: str | None = Field(default=None, max_length=64)
    text: str = ""
    context: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    said: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    engine: str = Field(default="", max_length=128)
    at: datetime = Field(index=True)
    state: SampleState = Field(default=SampleState.OPEN, sa_type=choice(SampleState))
    by: str | None = Field(default=None, foreign_key="person.code", max_length=64)
    decided_at: datetime | None = None


def waiting(session: Session, limit: int) -> Sequence[Sample]:
    """Samples that nobody has looked at, oldest first: they are the next to go."""
    statement = sa.select(Sample).where(col(Sample.state) == SampleState.OPEN)
    return session.scalars(statement.order_by(col(Sample.id)).limit(limit)).all()


def forget(session: Session, before: datetime, limit: int) -> int:
    """Remove up to `limit` samples from before then, reviewed or not. Returns how many."""
    ids = session.scalars(sa.select(col(Sample.id)).where(col(Sample.at) < before).limit(limit)).all()
    session.connection().execute(sa.delete(Sample).where(col(Sample.id).in_(ids)))
    return len(ids)


def take_back(session: Session, channel: str, chat: str, message: str) -> None:
    """Its writer took the message back: it is no sample any more."""
    session.connection().execute(
        sa.delete(Sample).where(
            col(Sample.channel) == channel, col(Sample.chat) == chat, col(Sample.message) == message
        )
    )
