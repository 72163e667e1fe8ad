"""Task cards that a self-built WeCom app (自建应用) has sent: what each shows, and by which code it can be changed.

Platform pages 94867 更新模版卡片消息, 94888 撤回应用消息: a response_code is good for one change within 72 hours, a
message can be taken back within 24. Codes are sealed by the caller: who reads the database alone has none.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId
from models.ticket import Ticket


class AppCard(SQLModel, table=True):
    """One card on one member's screen. `key`: of its message in the outbox. `task`: the card's task_id. `message`: the
    platform's msgid. `status` and `worker`: of the ticket when the card was last looked at; `label`: what the card says
    of it, a word of replies.yaml, "" for a card as it was sent. `look_at`: until then somebody is changing it, or it
    waits for its next try."""

    __tablename__ = "app_card"
    __table_args__ = (sa.Index("ix_app_card_task", "task", "user"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    key: str = Field(unique=True, max_length=320)
    ticket: int = Field(index=True, sa_type=BigId)
    person: str = Field(default="", max_length=64)
    user: str = Field(max_length=128)
    task: str = Field(max_length=128)
    message: str = Field(default="", max_length=128)
    code: str = ""
    code_until: datetime | None = None
    status: str = Field(max_length=32)
    worker: str = Field(default="", max_length=64)
    label: str = Field(default="", max_length=32)
    look_at: datetime
    sent_at: datetime = Field(index=True)


def find(session: Session, user: str, task: str) -> AppCard | None:
    """The card of this task id on this member's screen; None: we never sent her one."""
    one = sa.select(AppCard).where(col(AppCard.task) == task, col(AppCard.user) == user)
    return session.scalars(one.with_for_update().execution_options(populate_existing=True)).first()


def of_key(session: Session, key: str) -> AppCard | None:
    """The card of a message in the outbox."""
    one = sa.select(AppCard).where(col(AppCard.key) == key).with_for_update()
    return session.scalars(one.execution_options(populate_existing=True)).first()


def behind(session: Session, *, now: datetime, lease: timedelta) -> AppCard | None:
    """A card that shows something else than its ticket says now, for `lease`; nobody else gets it meanwhile."""
    differs = sa.or_(
        col(AppCard.status) != sa.cast(col(Ticket.status), sa.String),
        col(AppCard.worker) != sa.func.coalesce(col(Ticket.worker), ""),
    )
    statement = (
        sa.select(AppCard)
        .join(Ticket, col(Ticket.id) == col(AppCard.ticket))
        .where(col(AppCard.look_at) <= now, differs)
        .order_by(col(AppCard.look_at), col(AppCard.id))
        .limit(1)
        .with_for_update(skip_locked=True, of=AppCard)
    )
    row = session.scalars(statement.execution_options(populate_existing=True)).first()
    if row is not None:
        row.look_at = now + lease
        session.add(row)
        session.flush()
    return row


def forget(session: Session, before: datetime) -> int:
    """Remove cards sent before then; returns how many."""
    statement = sa.delete(AppCard).where(col(AppCard.sent_at) < before)
    return session.connection().execute(statement).rowcount
