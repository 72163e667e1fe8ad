"""What staff put right, kept whole: the words, what was known when they were heard, what the engine had said, and what
is right. Rows are only ever added; the one change they see is that words taken back by who wrote them are emptied."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId, choice


class CorrectionKind(StrEnum):
    """What was wrong. Chinese terms: 非诉求, 类别, 地点, 紧急, 敏感, 合并, 拆分, 漏报."""

    DISMISSED = "dismissed"
    CATEGORY = "category"
    PLACE = "place"
    URGENT = "urgent"
    SENSITIVE = "sensitive"
    MERGE = "merge"
    SPLIT = "split"
    MISSED = "missed"


class Correction(SQLModel, table=True):
    """One correction by one person.

    by: a person's code. ticket: None for a message that had opened none (`missed`).
    words: the messages it is about, oldest first, each {channel, chat, message, role, text}.
    context: fields of `nlu.types.Context` of the message that opened the ticket, those left out as by default.
    said: what the engine had made of that message, {intents, categories, urgent, sensitive, flags}; empty for tickets
    from before readings were kept. engine: its name and version. before, after: what changed, by field.
    """

    __table_args__ = (sa.Index("ix_correction_kind", "kind", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    at: datetime
    by: str = Field(foreign_key="person.code", index=True, max_length=64)
    ticket: int | None = Field(default=None, foreign_key="ticket.id", index=True, sa_type=BigId)
    kind: CorrectionKind = Field(sa_type=choice(CorrectionKind))
    words: list[dict[str, str]] = Field(default_factory=list, sa_type=sa.JSON)
    context: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    said: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    engine: str = Field(default="", max_length=128)
    before: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    after: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)


def since(session: Session, after: int, limit: int) -> Sequence[Correction]:
    """Corrections with an id above `after`, oldest first: for whoever learns from them bit by bit."""
    statement = sa.select(Correction).where(col(Correction.id) > after).order_by(col(Correction.id)).limit(limit)
    return session.scalars(statement).all()


def take_back(session: Session, channel: str, chat: str, message: str) -> None:
    """Empty the words of a message in all corrections that hold them: who wrote it took it back."""
    # Looked for in the text of the column: a message may have gone to another ticket since (`handlers.joining`).
    rows = sa.select(Correction).where(
        sa.cast(col(Correction.words), sa.Text).contains(json.dumps(message), autoescape=True)
    )
    where = {"channel": channel, "chat": chat, "message": message}
    for row in session.scalars(rows):
        if any(where.items() <= said.items() and said["text"] for said in row.words):
            row.words = [said | {"text": ""} if where.items() <= said.items() else said for said in row.words]
            session.add(row)
