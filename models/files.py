"""Which rows name a file below the data folder's media/: as long as one does, the file stays."""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from models.inbox import Inbox
from models.ticket import Attachment
from models.webchat import WebMessage

_PATH = re.compile(r'"path":"([^"]+)"')  # in a letter as JSON


class Place(NamedTuple):
    """Where names stand: in letters, or by themselves."""

    id: Any
    text: Any
    letters: bool = True


# In the order in which a name goes from one to the next, so that whoever walks along misses none.
PLACES = (
    Place(WebMessage.id, WebMessage.body),
    Place(Inbox.id, Inbox.payload),
    Place(Attachment.id, Attachment.path, False),
)


def hold(session: Session, paths: Collection[str]) -> None:
    """Until this transaction ends no other one that holds them begins. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        for path in sorted(set(paths)):
            session.connection().execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(path, 0))))


def unnamed(session: Session, paths: Collection[str]) -> list[str]:
    """Those that no row names: somebody else may have sent the same file, and a matter that goes on may need it."""
    hold(session, paths)
    return [path for path in sorted(set(paths)) if not any(_names(session, place, path) for place in PLACES)]


def _names(session: Session, place: Place, path: str) -> bool:
    here = place.text.contains(path, autoescape=True) if place.letters else place.text == path
    return session.scalars(sa.select(place.id).where(here).limit(1)).first() is not None


def some(session: Session, place: Place, after: int, limit: int) -> tuple[set[str], int]:
    """Names in up to `limit` rows behind the id `after`, and the id to go on behind; 0: there are no more."""
    full = place.text.contains('"path":"') if place.letters else place.text != ""
    rows = session.execute(
        sa.select(place.id, place.text).where(place.id > after, full).order_by(place.id).limit(limit)
    )
    found, last = set[str](), 0
    for number, text in rows:
        found.update(_PATH.findall(text) if place.letters else [text])
        last = number
    return found, last
