"""Pictures of tickets that nobody has read yet: taken one at a time, for a while, and never for ever."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from models.ticket import Attachment

TRIES = 3  # a picture that a process dies over is left alone then
_UNREAD = sa.text("attachment.read_text IS NULL")  # no parameter: SQLite uses the partial index only then


@dataclass(frozen=True, slots=True)
class Unread:
    """One to be looked at; `looks`: for the how manieth time."""

    id: int
    path: str
    looks: int


def take(session: Session, *, now: datetime, since: datetime, lease: timedelta) -> Unread | None:
    """The oldest picture on our disk, added after `since`, that nobody looks at; None: there is none."""
    ready = sa.or_(col(Attachment.look_again_at).is_(None), col(Attachment.look_again_at) <= now)
    row = session.scalars(
        sa.select(Attachment)
        .where(_UNREAD, col(Attachment.added_at) > since, ready, col(Attachment.looks) < TRIES)
        .where(col(Attachment.kind).in_(["image", "file"]), col(Attachment.path) != "")
        .order_by(col(Attachment.added_at), col(Attachment.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    row.look_again_at = now + lease
    row.looks += 1
    session.add(row)
    return Unread(row.id or 0, row.path, row.looks)


def settle(session: Session, picture: Unread, text: str) -> Attachment | None:
    """Keep what was read. None when the picture was taken back, or somebody else has looked at it meanwhile."""
    row = session.get(Attachment, picture.id, with_for_update=True, populate_existing=True)
    if row is None or row.read_text is not None or row.looks != picture.looks:
        return None
    row.read_text = text
    session.add(row)
    return row
