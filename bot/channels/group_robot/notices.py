"""What duty groups hear of: lines of the tickets' histories (`bot.channels.histories`), each once in each group.

Names, phones, flats and residents' words are never told; of a sensitive matter only that there is one.
"""

from collections.abc import Collection, Mapping

from sqlmodel import Session

from bot.channels.histories import Histories, Told
from bot.channels.known import Known
from config.side_channels import Notice
from handlers.desk import Desk
from handlers.texts import say, word
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models.base import Clock
from models.chat import Chat, ChatKind
from models.database import Database
from models.message import Outgoing, Purpose
from models.ticket import Ticket, TicketEvent

NAME = "group_robot"
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
        self._known = Known(db)
        self._calendar = calendar
        self._chats = frozenset(chats)
        self._clock = clock
        lines = [what for what, notice in LINES.items() if notice in alerts]
        self._histories = Histories(db, lines, self._told, clock)

    async def look(self) -> int:
        """Look once. Returns how many messages were new."""
        return await self._histories.look()

    def _told(self, session: Session, event: TicketEvent, ticket: Ticket) -> Told:
        notice = LINES[event.what]
        if not ticket.is_open or (event.what == "opened" and not ticket.urgent):
            return Told()
        town = self._known.town(session)
        which = "" if notice in ONCE else f":{event.id}"
        groups = [chat for chat in town.chats.values() if self._hears(town, chat, ticket)]
        text = self._words(session, town, notice, ticket) if groups else ""
        messages = [
            (
                f"{NAME}:{notice}:{ticket.id}{which}>{chat.code}",
                Outgoing(
                    channel=NAME, chat=chat.code, text=text, purpose=Purpose.ALERT, ticket=ticket.id, why=notice,
                    urgent=ticket.urgent,
                ),
            )
            for chat in groups
        ]  # fmt: skip
        return Told(messages, again=ticket.grid is None)

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
