"""The language of the scenario tests: who says what in which chat, and what the bot makes of it.

Every message goes through the inbox and one real worker's steps; time stands still until a test moves it, and what
falls due on the way fires at its own moment.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session

from bot.scheduler import Sweeper
from bot.worker import Worker, drain
from handlers.town import WEB, Town
from handlers.workdays import WorkCalendar
from models.chat import Chat, ChatKind
from models.database import Database
from models.deadline import Deadline
from models.inbox import Inbox, find, receive
from models.mark import TOWN, bump
from models.message import Forwarded, Incoming, Kind, Media
from models.outbox import Outbox
from models.person import Person
from models.ticket import Ticket
from nlu.types import Engine
from tests.conftest import HandClock
from tests.scenario.seen import Line, TicketView, outgoing_id, said_by_bot

ZONE = ZoneInfo("Asia/Shanghai")
BOT = "@邻声"
PAUSE = timedelta(seconds=5)  # between one message and the next, where the test names no time
SPANS = {"minutes": "minutes", "minute": "minutes", "hours": "hours", "hour": "hours", "days": "days", "day": "days"}


class Room:
    """One chat: a neighbours' group, or somebody's direct chat with the bot."""

    def __init__(self, scene: "Scene", channel: str, code: str, *, direct: bool, owner: str = "") -> None:
        self.scene = scene
        self.channel = channel
        self.code = code
        self.direct = direct
        self._owner = owner

    def says(
        self, name: str, text: str = "", *, quote: Incoming | Line | None = None, photo: str = "", voice: bool = False,
        pin: tuple[float, float] | None = None, forwards: tuple[tuple[str, str], ...] = (),
    ) -> Incoming:  # fmt: skip
        """Somebody writes here. quote: a message of hers, of others or of the bot; photo: a file's name; pin: WGS-84
        (lon, lat); forwards: (who, words) of a forwarded chat record. `@邻声` in the words mentions the bot."""
        kind = Kind.TEXT
        if forwards:
            kind = Kind.CARD
        elif voice:
            kind = Kind.VOICE
        elif pin:
            kind = Kind.LOCATION
        elif photo and not text:
            kind = Kind.IMAGE
        return self.scene.deliver(
            self, name, kind=kind, text=text,
            quote=(quote.id if quote is not None else None), mentions=("bot",) if BOT in text else (),
            media=(Media(name=photo),) if photo else (),
            lon=pin[0] if pin else None, lat=pin[1] if pin else None,
            forwarded=tuple(Forwarded(sender=who, text=words) for who, words in forwards),
        )  # fmt: skip

    def recalls(self, name: str, taken: Incoming) -> Incoming:
        """Somebody takes a message back."""
        return self.scene.deliver(self, name, kind=Kind.RECALL, recalls=taken.id)

    @property
    def bot_said(self) -> list[str]:
        """The bot's answers here so far."""
        return self.scene.bot_said(self)


class Private(Room):
    """A direct chat: only its owner and the bot write here."""

    def writes(self, text: str = "", *, quote: Incoming | Line | None = None, photo: str = "") -> Incoming:
        """Its owner writes to the bot."""
        return self.says(self._owner, text, quote=quote, photo=photo)

    def presses(self, button: str) -> Incoming:
        """Its owner presses a button of the newest card that she was sent and that has it."""
        return self.scene.presses(self._owner, button)


