"""What residents call a place and the gazetteer does not: learned from corrected places, confirmed by staff."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import choice

BETWEEN = "|"


class AliasState(StrEnum):
    """Proposed, or what staff said to it."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class AliasProposal(SQLModel, table=True):
    """`words` may name `place`. seen: in how many corrections; `corrections`: their ids, the last hundred."""

    __table_args__ = (sa.UniqueConstraint("words", "place"),)

    id: int | None = Field(default=None, primary_key=True)
    words: str = Field(max_length=64)
    place: str = Field(foreign_key="place.code", index=True, max_length=64)
    seen: int = 1
    corrections: list[int] = Field(default_factory=list, sa_type=sa.JSON)
    state: AliasState = Field(default=AliasState.OPEN, sa_type=choice(AliasState))
    at: datetime
    by: str | None = Field(default=None, foreign_key="person.code", max_length=64)
    decided_at: datetime | None = None


def waiting(session: Session, limit: int = 200) -> Sequence[AliasProposal]:
    """Proposals that nobody has decided on, those seen most often first."""
    statement = sa.select(AliasProposal).where(col(AliasProposal.state) == AliasState.OPEN)
    return session.scalars(
        statement.order_by(sa.desc(col(AliasProposal.seen)), col(AliasProposal.id)).limit(limit)
    ).all()


def confirmed(session: Session) -> dict[str, list[str]]:
    """Confirmed words by place code, in the order in which they were proposed. A town pack does not know them, and an
    import keeps them."""
    found: dict[str, list[str]] = {}
    rows = sa.select(col(AliasProposal.place), col(AliasProposal.words)).where(
        col(AliasProposal.state) == AliasState.CONFIRMED
    )
    for place, words in session.execute(rows.order_by(col(AliasProposal.id))):
        found.setdefault(place, []).append(words)
    return found


def with_learned(aliases: str, learned: Sequence[str]) -> str:
    """Aliases, separated by `|`, and those learned that are not among them yet."""
    known = [alias for alias in aliases.split(BETWEEN) if alias]
    return BETWEEN.join([*known, *(words for words in learned if words not in known)])
