"""A decision taken at the command line: the same handlers, one transaction, and who must hear of it does."""

import uuid
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from bot.links import Links, linker, secret_of
from config.settings import Settings
from handlers.desk import Desk
from handlers.town import load
from handlers.workdays import WorkCalendar
from models import outbox, person
from models.base import utc_now
from models.database import Database

T = TypeVar("T")
TRIES = 4


class Busy(Exception):
    """Somebody else changes the same ticket again and again."""


def at_desk(db: Database, settings: Settings, by: str | None, work: Callable[[Desk], T]) -> T:
    """Run `work` for the person `by` and write what it wants said; anew where a ticket changed meanwhile.

    by: None for work that only reads. Raises NoSuchPerson, Busy, and what `work` raises; nothing has changed then.
    """
    secret = secret_of(settings) if by is not None else None
    link = linker(settings, Links(secret) if secret else None)
    calendar = WorkCalendar.configured(settings.zone)

    def run(session: Session) -> T:
        if by is not None:
            person.get(session, by)
        desk = Desk(session, load(session), utc_now(), calendar, f"cli:{uuid.uuid4().hex}", link)
        found = work(desk)
        session.flush()
        outbox.put(session, desk.take(), desk.now)
        return found

    for _ in range(TRIES):
        try:
            return db.tx(run)
        except StaleDataError:
            continue
    raise Busy("somebody else changes this ticket just now; try again.")
