"""Insert unless it is there: one statement, the same on both databases."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_new(session: Session, table: type[SQLModel], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> int:
    """Add rows, skipping those that would repeat the columns `unique`. Returns how many were new.

    unique: columns of a unique constraint. Values are given for every column that has no default in the database.
    """
    if not rows:
        return 0
    build = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = build(table).on_conflict_do_nothing(index_elements=list(unique))
    columns: sa.Table = table.__table__  # type: ignore[attr-defined]
    return len(session.connection().execute(statement.returning(columns.c.id), list(rows)).all())
