"""What the web chat shows: one append-only stream of what people and the bot said on it."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId


class WebMessage(SQLModel, table=True):
    """A line in a web chat. `client_id` is unique, so that the bot's line sent twice is shown once. `body`: JSON."""

    __table_args__ = (sa.Index("ix_webmessage_chat", "chat", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    client_id: str = Field(unique=True, max_length=320)
    chat: str = Field(max_length=128)
    sender: str = Field(max_length=128)
    body: str
    at: datetime


def since(session: Session, chats: Sequence[str], after: int, limit: int = 200) -> Sequence[WebMessage]:
    """Lines of these chats with an id above `after`, oldest first."""
    statement = sa.select(WebMessage).where(col(WebMessage.chat).in_(chats), col(WebMessage.id) > after)
    return session.scalars(statement.order_by(col(WebMessage.id)).limit(limit)).all()
