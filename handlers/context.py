"""Everything a handler knows about one message, and the desk it works at."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col

from config.decisions import Decisions, decisions
from handlers.desk import Desk
from handlers.place import Where
from handlers.texts import say
from models.chat import Chat, ChatKind, Question
from models.inbox import Inbox
from models.message import Incoming, Purpose
from models.person import STAFF, WORKERS, Person, Role
from models.ticket import Supporter, Ticket
from models.whois import Address, Who, hers
from nlu import lexicon
from nlu.normalize import normalize
from nlu.types import Matter, Understanding, Utterance

UNHEARD = Utterance("")
SAYS_WHAT = 0.9


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knew about a message before it was understood: read for a whole batch at once.

    heard: what the engine was asked about it, the context with it. before: what the sender said in the minutes before,
    in a direct chat. who: who the sender is, by all her user ids; None where nobody asked the database.
    """

    row: Inbox
    message: Incoming
    question: Question | None = None
    photo: bool = False
    quoted_ticket: int | None = None
    quoted_message: Incoming | None = None
    heard: Utterance = UNHEARD
    before: tuple[str, ...] = ()
    who: Who | None = None


class Context(Desk):
    """One message being handled. again: `nlu.types.Engine.again` with the names of the town, if an engine is there."""

    known: Known
    understanding: Understanding
    again: Callable[[Utterance], Understanding] | None = None
    joined: str = ""  # the words of this message and of those before it that `understanding` is of
    hears: bool = False  # somebody hears the voices that are on our disk or being fetched; they need not be typed

    def begin(self, known: Known, understanding: Understanding) -> "Context":
        """Set the desk up for this message; returns itself."""
        self.known = known
        self.message = known.message
        self.understanding = understanding
        self.trigger = known.message.id
        message = known.message
        self.chat: Chat | None = self.town.chats.get((message.channel, message.chat))
        self.direct = message.direct or (self.chat is not None and self.chat.kind == ChatKind.DIRECT)
        own = (message.channel, message.sender)
        who = known.who or Who(self.town.person(*own), (own,))
        self.addresses: tuple[Address, ...] = who.addresses
        # Of those in the register the town's own row: it is the same for all messages.
        self.person: Person | None = self.town.people.get(who.person.code, who.person) if who.person else None
        self.roles: frozenset[Role] = self.town.roles(self.person.code if self.person else None)
        return self

    @property
    def decisions(self) -> Decisions:
        """The thresholds in force."""
        return decisions()

    @property
    def who(self) -> str:
        """The sender as the history names her."""
        return self.person.code if self.person else f"{self.message.channel}:{self.message.sender}"

    @property
    def to_bot(self) -> bool:
        """The bot is meant: mentioned, or spoken to directly."""
        return self.direct or "bot" in self.message.mentions

    @property
    def is_worker(self) -> bool:
        """The sender has a duty to act somewhere."""
        return bool(self.roles & (WORKERS | STAFF))

    @property
    def is_leader(self) -> bool:
        """The sender is a micro-grid leader (微网格长), staff or a worker: somebody who passes on what others said."""
        return bool(self.roles - {Role.RESIDENT})

    @property
    def grid(self) -> str | None:
        """The group's grid; in a worker's direct chat the grid of her first duty, since that is what she speaks of;
        else where she says she lives, when only the grid is known."""
        if self.chat and self.chat.grid:
            return self.chat.grid
        if self.direct and self.is_worker and self.person:
            return self.town.duties[self.person.code][0].grid
        return self.person.grid if self.direct and self.person else None

    @property
    def least(self) -> float:
        """From what probability on a message is a matter; sooner where its words say that life is at stake."""
        rules, u = self.decisions, self.understanding
        if u.urgent >= lexicon.ALARM:
            return rules.quiet_urgent
        says = u.matters[0].categories[0][1] >= SAYS_WHAT and any(span.kind == "location" for span in u.spans)
        return rules.quiet_placed if says else rules.quiet

    @property
    def no_chatter(self) -> bool:
        """The conformal set of what the message can be holds no chatter: act. Else, if it may be a matter, ask."""
        u = self.understanding
        if u.credible:
            return u.credible["chatter"] <= self.decisions.errors.opened
        return u.p("report") >= self.decisions.open

    def is_urgent(self, matter: Matter | None = None) -> bool:
        """Life, fire, gas, people trapped: by the head, by the lexicon, or by the nature of the kind; or because who
        took it down says so (紧急 of an order)."""
        rules, u = self.decisions, self.understanding
        if "urgent" in self.message.platform or u.urgent >= rules.urgent:
            return True
        kind, share = (matter or u.matters[0]).categories[0]
        return kind in rules.urgent_kinds and share >= rules.urgent_kind

    def is_sensitive(self, matter: Matter | None = None) -> bool:
        """Not for the group: by the head, by the lexicon, or by the nature of the kind."""
        rules, u = self.decisions, self.understanding
        kind, share = (matter or u.matters[0]).categories[0]
        if any(lexicon.fired("sensitive", normalize(said)) for said in self.known.before):
            return True  # 有件事不想让群里知道: and then what it is
        private = rules.sensitive_kinds | (rules.sensitive_direct if self.direct else frozenset())
        return u.sensitive >= rules.sensitive or (kind in private and share >= rules.sensitive_kind)

    @property
    def words(self) -> str:
        """What the engine read: the message's words, and those of a message it points the bot to; or those of several
        messages that were read as one."""
        if self.joined:
            return self.joined
        quoted = self.known.quoted_message
        return "\n".join(filter(None, [self.message.words, quoted.words if quoted else ""]))

    def where(self, matter: Matter | None = None, *, pin: Incoming | None = None, kind: str | None = None) -> Where:
        """What this message says of the place. matter: of several, the one whose words count. pin: a location message
        of the same sender that belongs to it. kind: the category of the ticket it belongs to, if that is known."""
        spans = matter.spans if matter else self.understanding.spans
        likeliest, share = (matter or self.understanding.matters[0]).categories[0]
        if kind is None:
            opens = share >= self.decisions.category and self.understanding.intent in ("report", "order")
            kind = likeliest if opens else ""
        source = pin if pin is not None and pin.lon is not None else self.message
        return Where(
            text=matter.text if matter else self.words,
            spans=tuple(span for span in spans if span.kind == "location"),
            home=self.person.home if self.person else None,
            chat_grid=self.grid,
            lon=source.lon,
            lat=source.lat,
            label=source.label,
            kind=kind,
        )

    def say(self, name: str, ticket: Ticket | None = None, *, more: bool = False, **values: object) -> None:
        """Answer in this chat, once for a message. more: add to the answer there is (a message of two matters).

        Of a private matter nothing is said in a group: the sender hears it alone; if no channel reaches her, who spoke
        to the bot is asked to come there.
        """
        if ticket is not None and ticket.sensitive and not self.direct:
            if not self.whisper(name, ticket, **values) and self.to_bot:
                self.say("ask_in_private")
            return
        spoken = [
            i for i, out in enumerate(self.spoken) if out.chat == self.message.chat and out.purpose == Purpose.REPLY
        ]
        if spoken and not more:
            return
        inside = self.direct and self.is_worker
        facts = {} if ticket is None else self.facts(ticket) if inside else self.public(ticket)
        text = say(name, **facts | values)
        if spoken:
            self.amend(spoken[0], text)
        else:
            self.post(self.message.channel, self.message.chat, text, ticket)

    def whisper(self, name: str, ticket: Ticket | None = None, **values: object) -> bool:
        """Answer in the sender's direct chat. False when no channel reaches her there."""
        text = say(name, **(self.public(ticket) if ticket else {}) | values)
        return bool(self.person) and self.tell(self.person.code if self.person else "", text, ticket)

    def supports(self, ticket: Ticket) -> bool:
        """The sender is among those who reported it."""
        return self.session.scalars(sa.select(col(Supporter.id)).where(*self._mine(ticket))).first() is not None

    def leave(self, ticket: Ticket) -> None:
        """Whoever takes her words back is no longer among those who reported it."""
        self.session.connection().execute(sa.delete(Supporter).where(*self._mine(ticket)))

    def reported(self, ticket: Ticket) -> bool:
        """The sender opened it, on whichever channel."""
        return (ticket.channel, ticket.reporter) in self.addresses

    def person_of(self, channel: str, sender: str) -> str | None:
        """Whose user id that is, a person's code: the sender is looked up anew for every message."""
        if (channel, sender) in self.addresses:
            return self.person.code if self.person else None
        return super().person_of(channel, sender)

    def _mine(self, ticket: Ticket) -> tuple[sa.ColumnElement[bool], ...]:
        mine = hers(col(Supporter.channel), col(Supporter.sender), self.addresses)
        return col(Supporter.ticket) == ticket.id, mine
