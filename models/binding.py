"""One-time codes (绑定码): said in another direct chat of the same person, they make the two chats one person's.

A code has eight digits and ten minutes. Only its salted digest is kept. Who says a right code has to say once more that
it is hers; from then on nobody else can use it. Guesses are counted by user id, and over all of them.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, col

from models import quota

DIGITS = 8
VALID = timedelta(minutes=10)
TRIES, TRIES_PER = 5, timedelta(hours=1)  # of one user id
FLOOD, FLOOD_PER = 300, timedelta(minutes=10)  # of all together: more than that is no forgetfulness


class BindCode(SQLModel, table=True):
    """A code given out. channel, user: the direct chat that it was given in, "" for one of staff; person: of whom staff
    gave it out. claimed_…: who said it and has not confirmed yet."""

    id: int | None = Field(default=None, primary_key=True)
    channel: str = Field(default="", max_length=32)
    user: str = Field(default="", max_length=128)
    chat: str = Field(default="", max_length=128)
    person: str | None = Field(default=None, max_length=64)
    salt: str = Field(max_length=32)
    digest: str = Field(max_length=64)
    expires_at: datetime = Field(index=True)
    claimed_channel: str = Field(default="", max_length=32)
    claimed_user: str = Field(default="", max_length=128)


class Said(StrEnum):
    """What came of saying a code."""

    RIGHT = "right"
    WRONG = "wrong"
    OWN = "own"  # said where it was given
    LOCKED = "locked"  # too many guesses


def _digest(salt: str, code: str) -> str:
    return hashlib.sha256(f"{salt}:{code}".encode()).hexdigest()


def issue(
    session: Session, now: datetime, *, channel: str = "", user: str = "", chat: str = "", person: str | None = None
) -> str:
    """A new code for this direct chat, or for a person in the hands of staff; her earlier ones are void. Digits."""
    mine = sa.and_(col(BindCode.channel) == channel, col(BindCode.user) == user)
    if person is not None:
        mine = sa.and_(mine, col(BindCode.person) == person)
    session.connection().execute(sa.delete(BindCode).where(mine))
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    salt = secrets.token_hex(16)
    session.add(
        BindCode(
            channel=channel, user=user, chat=chat, person=person, salt=salt, digest=_digest(salt, code),
            expires_at=now + VALID,
        )
    )  # fmt: skip
    session.flush()
    return code


def waiting(session: Session, now: datetime) -> bool:
    """Whether any code could be said just now."""
    return (
        session.scalars(sa.select(col(BindCode.id)).where(col(BindCode.expires_at) > now).limit(1)).first() is not None
    )


def say(session: Session, code: str, channel: str, user: str, now: datetime) -> tuple[Said, BindCode | None]:
    """Somebody says a code in her direct chat. RIGHT: it waits for her to confirm, with its row.

    A locked user id is not even compared. All codes are compared, each in constant time.
    """
    who = hashlib.sha256(f"{channel}:{user}".encode()).hexdigest()[:32]  # names nobody
    mine = quota.take(session, f"bind:{who}", limit=TRIES, per=TRIES_PER, now=now)
    if not mine or not quota.take(session, "bind:*", limit=FLOOD, per=FLOOD_PER, now=now):
        return Said.LOCKED, None
    row = _find(session, code, now)
    if row is None:
        return Said.WRONG, None
    if (row.channel, row.user) == (channel, user):
        return Said.OWN, row
    free = sa.or_(
        col(BindCode.claimed_user) == "",
        sa.and_(col(BindCode.claimed_channel) == channel, col(BindCode.claimed_user) == user),
    )
    claim = sa.update(BindCode).where(col(BindCode.id) == row.id, free)
    if session.connection().execute(claim.values(claimed_channel=channel, claimed_user=user)).rowcount != 1:
        return Said.WRONG, None
    return Said.RIGHT, row


def _find(session: Session, code: str, now: datetime) -> BindCode | None:
    found = None
    for row in session.scalars(sa.select(BindCode).where(col(BindCode.expires_at) > now)):
        if hmac.compare_digest(row.digest, _digest(row.salt, code)):
            found = row
    return found


def claimed(session: Session, channel: str, user: str, now: datetime) -> BindCode | None:
    """The code that this user id said and has not confirmed yet, the newest one."""
    mine = sa.select(BindCode).where(
        col(BindCode.claimed_channel) == channel, col(BindCode.claimed_user) == user, col(BindCode.expires_at) > now
    )
    return session.scalars(mine.order_by(sa.desc(col(BindCode.id))).limit(1)).first()


def use(session: Session, row: BindCode) -> bool:
    """Use a code up. False when somebody has done so in the meantime."""
    return session.connection().execute(sa.delete(BindCode).where(col(BindCode.id) == row.id)).rowcount == 1


def burn(session: Session, code: str, now: datetime) -> None:
    """A code that was said where others hear it is void."""
    row = _find(session, code, now)
    if row is not None:
        use(session, row)


def forget(session: Session, now: datetime) -> int:
    """Remove codes that are over. Returns how many."""
    return session.connection().execute(sa.delete(BindCode).where(col(BindCode.expires_at) <= now)).rowcount
