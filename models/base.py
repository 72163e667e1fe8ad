"""What all tables share: naming of constraints, time, enums."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

Clock = Callable[[], datetime]

# Named constraints, so that a migration can drop on PostgreSQL what it made on SQLite.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = SQLModel.metadata


def utc_now() -> datetime:
    """The wall clock, aware. Everything else gets its time passed in as a `Clock`."""
    return datetime.now(UTC)


def choice(kind: type[StrEnum]) -> Any:
    """A column type that stores an enum's *value* as text, the same on both databases."""
    return sa.Enum(kind, native_enum=False, length=32, values_callable=lambda members: [m.value for m in members])


# SQLite numbers rows only for INTEGER PRIMARY KEY; PostgreSQL should not run out of ids after two billion messages.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
