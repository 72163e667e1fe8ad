"""Chats, and the questions the bot is waiting on in them."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.base import BigId, choice


class ChatKind(StrEnum):
    """A neighbours' group, or one person and the bot."""

    GROUP = "group"
    DIRECT = "direct"


class Chat(SQLModel, table=True):
    """A group belongs to one grid, at any level; a direct chat belongs to a person, if the deployment knows her."""

    __table_args__ = (sa.UniqueConstraint("channel", "code"),)

    id: int | None = Field(default=None, primary_key=True)
    channel: str = Field(max_length=32)
    code: str = Field(max_length=128)
    kind: ChatKind = Field(sa_type=choice(ChatKind))
    grid: str | None = Field(default=None, foreign_key="grid.code", index=True, max_length=64)
    name: str = Field(default="", max_length=128)
    person: str | None = Field(default=None, foreign_key="person.code", index=True, max_length=64)


class Question(SQLModel, table=True):
    """One short question of the bot to one sender; it refines a ticket that is open already, and holds nothing back."""

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    sender: str = Field(max_length=128)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    about: str = Field(max_length=32)
    options: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    asked_at: datetime
    answered_at: datetime | None = None

    __table_args__ = (sa.Index("ix_question_open", "channel", "chat", "sender", "asked_at"),)
