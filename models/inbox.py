"""Every message that came in, from the moment it was acknowledged until retention removes it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session, col

from models import queue
from models.message import Incoming
from models.queue import QueueRow, queue_indexes

_HOW = {"media": {"__all__": {"url", "key"}}}  # a file is got: `models.fetching` knows, and nobody else need
DEAD = "dead"  # how a row ends that could not be handled, however often it was tried


class Inbox(QueueRow, table=True):
    """One incoming message. `payload` is an `Incoming` as JSON; the columns beside it are what is looked up by."""

    channel: str = Field(max_length=32)
    chat: str = Field(max_length=128)
    sender: str = Field(max_length=128)
    message: str = Field(max_length=128)
    kind: str = Field(max_length=16)
    sent_at: datetime
    received_at: datetime

    __table_args__ = (
        *queue_indexes("inbox"),
        sa.Index("ix_inbox_message", "channel", "chat", "message"),
        sa.Index("ix_inbox_recent", "channel", "chat", "sent_at"),
        sa.Index("ix_inbox_sender", "channel", "sender"),
        sa.Index(
            "ix_inbox_voice", "received_at",
            sqlite_where=sa.text("kind = 'voice'"), postgresql_where=sa.text("kind = 'voice'"),
        ),
    )  # fmt: skip


def inbox_row(message: Incoming, now: datetime) -> dict[str, Any]:
    """The row of a message just received."""
    return {
        "dedup_key": message.dedup_key,
        "conversation": message.conversation,
        "payload": message.model_dump_json(exclude_defaults=True, exclude=_HOW),
        "visible_at": now,
        "attempts": 0,
        "outcome": "",
        "error": "",
        "channel": message.channel,
        "chat": message.chat,
        "sender": message.sender,
        "message": message.id,
        "kind": message.kind.value,
        "sent_at": message.sent_at,
        "received_at": now,
    }


def receive(session: Session, messages: Iterable[Incoming], now: datetime) -> int:
    """Store messages that a channel heard; duplicates are skipped. Returns how many were new."""
    return queue.append(session, Inbox, [inbox_row(message, now) for message in messages])


def read(row: Inbox) -> Incoming:
    """The message in a row."""
    return Incoming.model_validate_json(row.payload)


def find(session: Session, channel: str, chat: str, message: str) -> Inbox | None:
    """The row of a message by its platform id, if it is still kept."""
    statement = sa.select(Inbox).where(
        col(Inbox.channel) == channel,
        col(Inbox.chat) == chat,
        col(Inbox.message) == message,
    )
    return session.scalars(statement.limit(1)).first()


def heard(session: Session, channel: str, chat: str, since: datetime) -> bool:
    """Whether anything was received from a chat after `since`; what its platform had held back for long aside."""
    lately = sa.select(col(Inbox.id)).where(
        col(Inbox.channel) == channel, col(Inbox.chat) == chat, col(Inbox.sent_at) > since - timedelta(hours=1),
        col(Inbox.received_at) > since,
    )  # fmt: skip
    return session.scalars(lately.limit(1)).first() is not None


def dead(session: Session, limit: int) -> Sequence[Inbox]:
    """Rows that could not be handled, newest first."""
    statement = sa.select(Inbox).where(col(Inbox.outcome) == DEAD)
    return session.scalars(statement.order_by(sa.desc(col(Inbox.id))).limit(limit)).all()


def revive(session: Session, row_id: int, now: datetime) -> bool:
    """Put a dead row back in the queue, on an operator's word. False when there is no such row."""
    statement = (
        sa.update(Inbox)
        .where(col(Inbox.id) == row_id, col(Inbox.outcome) == DEAD)
        .values(finished_at=None, visible_at=now, attempts=0, outcome="", error="", lease=None)
    )
    return session.connection().execute(statement).rowcount == 1
