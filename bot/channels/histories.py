"""What happens to tickets, read off their histories for those who are to hear of it: each line once.

A history line and the decision behind it are one transaction, so nothing is missed; a message's key in the outbox is
made of ticket and event, so any number of processes may look at the same time.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from models import outbox
from models.base import Clock
from models.database import Database
from models.message import Outgoing
from models.ticket import Ticket, TicketEvent

FRESH = timedelta(days=1)  # what is older is no news any more; the outbox remembers far longer what was told
OVERLAP = 500  # ids below the newest one seen that are looked at again: a transaction may commit after a later one
Told = Callable[[Session, TicketEvent, Ticket], Iterable[tuple[str, Outgoing]]]


class Histories:
    """Reads on from where it was. told: what becomes of a line, each message with its key."""

    def __init__(self, db: Database, whats: Collection[str], told: Told, clock: Clock) -> None:
        """whats: the kinds of lines that are read."""
        self._db = db
        self._whats = sorted(whats)
        self._told = told
        self._clock = clock
        self._newest: int | None = None
        self._done: frozenset[int] = frozenset()  # of the overlap

    async def look(self) -> int:
        """Look once. Returns how many messages were new."""
        added, newest, done = await self._db.run(self._look)
        self._newest, self._done = newest, done  # only now: what was rolled back is looked at again
        return added

    def _look(self, session: Session) -> tuple[int, int, frozenset[int]]:
        now = self._clock()
        newest = session.scalar(sa.select(sa.func.max(col(TicketEvent.id)))) or 0
        since = self._newest - OVERLAP if self._newest is not None else self._first(session)
        lines = sa.select(TicketEvent).where(
            col(TicketEvent.id) > since, col(TicketEvent.what).in_(self._whats),
            col(TicketEvent.at) > now - FRESH,
        )  # fmt: skip
        found = {row.id or 0: row for row in session.scalars(lines.order_by(col(TicketEvent.id)))}
        new = [row for number, row in found.items() if number not in self._done]
        wanted = sa.select(Ticket).where(col(Ticket.id).in_({row.ticket for row in new}))
        tickets = {row.id: row for row in session.scalars(wanted)} if new else {}
        messages = [one for row in new for one in self._told(session, row, tickets[row.ticket])]
        return outbox.put(session, messages, now), newest, frozenset(one for one in found if one > newest - OVERLAP)

    def _first(self, session: Session) -> int:
        """Where a process begins: behind the last line that is a day old, looked for from the newest backwards, so that
        of a long history only that day is read."""
        old = sa.select(col(TicketEvent.id)).where(col(TicketEvent.at) <= self._clock() - FRESH)
        return session.scalars(old.order_by(sa.desc(col(TicketEvent.id))).limit(1)).first() or 0
