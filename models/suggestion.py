"""Two tickets that may be one matter: kept for staff, who say whether they are."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId, choice
from models.ticket import OPEN, Ticket


class SuggestionState(StrEnum):
    """Whether staff have said yes (merged) or no (two matters) to it."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Suggestion(SQLModel, table=True):
    """`ticket`, opened later, is perhaps the same matter as `other`. points: what spoke for it when it was opened."""

    __table_args__ = (sa.UniqueConstraint("ticket", "other"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    other: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    points: float
    state: SuggestionState = Field(default=SuggestionState.OPEN, sa_type=choice(SuggestionState))
    at: datetime
    by: str | None = Field(default=None, foreign_key="person.code", max_length=64)
    decided_at: datetime | None = None


def waiting(
    session: Session, ticket: int | None = None, limit: int = 200
) -> Sequence[tuple[Suggestion, Ticket, Ticket]]:
    """Suggestions that nobody has decided on and whose tickets are both open, newest first: (row, ticket, other).

    ticket: only those with this one on either side.
    """
    mine, other = sa.orm.aliased(Ticket), sa.orm.aliased(Ticket)
    statement = (
        sa.select(Suggestion, mine, other)
        .join(mine, mine.id == col(Suggestion.ticket))  # type: ignore[arg-type]
        .join(other, other.id == col(Suggestion.other))  # type: ignore[arg-type]
        .where(col(Suggestion.state) == SuggestionState.OPEN)
        .where(mine.status.in_(OPEN), other.status.in_(OPEN))  # type: ignore[attr-defined]
        .order_by(sa.desc(col(Suggestion.id)))
        .limit(limit)
    )
    if ticket is not None:
        statement = statement.where(sa.or_(col(Suggestion.ticket) == ticket, col(Suggestion.other) == ticket))
    return [(row, one, two) for row, one, two in session.execute(statement)]
