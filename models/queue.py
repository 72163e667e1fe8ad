"""The durable queue under inbox and outbox: five functions, one statement each.

A row waits while `finished_at` is NULL. `visible_at` is delay, lease and back-off in one. Rows of one `conversation`
are taken strictly by id, or in an order of the queue's own: only the first unfinished row of a conversation can be
claimed, and while it is leased or backing off the ones behind it wait. `finished_at IS NULL` stands in the statements
without a parameter because SQLite uses a partial index only then.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel

from models.base import BigId
from models.insert import insert_new


class LeaseLost(Exception):
    """Somebody else took the row after our lease ran out: whatever we did for it must be rolled back."""


class QueueRow(SQLModel):
    """The columns that both queues have."""

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    dedup_key: str = Field(unique=True, max_length=320)
    conversation: str = Field(max_length=192)
    payload: str
    visible_at: datetime
    attempts: int = 0
    lease: str | None = Field(default=None, max_length=32)
    finished_at: datetime | None = None
    outcome: str = Field(default="", max_length=32)
    error: str = ""


Row = TypeVar("Row", bound=QueueRow)


def queue_indexes(name: str, *order: str) -> tuple[sa.Index, sa.Index]:
    """The two partial indexes a queue table needs: what is due, and who is first in a conversation. order: columns that
    come before the id there."""
    waiting = sa.text("finished_at IS NULL")
    return (
        sa.Index(f"ix_{name}_due", "visible_at", "id", sqlite_where=waiting, postgresql_where=waiting),
        sa.Index(f"ix_{name}_order", "conversation", *order, "id", sqlite_where=waiting, postgresql_where=waiting),
    )


def append(session: Session, table: type[Row], rows: Iterable[dict[str, Any]]) -> int:
    """Add rows, skipping those whose `dedup_key` is there already. Returns how many were new.

    On PostgreSQL the commit also rings `linsheng_<table>` for whoever listens, so that no process waits for its poll.
    """
    added = insert_new(session, table, list(rows), ["dedup_key"])
    connection = session.connection()
    if added and connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_notify(:channel, '')"), {"channel": bell(table)})
    return added


def bell(table: type[Row]) -> str:
    """The PostgreSQL channel on which new rows of a queue are announced."""
    return f"linsheng_{table.__tablename__}"


def claim(
    session: Session, table: type[Row], *, now: datetime, lease: timedelta, limit: int,
    only: Callable[[type[Row]], sa.ColumnElement[bool]] | None = None,
    before: Callable[[type[Row], type[Row]], sa.ColumnElement[bool]] | None = None,
) -> Sequence[Row]:  # fmt: skip
    """Take up to `limit` heads of conversations, oldest first, for `lease`; nobody else gets them meanwhile.

    only: gets the table and gives a condition; a head that does not meet it stays, and what is behind it waits for it.
    before: gets the table twice; whether the first one's row comes before the second one's. Without, the older does.
    """
    one = sa.orm.aliased(table, name="head")
    earlier = sa.orm.aliased(table, name="earlier")
    first = ~sa.exists().where(
        earlier.conversation == one.conversation,  # type: ignore[arg-type]
        earlier.finished_at.is_(None),  # type: ignore[union-attr]
        (before or _put_before)(earlier, one),
    )
    heads = (
        sa.select(one.id)  # type: ignore[call-overload]
        .where(one.finished_at.is_(None), one.visible_at <= now, first)  # type: ignore[union-attr]
        .order_by(one.visible_at, one.id)  # by id alone SQLite walks the whole table
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if only is not None:
        heads = heads.where(only(one))
    statement = (
        sa.update(table)
        .where(table.id.in_(heads.scalar_subquery()))  # type: ignore[union-attr]
        .values(lease=secrets.token_hex(8), visible_at=now + lease, attempts=table.attempts + 1)
        .returning(table)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    rows: Sequence[Row] = session.scalars(statement).all()
    return sorted(rows, key=lambda row: row.id or 0)


def _put_before(earlier: type[Row], one: type[Row]) -> sa.ColumnElement[bool]:
    return earlier.id < one.id  # type: ignore[operator, return-value]


def finish(session: Session, table: type[Row], row: Row, *, now: datetime, outcome: str) -> None:
    """Done with `row`, in the same transaction as its effects. Raises LeaseLost when it is no longer ours."""
    _fenced(session, table, row, finished_at=now, lease=None, outcome=outcome)


def finish_many(session: Session, table: type[Row], done: Sequence[tuple[Row, str]], *, now: datetime) -> None:
    """`finish` for a whole batch of (row, outcome): one statement for each outcome and lease, fenced all the same."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for row, outcome in done:
        groups.setdefault((outcome, row.lease), []).append(row.id or 0)
    for (outcome, lease), ids in groups.items():
        statement = sa.update(table).where(
            table.id.in_(ids),  # type: ignore[union-attr]
            table.lease == lease,  # type: ignore[arg-type]
            table.finished_at.is_(None),  # type: ignore[union-attr]
        )
        values = {"finished_at": now, "lease": None, "outcome": outcome}
        if session.connection().execute(statement.values(**values)).rowcount != len(ids):
            raise LeaseLost(f"{table.__name__}: one of {len(ids)} rows")


def note(session: Session, table: type[Row], row: Row, *, payload: str) -> None:
    """Keep what is done of `row` so far; it stays ours. Raises LeaseLost when it is no longer."""
    _fenced(session, table, row, payload=payload)


def retry(session: Session, table: type[Row], row: Row, *, at: datetime, error: str) -> None:
    """Give `row` back, to be claimed again from `at` on."""
    _fenced(session, table, row, visible_at=at, lease=None, error=error[:500])


def bury(session: Session, table: type[Row], row: Row, *, now: datetime, outcome: str, error: str) -> None:
    """Stop trying: the row stays, finished, for an operator to look at; what waits behind it goes on."""
    _fenced(session, table, row, finished_at=now, lease=None, outcome=outcome, error=error[:500])


def _fenced(session: Session, table: type[Row], row: Row, **values: Any) -> None:
    statement = sa.update(table).where(
        table.id == row.id,  # type: ignore[arg-type]
        table.lease == row.lease,  # type: ignore[arg-type]
        table.finished_at.is_(None),  # type: ignore[union-attr]
    )
    done = session.connection().execute(statement.values(**values))
    if done.rowcount != 1:
        raise LeaseLost(f"{table.__name__} {row.id}")
