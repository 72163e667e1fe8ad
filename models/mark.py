"""Small named numbers that processes tell each other by: the version of the town."""

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

TOWN = "town"


class Mark(SQLModel, table=True):
    """A number that only grows."""

    name: str = Field(primary_key=True, max_length=32)
    value: int = 0


def bump(session: Session, name: str) -> None:
    """Say that what `name` stands for has changed."""
    changed = session.connection().execute(
        sa.update(Mark).where(col(Mark.name) == name).values(value=col(Mark.value) + 1)
    )
    if changed.rowcount == 0:
        session.add(Mark(name=name, value=1))
        session.flush()


def value(session: Session, name: str) -> int:
    """The number, 0 when nobody has bumped it yet."""
    found = session.scalars(sa.select(col(Mark.value)).where(col(Mark.name) == name)).first()
    return int(found or 0)
