"""Tokens of platform APIs, shared by all processes of a deployment: one fetches, the others read.

The value is sealed by the caller with a key made of the account's secret: who reads the database alone has no token.
"""

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.insert import insert_new

RESTS = "rests"


class ApiToken(SQLModel, table=True):
    """The token of one credential at one platform. `lease`: somebody fetches a new one, until `leased_until` at most,
    or RESTS: the platform refused one, and nobody asks before then. `forced_at`: when one was last fetched by force,
    which the platform counts."""

    __tablename__ = "api_token"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    sealed: str = ""
    until: datetime | None = None
    lease: str = Field(default="", max_length=32)
    leased_until: datetime | None = None
    forced_at: datetime | None = None


def look(session: Session, name: str) -> ApiToken | None:
    """The row as it is now, if there is one."""
    one = sa.select(ApiToken).where(col(ApiToken.name) == name).execution_options(populate_existing=True)
    return session.scalars(one).first()


def rests(row: ApiToken, now: datetime) -> float:
    """For how many seconds nobody may ask for a new one."""
    if row.lease != RESTS or row.leased_until is None:
        return 0.0
    return max(0.0, (row.leased_until - now).total_seconds())


def seize(session: Session, name: str, seen: str, *, now: datetime, lease: timedelta) -> str:
    """The right to fetch, for `lease`; "" when somebody else has it, or has put another token than `seen` there."""
    blank = {"name": name, "sealed": "", "lease": ""}
    insert_new(session, ApiToken, [blank], ["name"])
    mine = secrets.token_hex(8)
    free = sa.or_(col(ApiToken.lease) == "", col(ApiToken.leased_until) <= now)
    statement = sa.update(ApiToken).where(col(ApiToken.name) == name, col(ApiToken.sealed) == seen, free)
    done = session.connection().execute(statement.values(lease=mine, leased_until=now + lease))
    return mine if done.rowcount == 1 else ""


def store(session: Session, name: str, lease: str, *, sealed: str, until: datetime, forced_at: datetime | None) -> bool:
    """The new token. False when the lease was lost meanwhile: then somebody else's counts."""
    statement = sa.update(ApiToken).where(col(ApiToken.name) == name, col(ApiToken.lease) == lease)
    values = {"sealed": sealed, "until": until, "forced_at": forced_at, "lease": "", "leased_until": None}
    return session.connection().execute(statement.values(**values)).rowcount == 1


def release(session: Session, name: str, lease: str, *, forced_at: datetime | None) -> None:
    """Nothing was fetched; the next one may try."""
    statement = sa.update(ApiToken).where(col(ApiToken.name) == name, col(ApiToken.lease) == lease)
    session.connection().execute(statement.values(lease="", leased_until=None, forced_at=forced_at))


def rest(session: Session, name: str, lease: str, *, until: datetime, forced_at: datetime | None) -> None:
    """The platform refused one: nobody asks it again before `until`."""
    statement = sa.update(ApiToken).where(col(ApiToken.name) == name, col(ApiToken.lease) == lease)
    session.connection().execute(statement.values(lease=RESTS, leased_until=until, forced_at=forced_at))
