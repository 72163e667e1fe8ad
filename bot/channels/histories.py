"""What happens to tickets, read off their histories for those who are to hear of it: each line once.

A history line and the decision behind it are one transaction, so nothing is missed; a message's key in the outbox is
made of ticket and event, so any number of processes may look at the same time.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from models import outbox
from models.base import Clock
from models.database import Database
from models.message import Outgoing
from models.ticket import Ticket, TicketEvent

FRESH = timedelta(days=1)  # what is older is no news any more; the outbox remembers far longer what was told
OVERLAP = 500  # ids below the newest one seen that are looked at again: a transaction may commit after a later one


class Told(NamedTuple):
    """What becomes of a line. messages: each with its key. again: whoever is to hear of it may not be known yet (a
    matter without a place), and nobody writes another line when she is: this one is looked at again."""

    messages: Sequence[tuple[str, Outgoing]] = ()
    again: bool = False


Tell = Callable[[Session, TicketEvent, Ticket], Told]


class Histories:
    """Reads on from where it was. tell: what becomes of a line; one that it wants to see again it sees for a day."""

    def __init__(self, db: Database, whats: Collection[str], tell: Tell, clock: Clock) -> None:
        """whats: the kinds of lines that are read."""
        self._db = db
        self._whats = sorted(whats)
        self._tell = tell
        self._clock = clock
        self._newest: int | None = None
        self._done: frozenset[int] = frozenset()  # of the overlap
        self._again: frozenset[int] = frozenset()

    async def look(self) -> int:
        """Look once. Returns how many messages were new."""
        added, newest, done, again = await self._db.run(self._look)
        self._newest, self._done, self._again = newest, done, again  # only now: what was rolled back is looked at again
        return added

    def _look(self, session: Session) -> tuple[int, int, frozenset[int], frozenset[int]]:
        now = self._clock()
        newest = session.scalar(sa.select(sa.func.max(col(TicketEvent.id)))) or 0
        since = self._newest - OVERLAP if self._newest is not None else self._first(session)
        lines = sa.select(TicketEvent).where(
            sa.or_(col(TicketEvent.id) > since, col(TicketEvent.id).in_(self._again)),
            col(TicketEvent.what).in_(self._whats), col(TicketEvent.at) > now - FRESH,
        )  # fmt: skip
        found = {row.id or 0: row for row in session.scalars(lines.order_by(col(TicketEvent.id)))}
        new = {number: row for number, row in found.items() if number not in self._done}
        wanted = sa.select(Ticket).where(col(Ticket.id).in_({row.ticket for row in new.values()}))
        tickets = {row.id: row for row in session.scalars(wanted)} if new else {}
        told = {number: self._tell(session, row, tickets[row.ticket]) for number, row in new.items()}
        messages = [message for one in told.values() for message in one.messages]
        again = frozenset(number for number, one in told.items() if one.again)
        done = frozenset(number for number in found if number > newest - OVERLAP) - again
        return outbox.put(session, messages, now), newest, done, again

    def _first(self, session: Session) -> int:
        """Where a process begins: behind the last line that is a day old, looked for from the newest backwards, so that
        of a long history only that day is read."""
        old = sa.select(col(TicketEvent.id)).where(col(TicketEvent.at) <= self._clock() - FRESH)
        return session.scalars(old.order_by(sa.desc(col(TicketEvent.id))).limit(1)).first() or 0
