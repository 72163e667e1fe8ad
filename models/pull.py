"""How far the pullers of a platform's lists have come, and who of them pulls: one at a time over all processes.

A callback only says that there is something: it is written down here before it is acknowledged. The cursor moves in the
transaction that keeps what was pulled, so that a crash neither loses nor doubles anything.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.insert import insert_new
from models.queue import LeaseLost


class Pull(SQLModel, table=True):
    """One list, such as `wecom_kf:wk…`. asked: how often we were told that there is something; done: how many of these
    were pulled since. hint: what the last callback gave for it, until `hint_until`. pulled_at: last read to its end."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    cursor: str = ""
    hint: str = ""
    hint_until: datetime | None = None
    asked: int = 0
    done: int = 0
    lease: str = Field(default="", max_length=32)
    leased_until: datetime | None = None
    pulled_at: datetime | None = None


def ask(session: Session, name: str, *, hint: str, until: datetime) -> None:
    """There is something to pull. hint: what the platform wants to see again, good until then."""
    _there(session, name)
    values = {"asked": col(Pull.asked) + 1, "hint": hint, "hint_until": until}
    session.connection().execute(sa.update(Pull).where(col(Pull.name) == name).values(**values))


def due(session: Session, names: Sequence[str], before: datetime) -> list[str]:
    """Of these lists the ones that were asked for, that were last read before then, or that nobody knows yet."""
    rows = session.scalars(sa.select(Pull).where(col(Pull.name).in_(names))).all()
    fresh = {row.name for row in rows if row.asked <= row.done and row.pulled_at is not None and row.pulled_at > before}
    return [name for name in names if name not in fresh]


def seize(session: Session, name: str, *, now: datetime, lease: timedelta) -> Pull | None:
    """The right to pull, for `lease`, and where to go on; None while somebody else has it."""
    _there(session, name)
    free = sa.or_(col(Pull.lease) == "", col(Pull.leased_until) <= now)
    statement = sa.update(Pull).where(col(Pull.name) == name, free)
    mine = {"lease": secrets.token_hex(8), "leased_until": now + lease}
    if session.connection().execute(statement.values(**mine)).rowcount != 1:
        return None
    one = sa.select(Pull).where(col(Pull.name) == name).execution_options(populate_existing=True)
    return session.scalars(one).one()


def move(session: Session, row: Pull, cursor: str, *, now: datetime, lease: timedelta) -> None:
    """A page was kept, in this transaction. Raises LeaseLost when somebody else pulls, or has moved the cursor."""
    _fenced(session, row, cursor=cursor, leased_until=now + lease)
    row.cursor = cursor


def finish(session: Session, row: Pull, *, now: datetime) -> None:
    """Read to its end: what was asked for when `row` was seized is done. Raises LeaseLost."""
    _fenced(session, row, done=row.asked, pulled_at=now, lease="", leased_until=None)


def release(session: Session, row: Pull) -> None:
    """It did not come to its end; the next one may try. Nothing when the lease was lost."""
    mine = sa.update(Pull).where(col(Pull.name) == row.name, col(Pull.lease) == row.lease)
    session.connection().execute(mine.values(lease="", leased_until=None))


def _there(session: Session, name: str) -> None:
    insert_new(session, Pull, [{"name": name, "cursor": "", "hint": "", "asked": 0, "done": 0, "lease": ""}], ["name"])


def _fenced(session: Session, row: Pull, **values: Any) -> None:
    mine = sa.update(Pull).where(
        col(Pull.name) == row.name, col(Pull.lease) == row.lease, col(Pull.cursor) == row.cursor
    )
    if session.connection().execute(mine.values(**values)).rowcount != 1:
        raise LeaseLost(f"Pull {row.name}")
