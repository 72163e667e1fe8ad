"""What is kept about keeping: notices given, deletions asked for and done, and what of them is still to do."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models.base import BigId, choice
from models.insert import insert_new


class Notice(SQLModel, table=True):
    """The privacy notice (隐私告知) of this version was given to this user id. Source: PIPL 14, 17."""

    __table_args__ = (sa.UniqueConstraint("channel", "user", "version"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    user: str = Field(max_length=128)
    person: str | None = Field(default=None, index=True, max_length=64)
    version: str = Field(max_length=32)
    at: datetime


class Wish(SQLModel, table=True):
    """Somebody asked in this direct chat to have her data deleted, and has not confirmed yet."""

    __table_args__ = (sa.UniqueConstraint("channel", "user"),)

    id: int | None = Field(default=None, primary_key=True)
    channel: str = Field(max_length=32)
    user: str = Field(max_length=128)
    at: datetime


class Erasure(SQLModel, table=True):
    """A deletion that was carried out: that and how much, never whose. tickets: wiped; held: those still open then.
    done_at: when nothing was left to do. Source: PIPL 47."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    tickets: int = 0
    held: int = 0
    messages: int = 0
    done_at: datetime | None = None


class Owed(SQLModel, table=True):
    """A ticket that was open when one of its people had her data deleted: her traces in it go when it has ended.

    people: the codes under which histories name her. chats: her direct chats with the bot.
    """

    __table_args__ = (sa.UniqueConstraint("ticket", "channel", "user"),)

    id: int | None = Field(default=None, primary_key=True)
    erasure: int = Field(foreign_key="erasure.id", index=True)
    ticket: int = Field(foreign_key="ticket.id", index=True, sa_type=BigId)
    channel: str = Field(max_length=32)
    user: str = Field(max_length=128)
    people: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    chats: list[str] = Field(default_factory=list, sa_type=sa.JSON)


class RemnantKind(StrEnum):
    """A file below media/; a user id whose last messages had still to leave; a ticket whose alerts had."""

    FILE = "file"
    USER = "user"
    TICKET = "ticket"


class Remnant(SQLModel, table=True):
    """What a deletion could not remove at once: files (the transaction might not have committed), and queue rows that
    were still under way. value: a path, a user id, or a ticket's id; chat: of a user, one of her direct chats."""

    id: int | None = Field(default=None, primary_key=True)
    erasure: int = Field(foreign_key="erasure.id", index=True)
    kind: RemnantKind = Field(sa_type=choice(RemnantKind))
    channel: str = Field(default="", max_length=32)
    value: str = Field(max_length=256)
    chat: str = Field(default="", max_length=128)
    before: datetime
    due_at: datetime = Field(index=True)


class Linkage(SQLModel, table=True):
    """Two became one person, or one two: what was done, when, and by whom (a code of staff, or `Link`). No user ids."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    by: str = Field(max_length=64)
    what: str = Field(max_length=16)
    person: str = Field(index=True, max_length=64)
    other: str = Field(default="", index=True, max_length=64)
    channel: str = Field(default="", max_length=32)


def noticed(session: Session, addresses: list[tuple[str, str]], version: str | None = None) -> bool:
    """Whether one of these user ids was given the notice of this version; None: of any."""
    mine = sa.or_(*(sa.and_(col(Notice.channel) == channel, col(Notice.user) == user) for channel, user in addresses))
    given = sa.select(col(Notice.id)).where(mine)
    if version is not None:
        given = given.where(col(Notice.version) == version)
    return session.scalars(given.limit(1)).first() is not None


def note(session: Session, channel: str, user: str, person: str | None, version: str, now: datetime) -> bool:
    """Record that the notice is given. False when it was already."""
    row = {"channel": channel, "user": user, "person": person, "version": version, "at": now}
    return insert_new(session, Notice, [row], ["channel", "user", "version"]) == 1


def unnote(session: Session, channel: str, user: str) -> None:
    """What was to give her the notice has perhaps not arrived: she is given it again."""
    mine = sa.delete(Notice).where(col(Notice.channel) == channel, col(Notice.user) == user)
    session.connection().execute(mine)


def wish(session: Session, channel: str, user: str, now: datetime) -> None:
    """She asks; an earlier asking is replaced."""
    wished(session, channel, user, now)
    session.add(Wish(channel=channel, user=user, at=now))
    session.flush()


def wished(session: Session, channel: str, user: str, since: datetime) -> bool:
    """Whether she asked after `since`; whatever she asked is used up."""
    mine = sa.and_(col(Wish.channel) == channel, col(Wish.user) == user)
    at = session.scalars(sa.select(col(Wish.at)).where(mine)).first()
    session.connection().execute(sa.delete(Wish).where(mine))
    return at is not None and at > since