class Scene:
    """The demo town with the bot in it; one test's story. `room` is the chat in which things happen just now."""

    def __init__(self, db: Database, town: Town, engine: Engine, clock: HandClock) -> None:
        self.db = db
        self.town = town
        self.clock = clock
        calendar = WorkCalendar.configured(ZONE)
        self.worker = Worker(db, engine, calendar, clock=clock)
        self.sweeper = Sweeper(db, calendar, clock=clock)
        self.room: Room | None = None
        self._sent = 0
        self._views: dict[int, TicketView] = {}
        self._people = {person.name: person.code for person in town.people.values()}

    # --- time -------------------------------------------------------------------------------------------------------

    def at(self, moment: str) -> "Scene":
        """Go on to `2026-03-02 07:31`, or to 07:33 of the same day, local time. Deadlines fire on the way. Before the
        first message it may be any moment."""
        if len(moment) <= 5:
            moment = f"{self.clock().astimezone(ZONE):%Y-%m-%d} {moment}"
        when = datetime.strptime(moment, "%Y-%m-%d %H:%M").replace(tzinfo=ZONE)
        if not self._sent:
            self.clock.set(when)
        self._go(when)
        return self

    def wait(self, span: str) -> "Scene":
        """Let `2 days`, `90 minutes`, `3 hours` pass."""
        amount, unit = span.split()
        self._go(self.clock() + timedelta(**{SPANS[unit]: float(amount)}))
        return self

    def _go(self, until: datetime) -> None:
        if until < self.clock():
            raise ValueError(f"it is {self.clock().astimezone(ZONE)} already, {until} is past")
        while (first := self.db.tx(_next_deadline)) is not None and first <= until:
            self.clock.set(max(self.clock(), first))
            self.sweeper.deadlines()
        self.clock.set(until)
        self.sweeper.voices()
        self.sweeper.unrated()
        self.db.tx(self._arrive)

    # --- chats ------------------------------------------------------------------------------------------------------

    def group(self, name: str) -> Room:
        """The neighbours' group whose name begins so."""
        found = [
            chat for chat in self.town.chats.values() if chat.kind == ChatKind.GROUP and chat.name.startswith(name)
        ]
        if len(found) != 1:
            raise LookupError(f"there are {len(found)} groups whose name begins with {name}")
        self.room = Room(self, found[0].channel, found[0].code, direct=False)
        return self.room

    def direct(self, name: str) -> Private:
        """Somebody's direct chat with the bot."""
        channel, user = self._address(name)
        code = self.town.direct_chat(channel, self._people.get(name, ""), user)
        self.room = room = Private(self, channel, code, direct=True, owner=name)
        return room

    def _address(self, name: str) -> tuple[str, str]:
        """(channel, user id) of somebody; a name that the town does not know is a stranger's."""
        person = self._people.get(name)
        identity = self.town.addresses(person)[0] if person else None
        return (identity.channel, identity.user) if identity else (WEB, f"x-{name}")

    def says(
        self, name: str, text: str = "", *, quote: Incoming | Line | None = None, photo: str = "",
        pin: tuple[float, float] | None = None,
    ) -> Incoming:  # fmt: skip
        """Somebody writes where the last message was written."""
        return self._here().says(name, text, quote=quote, photo=photo, pin=pin)

    def recalls(self, name: str, taken: Incoming) -> Incoming:
        """Somebody takes a message back where the last message was written."""
        return self._here().recalls(name, taken)

    def presses(self, name: str, button: str, card: TicketView | None = None) -> Incoming:
        """A press of `accept`, `transfer`, `done` or `dismiss`: on the newest card that this person was sent and that
        has the button, or on the card of a ticket that she got hold of somehow."""
        if card is not None:
            action = f"{button}:{card.id}"
        else:
            buttons = [b.action for alert in self.alerts(name) if alert.card for b in alert.card.buttons]
            action = [key for key in buttons if key.partition(":")[0] == button][-1]
        room = self.room
        pressed = self.deliver(self.direct(name), name, action=action)
        self.room = room
        return pressed

    def _here(self) -> Room:
        if self.room is None:
            raise LookupError("say in which chat first")
        return self.room

    def deliver(self, room: Room, name: str, **fields: object) -> Incoming:
        """A message arrives and is handled."""
        self.room = room
        message = self.letter(room, name, **fields)
        self.arrives(message)
        self.work()
        self.clock.forward(seconds=PAUSE.total_seconds())
        return message

    def letter(self, room: Room, name: str, **fields: object) -> Incoming:
        """The message as the channel reads it; not delivered yet."""
        _, user = self._address(name)
        self._sent += 1
        told = {
            "id": f"t{self._sent:04d}", "channel": room.channel, "chat": room.code, "sender": user,
            "sender_name": name, "sent_at": self.clock(), "direct": room.direct,
        }  # fmt: skip
        return Incoming.model_validate(told | fields)

    def arrives(self, *messages: Incoming) -> int:
        """Messages come in at the door. Returns how many were new."""
        return self.db.tx(lambda session: receive(session, messages, self.clock()))

    def work(self) -> None:
        """The worker handles what is there, and what it decided reaches the phones."""
        drain(self.worker)
        self.db.tx(self._arrive)

    def _arrive(self, session: Session) -> None:
        # The web chat gives what it shows an id, so that people can quote it; other channels give their own.
        shown = sa.select(Outbox).where(Outbox.platform_id == "", Outbox.channel == WEB)  # type: ignore[arg-type]
        for row in session.scalars(shown):
            row.platform_id = outgoing_id(row)
            session.add(row)

    # --- the town ---------------------------------------------------------------------------------------------------

    def on_leave(self, *names: str, days: float, deputy: str | None = None) -> None:
        """Some are away from now on, and somebody stands in for them, or nobody."""
        codes = [self._people[name] for name in names]

        def write(session: Session) -> None:
            for person in session.scalars(sa.select(Person).where(Person.code.in_(codes))):  # type: ignore[attr-defined]
                person.away_until = self.clock() + timedelta(days=days)
                person.deputy = self._people[deputy] if deputy else None
                session.add(person)
            bump(session, TOWN)

        self.db.tx(write)

    # --- what came of it --------------------------------------------------------------------------------------------

    def tickets(self) -> list[TicketView]:
        """All tickets, oldest first."""
        ids = self.db.tx(lambda session: session.scalars(sa.select(Ticket.id).order_by(Ticket.id)).all())  # type: ignore[call-overload]
        return [self._views.setdefault(one, TicketView(self.db, self.town, one)) for one in ids]

    def ticket(self) -> TicketView:
        """The only ticket there is."""
        found = self.tickets()
        assert len(found) == 1, f"{len(found)} tickets: {found}"
        return found[0]

    def bot_said(self, where: Room | str | None = None) -> list[str]:
        """The bot's answers in a group (by the beginning of its name), in a room, or where the last message was."""
        if isinstance(where, str):
            before, where, self.room = self.room, self.group(where), self.room
            self.room = before
        room = where or self._here()
        return [line.text for line in self.lines() if line.chat == room.code and not line.is_alert]

    def told(self, name: str) -> list[str]:
        """The bot's answers in somebody's direct chat."""
        before = self.room
        room = self.direct(name)
        self.room = before
        return self.bot_said(room)

    def alerts(self, name: str | None = None) -> list[Line]:
        """What was pushed to workers and staff, oldest first; to one of them, or to all."""
        return [line for line in self.lines() if line.is_alert and name in (None, line.to)]

    def lines(self) -> list[Line]:
        """Everything the bot said so far."""
        return self.db.tx(lambda session: said_by_bot(session, self.town))

    def chats(self) -> dict[str, Chat]:
        """The town's groups by code."""
        return {chat.code: chat for chat in self.town.chats.values() if chat.kind == ChatKind.GROUP}

    def outcome(self, message: Incoming) -> str:
        """What became of a message: `report`, `silent`, `refused` …"""

        def read(session: Session) -> Inbox | None:
            return find(session, message.channel, message.chat, message.id)

        row = self.db.tx(read)
        return row.outcome if row else ""


def _next_deadline(session: Session) -> datetime | None:
    waiting = sa.select(sa.func.min(Deadline.due_at)).where(Deadline.done_at.is_(None))  # type: ignore[union-attr]
    found: datetime | None = session.scalar(waiting)
    return found
