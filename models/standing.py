"""How the one holder of something is, such as a long connection: written by it, read by whoever may not try himself."""

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.insert import insert_new


class Standing(SQLModel, table=True):
    """name: what is held, such as `wecom_bot:BOTID`. why: what it says of itself unless all is well; no secret. Says
    something only as long as somebody holds it: nobody wipes it up after a crash."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    state: str = Field(default="", max_length=16)
    why: str = Field(default="", max_length=200)


def note(session: Session, name: str, state: str, why: str) -> None:
    """This is how it is now."""
    insert_new(session, Standing, [{"name": name, "state": "", "why": ""}], ["name"])
    session.connection().execute(sa.update(Standing).where(col(Standing.name) == name).values(state=state, why=why))


def look(session: Session, name: str) -> tuple[str, str] | None:
    """(state, why); None where nobody has ever said."""
    row = session.scalars(sa.select(Standing).where(col(Standing.name) == name)).first()
    return None if row is None else (row.state, row.why)
