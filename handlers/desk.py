"""What a decision may do: open and move tickets, speak, alert, schedule. All of it becomes rows of one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from config.tables import categories, category_name
from handlers import dispatch, limits
from handlers.dispatch import Assigned
from handlers.limits import due, reminder
from handlers.place import Placement
from handlers.texts import say, word
from handlers.town import Town
from handlers.workdays import WorkCalendar
from handlers.workflow import Actor, move, record
from models.chat import ChatKind
from models.deadline import Deadline
from models.insert import insert_new
from models.message import Button, Card, Outgoing, Purpose
from models.person import Role
from models.ticket import Status, Supporter, Ticket
from models.whois import addresses, owner

SYSTEM = "system"
# The card's link: a function of ticket and person, so that this layer knows neither secrets nor addresses.
Linker = Callable[[int, str], str]


def no_link(_ticket: int, _person: str) -> str:
    """For replays and tests: cards without a link."""
    return ""


MANY_KINDS = 3  # beside the likeliest one: no help to whoever has to choose


class Desk:
    """One decision's hands. `key` is stable for the thing decided on, so that what is put twice is put once."""

    def __init__(
        self, session: Session, town: Town, now: datetime, calendar: WorkCalendar, key: str, link: Linker = no_link
    ) -> None:
        self.session = session
        self.town = town
        self.now = now
        self.calendar = calendar
        self.key = key
        self.trigger: str | None = None
        self._link = link
        self._out: list[tuple[str, Outgoing]] = []

    # --- speaking -----------------------------------------------------------------------------------------------

    def put(self, out: Outgoing) -> None:
        """Send `out` once this transaction commits."""
        self._out.append((f"{self.key}>{len(self._out)}", out))

    def take(self) -> list[tuple[str, Outgoing]]:
        """What was put, each with its stable key, for the one who writes it into the outbox."""
        return self._out

    def amend(self, index: int, text: str) -> None:
        """Add a line to what was put."""
        key, out = self._out[index]
        self._out[index] = key, out.model_copy(update={"text": f"{out.text}\n{text}"})

    def informs(self, index: int, channel: str, user: str) -> None:
        """What was put gives this user id the privacy notice."""
        key, out = self._out[index]
        self._out[index] = key, out.model_copy(update={"informs": (channel, user)})

    @property
    def spoken(self) -> Sequence[Outgoing]:
        """What was put so far."""
        return [out for _, out in self._out]

    def post(self, channel: str, chat: str, text: str, ticket: Ticket | None = None, picture: str = "") -> None:
        """A reply in a chat. picture: see `Outgoing`."""
        self.put(
            Outgoing(
                channel=channel, chat=chat, text=text, picture=picture, ticket=ticket.id if ticket else None,
                trigger=self.trigger,
            )
        )  # fmt: skip

    def address(self, person: str) -> tuple[str, str] | None:
        """(channel, chat) of somebody's direct chat with the bot; None when no channel reaches her."""
        for channel, user in [(one.channel, one.user) for one in self.town.addresses(person)]:
            return channel, self.town.direct_chat(channel, person, user)
        if person in self.town.people:
            return None
        # Who made herself known is not in memory: there may be many more of them than the register has.
        return next(((channel, self.town.direct_chat(channel, person, user))
                     for channel, user in addresses(self.session, person) if self.town.has(channel)),
                    None)  # fmt: skip

    def person_of(self, channel: str, sender: str) -> str | None:
        """Whose user id that is, a person's code; None: nobody's that we know."""
        if (known := self.town.identities.get((channel, sender))) is not None:
            return known
        found = owner(self.session, channel, sender)
        return found.person if found else None

    def tell(self, person: str, text: str, ticket: Ticket | None = None) -> bool:
        """A reply in somebody's direct chat. False when no channel reaches her."""
        if (where := self.address(person)) is None:
            return False
        self.post(*where, text, ticket)
        return True

    def tell_supporters(
        self, ticket: Ticket, name: str, *, but: tuple[str, str] | None = None, picture: str = "", **values: object
    ) -> None:
        """One line to everybody who reported the matter: once in each group, and in private where it was told so.

        but: a (channel, chat) that has heard it already. picture: see `Outgoing`.
        """
        rows = self.session.scalars(sa.select(Supporter).where(col(Supporter.ticket) == ticket.id))
        text = say(name, **self.public(ticket), **values)
        seen: set[tuple[str, str]] = {but} if but else set()
        for row in rows:
            where = (row.channel, row.chat)
            if ticket.sensitive and self.town.kind(*where, row.sender) == ChatKind.GROUP:
                private = self.address(row.person) if row.person else None
                if private is None:
                    continue
                where = private
            if where not in seen and row.chat and not ticket.quiet:  # no chat: her data were deleted
                seen.add(where)
                self.post(*where, text, ticket, picture)

    # --- what is said about a ticket ----------------------------------------------------------------------------

    def place_name(self, ticket: Ticket) -> str:
        """The place as it may stand in a group: never finer than a building."""
        place = self.town.places.get(ticket.place or "")
        return place.name if place else ""

    def due_text(self, ticket: Ticket) -> str:
        """The deadline in local words: 3月5日 24:00."""
        row = self.session.scalars(
            sa.select(col(Deadline.due_at))
            .where(col(Deadline.ticket) == ticket.id, col(Deadline.kind) == "settle")
            .order_by(sa.desc(col(Deadline.round)))
            .limit(1)
        ).first()
        if row is None:
            return word("no_limit")
        local = row.astimezone(self.calendar.zone)
        if local.hour == local.minute == 0:  # the end of a day, not the beginning of the next
            local -= timedelta(days=1)
            return f"{local.month}月{local.day}日 24:00"
        return f"{local.month}月{local.day}日 {local:%H:%M}"

    def facts(self, ticket: Ticket) -> dict[str, object]:
        """The blanks that most sentences have."""
        return {
            "number": ticket.number,
            "place": self.place_name(ticket) or word("unknown_place"),
            "category": category_name(ticket.category).split("/")[-1],
            "status": word(ticket.status.value, "statuses"),
        }

    def public(self, ticket: Ticket) -> dict[str, object]:
        """The same for residents: a home that only the register knows is not published."""
        return self.facts(ticket) | {"place": "" if ticket.from_home else self.place_name(ticket)}

    def card(self, ticket: Ticket, person: str, *, buttons: bool = True) -> Card:
        """The task card for a worker: facts, the resident's words, buttons, a signed link. buttons: without them it has
        the facts and the link, for news of a matter."""
        grid = self.town.grids.get(ticket.grid or "")
        facts = [
            (word("fact_place"), (self.place_name(ticket) + ticket.spot) or word("unknown_place")),
            (word("fact_category"), category_name(ticket.category)),
            (word("fact_due"), self.due_text(ticket)),
        ]
        if grid:
            facts.insert(1, (word("fact_grid"), grid.name))
        if ticket.urgent:
            facts.insert(0, (word("fact_urgent"), word("fact_yes")))
        if perhaps := self.perhaps(ticket):
            facts.append((word("fact_perhaps"), perhaps))
        offered = [
            Button(text=word(f"button_{name}"), action=f"{name}:{ticket.id}")
            for name in ("accept", "transfer", "done", *(["dismiss"] if ticket.quiet else []))
        ]
        return Card(
            title=say("alert_title", **self.facts(ticket)), facts=tuple(facts),
            words=ticket.summary if buttons else "", buttons=tuple(offered) if buttons else (),
            link=self._link(ticket.id or 0, person),
        )  # fmt: skip

    def perhaps(self, ticket: Ticket) -> str:
        """What else the matter may be, as far as the engine could not rule it out; "" once somebody has decided."""
        kinds = [kind for kind in ticket.reading.get("kinds", ()) if kind != ticket.category]
        if not ticket.is_open or not kinds:
            return ""
        if len(kinds) >= MANY_KINDS:
            return word("kind_unclear")
        return word("kinds_joined").join(category_name(kind) for kind in kinds)

    # --- alerts -------------------------------------------------------------------------------------------------

    def alert(
        self, person: str, ticket: Ticket | None, text: str, why: str, *, card: bool = True, buttons: bool = True
    ) -> bool:  # fmt: skip
        """Push to a worker, with the task card. False when no channel reaches her; the history then says so. buttons:
        see `card`."""
        if (where := self.address(person)) is None:
            if ticket is not None:
                record(self.session, ticket, "unreachable", SYSTEM, self.now, person)
            return False
        shown = self.card(ticket, person, buttons=buttons) if ticket is not None and card else None
        self.put(
            Outgoing(
                channel=where[0], chat=where[1], text=text, purpose=Purpose.ALERT, card=shown,
                ticket=ticket.id if ticket else None, to_person=person, why=why, trigger=self.trigger,
                urgent=ticket is not None and ticket.urgent,
            )
        )  # fmt: skip
        return True

    def alert_worker(self, ticket: Ticket, name: str, why: str, *, card: bool = False, **values: object) -> None:
        """Push words about a ticket to its worker, if it has one. card: with the task card again."""
        if ticket.worker:
            self.alert(ticket.worker, ticket, say(name, **self.facts(ticket), **values), why, card=card)

    def news(self, ticket: Ticket, name: str, why: str, **values: object) -> None:
        """The same with facts and link and nothing to press: it is hers, and goes on."""
        if ticket.worker:
            text = say(name, **self.facts(ticket), **values)
            self.alert(ticket.worker, ticket, text, why, buttons=False)

    def assign(self, ticket: Ticket, to: Assigned | None, *, name: str = "alert_text", **values: object) -> None:
        """Make somebody responsible and alert her; an urgent matter also alerts the community's staff at once.

        name: the sentence of the alert; `alert_urgent` for a matter that has just become urgent.
        """
        reached = False
        news = name == "alert_urgent" or ticket.status in (Status.REPORTED, Status.REOPENED)
        if to is not None:
            move(self.session, ticket, Status.ASSIGNED, Actor.SYSTEM, SYSTEM, self.now, note=f"{to.person} ({to.why})")
            ticket.worker = to.person
            if name == "alert_text":
                name = "alert_urgent" if ticket.urgent else "alert_doubtful" if ticket.quiet else name
            text = say(name, **self.facts(ticket), due=self.due_text(ticket), **values)
            reached = self.alert(to.person, ticket, text, to.why)
        # Who cannot be reached cannot help: then, and where life is at stake, the community's staff hear of it too.
        if not reached or (news and ticket.urgent):
            self._staff_too(ticket, but=to.person if to else None)

    def _staff_too(self, ticket: Ticket, *, but: str | None) -> None:
        name, why = ("alert_urgent", "urgent") if ticket.urgent else ("unassigned", "unassigned")
        for other in dispatch.staff_above(self.town, ticket.grid, Role.COMMUNITY, self.now):
            if other.person != but:
                self.alert(other.person, ticket, say(name, **self.facts(ticket)), why)

    # --- tickets ------------------------------------------------------------------------------------------------

    def place_ticket(self, ticket: Ticket, found: Placement) -> None:
        """Put a ticket where `found` says; the evidence of every time is kept."""
        ticket.grid, ticket.place, ticket.from_home = found.grid, found.place, found.from_home
        ticket.spot = found.spot or ticket.spot
        ticket.evidence = [*ticket.evidence, *found.evidence][-20:]
        self.session.add(ticket)

    def schedule(self, ticket: Ticket, since: datetime, round_: int = 0) -> None:
        """The ticket's deadline and its reminder, counted from `since`; nothing for a tier without a limit."""
        limit = limits.limits().urgent if ticket.urgent else limits.limits().tiers.get(ticket.tier)
        if limit is None:
            return
        end = due(since, limit, self.calendar)
        for kind, at in (("remind", reminder(since, end, limit)), ("settle", end)):
            self.session.add(
                Deadline(
                    ticket=ticket.id or 0, kind=kind, round=round_, since=since, due_at=at,
                    calendar=self.calendar.version,
                )
            )  # fmt: skip

    def hurry(self, ticket: Ticket) -> None:
        """A ticket has become urgent: its deadline comes nearer, never later. Nothing that residents
        say moves a deadline otherwise; what staff correct does (`handlers.retime`)."""
        urgent = limits.limits().urgent
        end = due(ticket.opened_at, urgent, self.calendar)
        self.session.flush()
        for kind, at in (("remind", reminder(ticket.opened_at, end, urgent)), ("settle", end)):
            self.session.connection().execute(
                sa.update(Deadline)
                .where(col(Deadline.ticket) == ticket.id, col(Deadline.kind) == kind, col(Deadline.due_at) > at)
                .where(col(Deadline.done_at).is_(None))
                .values(due_at=at)
            )

    def support(self, ticket: Ticket, channel: str, chat: str, sender: str) -> bool:
        """Count somebody among those who reported it. False when she is one already, on this channel or another: she
        hears of it wherever she told it."""
        person = self.person_of(channel, sender)
        known = sa.select(col(Supporter.id)).where(col(Supporter.ticket) == ticket.id, col(Supporter.person) == person)
        before = person is not None and self.session.scalars(known.limit(1)).first() is not None
        row = {
            "ticket": ticket.id, "channel": channel, "chat": chat, "sender": sender, "person": person,
            "since": self.now,
        }  # fmt: skip
        return insert_new(self.session, Supporter, [row], ["ticket", "channel", "sender"]) == 1 and not before

    def supporters(self, ticket: Ticket) -> int:
        """How many people reported it."""
        user = col(Supporter.channel) + ":" + col(Supporter.sender)
        count = sa.select(sa.func.count(sa.func.coalesce(col(Supporter.person), user).distinct()))
        return int(self.session.scalar(count.where(col(Supporter.ticket) == ticket.id)) or 0)


def tier_of(category: str) -> int:
    """The tier of a category; its top's where the leaf is not in the table."""
    known = categories()
    found = known.get(category) or known.get(category.split(".", maxsplit=1)[0])
    return found.tier if found else 3
