"""People, what they are responsible for, and under which names the channels know them."""

import difflib
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models import mark
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
LOOKS_ALIKE = str.maketrans("OIL", "011")


class Origin(StrEnum):
    """Where we know somebody from: the community's register (the town pack), or because she made herself known."""

    REGISTER = "register"
    SELF = "self"


class Person(SQLModel, table=True):
    """Somebody the deployment knows. `home` is a place code and never leaves the direct chat; `grid`: where she lives,
    when only the grid is known. `merged_into`: the person that she turned out to be; her row stays, because the town
    pack may name her again. `erased_at`: she had her data deleted, and no import brings them back."""

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=128)
    home: str | None = Field(default=None, foreign_key="place.code", max_length=64)
    away_until: datetime | None = None
    deputy: str | None = Field(default=None, foreign_key="person.code", max_length=64)
    origin: Origin = Field(
        default=Origin.REGISTER, sa_type=choice(Origin), sa_column_kwargs={"default": Origin.REGISTER}
    )
    # No foreign keys: SQLite could add them only by writing the whole table anew, which others refer to.
    grid: str | None = Field(default=None, max_length=64)
    merged_into: str | None = Field(default=None, index=True, max_length=64)
    erased_at: datetime | None = None


class Duty(SQLModel, table=True):
    """One role of one person in one grid; a person may hold several."""

    __table_args__ = (sa.UniqueConstraint("person", "role", "grid", "department"),)

    id: int | None = Field(default=None, primary_key=True)
    person: str = Field(foreign_key="person.code", index=True, max_length=64)
    role: Role = Field(sa_type=choice(Role))
    grid: str = Field(foreign_key="grid.code", index=True, max_length=64)
    department: str = Field(default="", max_length=128)


class Link(StrEnum):
    """How a user id came to a person: the town pack, a member of staff, a one-time code (绑定), a QR scene (扫码)."""

    PACK = "pack"
    STAFF = "staff"
    CODE = "code"
    SCENE = "scene"


class Identity(SQLModel, table=True):
    """A person's user id on one channel. `how` and `since`: how it came to her, `Link.PACK` for the town pack's."""

    __table_args__ = (sa.UniqueConstraint("channel", "user"),)

    id: int | None = Field(default=None, primary_key=True)
    person: str = Field(foreign_key="person.code", index=True, max_length=64)
    channel: str = Field(max_length=32)
    user: str = Field(max_length=128)
    how: Link = Field(default=Link.PACK, sa_type=choice(Link), sa_column_kwargs={"default": Link.PACK})
    since: datetime | None = None


class NoSuchPerson(Exception):
    """No person has this code; the message names the one that was probably meant."""


class BadLeave(Exception):
    """Nobody can be away like this; the message says why."""


def get(session: Session, code: str) -> Person:
    """The person of this code. Raises NoSuchPerson."""
    found = session.scalars(sa.select(Person).where(col(Person.code) == code)).first()
    if found is None:
        near = _near(code, session.scalars(sa.select(col(Person.code)).order_by(col(Person.code))).all())
        raise NoSuchPerson(f'there is no person "{code}".' + (f' Did you mean "{near}"?' if near else ""))
    return found


def _near(code: str, codes: Sequence[str]) -> str:
    """The code that was probably meant: one that only looks the same (W0l for W01), else the likest; or ""."""
    looks = {name.upper().translate(LOOKS_ALIKE): name for name in codes}
    if found := looks.get(code.upper().translate(LOOKS_ALIKE)):
        return found
    alike = [name for name in codes if abs(len(name) - len(code)) <= 2]
    return next(iter(difflib.get_close_matches(code, alike, 1, 0.6)), "")


def leave(session: Session, code: str, until: datetime, deputy: str | None) -> Person:
    """Somebody is away until then, and `deputy` stands in for her: her code, or None for the next one on duty.

    Running processes are told. Raises NoSuchPerson for either code, BadLeave for a deputy of oneself.
    """
    person = get(session, code)
    if deputy is not None and get(session, deputy).code == code:
        raise BadLeave(f'"{code}" cannot stand in for herself.')
    return _changed(session, person, until, deputy)


def back(session: Session, code: str) -> Person:
    """Somebody is there again, and nobody stands in for her. Running processes are told. Raises NoSuchPerson."""
    return _changed(session, get(session, code), None, None)


def _changed(session: Session, person: Person, until: datetime | None, deputy: str | None) -> Person:
    person.away_until, person.deputy = until, deputy
    session.add(person)
    mark.bump(session, mark.TOWN)
    return person
