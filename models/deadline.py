"""Due times as rows. Whoever sweeps first fires them; it does not matter how many processes sweep."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId
from models.ticket import OPEN, Ticket


class Deadline(SQLModel, table=True):
    """Something that falls due for a ticket. `since`: what it was counted from; `calendar`: the version of the working
    calendar it was counted with."""

    __table_args__ = (
        sa.UniqueConstraint("ticket", "kind", "round"),
        sa.Index(
            "ix_deadline_due",
            "due_at",
            sqlite_where=sa.text("done_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    kind: str = Field(max_length=32)
    round: int = 0
    since: datetime
    due_at: datetime
    calendar: str = Field(default="", max_length=64)
    done_at: datetime | None = None
    fired: bool = False


def due(session: Session, now: datetime, limit: int) -> Sequence[Deadline]:
    """Rows that are due, oldest first, locked for this transaction; rows another process holds are left to it."""
    statement = (
        sa.select(Deadline)
        .where(col(Deadline.done_at).is_(None), col(Deadline.due_at) <= now)
        .order_by(col(Deadline.due_at), col(Deadline.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(statement).all()


def counted_otherwise(session: Session, calendar: str, limit: int) -> Sequence[tuple[Deadline, Ticket]]:
    """Rows of open tickets that another version of the working calendar than `calendar` counted, each with its ticket;
    both locked for this transaction, what another process holds is left out. Urgent tickets know no working days.

    limit: at most so many rows; those of one ticket stand together.
    """
    statement = (
        sa.select(Deadline, Ticket)
        .join(Ticket, col(Ticket.id) == col(Deadline.ticket))
        .where(col(Deadline.done_at).is_(None), col(Deadline.kind).in_(("remind", "settle")))
        .where(col(Deadline.calendar) != calendar, col(Ticket.status).in_(OPEN), col(Ticket.urgent).is_(False))
        .order_by(col(Deadline.ticket), col(Deadline.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row, ticket) for row, ticket in session.execute(statement)]


def cancel(session: Session, ticket: int, now: datetime) -> None:
    """Nothing of this ticket falls due any more."""
    statement = sa.update(Deadline).where(col(Deadline.ticket) == ticket, col(Deadline.done_at).is_(None))
    session.connection().execute(statement.values(done_at=now))
