"""What duty groups hear of: it is read off the tickets' histories, each line told once to each group.

A history line and the decision behind it are one transaction, so nothing is missed; a line's key in the outbox is made
of ticket and event, so any number of processes may look at the same time. Names, phones, flats and residents' words
are never told; of a sensitive matter only that there is one.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.known import Known
from config.side_channels import Notice
from handlers.desk import Desk
from handlers.texts import say, word
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models import outbox
from models.base import Clock
from models.chat import Chat, ChatKind
from models.database import Database
from models.message import Outgoing, Purpose
from models.ticket import Ticket, TicketEvent

NAME = "group_robot"
FRESH = timedelta(days=1)  # what is older is no alert any more; the outbox remembers far longer what was told
OVERLAP = 500  # ids below the newest one seen that are looked at again: a transaction may commit after a later one
# Which lines of a history are which notice; "opened" counts for an urgent ticket only.
LINES: dict[str, Notice] = {
    "opened": "urgent", "urgent": "urgent", "escalated": "overdue", "overdue": "overdue", "reminded": "reminder",
    "unreachable": "unreachable", "reopened": "reopened",
}  # fmt: skip
ONCE: frozenset[Notice] = frozenset({"urgent"})  # a matter is urgent once, however often it is said
SENTENCES: Mapping[Notice, str] = {
    "urgent": "duty_urgent",
    "overdue": "duty_overdue",
    "reminder": "duty_reminder",
    "unreachable": "duty_unreachable",
    "reopened": "duty_reopened",
}


class Notices:
    """Turns new history lines into messages to duty groups."""

    def __init__(
        self, db: Database, calendar: WorkCalendar, *, chats: Collection[str], alerts: Collection[Notice], clock: Clock
    ) -> None:
        """chats: codes of the groups that have a robot. alerts: what they hear of."""
        self._db = db
        self._known = Known(db)
        self._calendar = calendar
        self._chats = frozenset(chats)
        self._lines = [what for what, notice in LINES.items() if notice in alerts]
        self._clock = clock
        self._seen: int | None = None

    async def step(self) -> int:
        """Look once. Returns how many messages were new."""
        added, newest = await self._db.run(self._look)
        self._seen = newest  # only now: what was rolled back is looked at again
        return added

    def _look(self, session: Session) -> tuple[int, int | None]:
        now = self._clock()
        events = (
            sa.select(TicketEvent)
            .where(col(TicketEvent.what).in_(self._lines), col(TicketEvent.at) > now - FRESH)
            .order_by(col(TicketEvent.id))
        )
        if self._seen is not None:  # the first look goes through the table once
            events = events.where(col(TicketEvent.id) > self._seen - OVERLAP)
        found = session.scalars(events).all()
        if not found:
            return 0, self._seen
        town = self._known.town(session)
        wanted = {event.ticket for event in found}
        tickets = {row.id: row for row in session.scalars(sa.select(Ticket).where(col(Ticket.id).in_(wanted)))}
        messages = [one for event in found for one in self._told(session, town, event, tickets[event.ticket])]
        return outbox.put(session, messages, now), max(self._seen or 0, found[-1].id or 0)

    def _told(self, session: Session, town: Town, event: TicketEvent, ticket: Ticket) -> Iterator[tuple[str, Outgoing]]:
        notice = LINES[event.what]
        if not ticket.is_open or (event.what == "opened" and not ticket.urgent):
            return
        which = "" if notice in ONCE else f":{event.id}"
        groups = [chat for chat in town.chats.values() if self._hears(town, chat, ticket)]
        for chat in groups:
            text = self._words(session, town, notice, ticket)
            yield (
                f"{NAME}:{notice}:{ticket.id}{which}>{chat.code}",
                Outgoing(channel=NAME, chat=chat.code, text=text, purpose=Purpose.ALERT, ticket=ticket.id, why=notice),
            )

    def _hears(self, town: Town, chat: Chat, ticket: Ticket) -> bool:
        """A robot's group of the ticket's grid, or of one above it; one without a grid hears everything."""
        ours = chat.channel == NAME and chat.kind == ChatKind.GROUP and chat.code in self._chats
        return ours and (chat.grid is None or town.within(ticket.grid or town.root, chat.grid))

    def _words(self, session: Session, town: Town, notice: Notice, ticket: Ticket) -> str:
        if ticket.sensitive:
            return say("duty_private", number=ticket.number)
        desk = Desk(session, town, self._clock(), self._calendar, "")
        told = desk.public(ticket)
        grid = town.grids.get(ticket.grid or "")
        place = told["place"] or (grid.name if grid else word("unknown_place"))
        return say(SENTENCES[notice], **(told | {"place": place, "due": desk.due_text(ticket)}))
