"""People, what they are responsible for, and under which names the channels know them."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.base import choice


class Role(StrEnum):
    """A duty's kind. Chinese terms: 微网格长, 网格员, 兼职网格员, 社区, 街道, 区, 部门."""

    RESIDENT = "resident"
    LEADER = "leader"
    GRIDWORKER = "gridworker"
    PART_TIME = "part_time"
    COMMUNITY = "community"
    STREET = "street"
    DISTRICT = "district"
    DEPARTMENT = "department"


WORKERS = frozenset({Role.GRIDWORKER, Role.PART_TIME, Role.DEPARTMENT})
LEVELS_OF_STAFF = (Role.COMMUNITY, Role.STREET, Role.DISTRICT)
STAFF = frozenset(LEVELS_OF_STAFF)


class Person(SQLModel, table=True):
    """Somebody the deployment knows. `home` is a place code and never leaves the direct chat."""

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=128)
    home: str | None = Field(default=None, foreign_key="place.code", max_length=64)
    away_until: datetime | None = None
    deputy: str | None = Field(default=None, foreign_key="person.code", max_length=64)


class Duty(SQLModel, table=True):
    """One role of one person in one grid; a person may hold several."""

    __table_args__ = (sa.UniqueConstraint("person", "role", "grid", "department"),)

    id: int | None = Field(default=None, primary_key=True)
    person: str = Field(foreign_key="person.code", index=True, max_length=64)
    role: Role = Field(sa_type=choice(Role))
    grid: str = Field(foreign_key="grid.code", index=True, max_length=64)
    department: str = Field(default="", max_length=128)


class Identity(SQLModel, table=True):
    """A person's user id on one channel."""

    __table_args__ = (sa.UniqueConstraint("channel", "user"),)

    id: int | None = Field(default=None, primary_key=True)
    person: str = Field(foreign_key="person.code", index=True, max_length=64)
    channel: str = Field(max_length=32)
    user: str = Field(max_length=128)
