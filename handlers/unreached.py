"""An alert that certainly did not reach whom it was for: it goes on to the next one, and the staff see it.

The platform says so long after the decision, so this is a decision of its own: a history line, and what follows.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.dispatch import Assigned
from handlers.texts import say, word
from handlers.workflow import record
from models.message import Outgoing, Purpose
from models.ticket import Status, Ticket, TicketEvent

UNREACHABLE = "unreachable"


def not_reached(desk: Desk, out: Outgoing) -> str:
    """Returns what followed: `noted` (nobody was to act), `next` (another worker), `staff`, `nobody`."""
    ticket = desk.session.get(Ticket, out.ticket) if out.ticket is not None else None
    person = out.to_person or desk.person_of(out.channel, out.chat)
    if ticket is None or person is None:
        return "noted"
    record(desk.session, ticket, UNREACHABLE, SYSTEM, desk.now, person)
    desk.session.flush()
    if out.purpose != Purpose.ALERT or not (out.card and out.card.buttons) or not ticket.is_open:
        return "noted"
    tried = _tried(desk, ticket)
    _on_another_channel(desk, out, person)
    follower = None
    if ticket.worker == person and ticket.status != Status.ACCEPTED:
        follower = next(_others(desk, ticket, tried), None)
        if follower is not None:
            desk.assign(ticket, follower)
    told = _tell_staff(desk, ticket, person, tried | ({follower.person} if follower else set()))
    return "next" if follower is not None else "staff" if told else "nobody"


def _tried(desk: Desk, ticket: Ticket) -> set[str]:
    """Whom the platform did not find for this ticket: so it never goes round in a circle."""
    notes = sa.select(col(TicketEvent.note)).where(
        col(TicketEvent.ticket) == ticket.id, col(TicketEvent.what) == UNREACHABLE
    )
    return set(desk.session.scalars(notes))


def _on_another_channel(desk: Desk, out: Outgoing, person: str) -> None:
    """The same to another address of hers, if there is one that it has not been to; it is not relied upon."""
    for one in desk.town.addresses(person):
        if one.channel not in (out.channel, *out.been):
            desk.put(out.by(one.channel, desk.town.direct_chat(one.channel, person, one.user)))
            return


def _others(desk: Desk, ticket: Ticket, tried: set[str]) -> Iterator[Assigned]:
    """Who else may act, nearest first: the deputy, gridworkers of the grid and above, staff of each level."""
    known = desk.town.people.get(ticket.worker or "")
    if known is not None and (deputy := dispatch.stand_in(desk.town, known, desk.now)) and deputy not in tried:
        yield Assigned(deputy, f"deputy of {known.code}, who was not reached")
    chain = list(desk.town.chain(ticket.grid or desk.town.root))
    for role in dispatch.ACTS:
        for duty in (duty for code in chain for duty in desk.town.on_duty(code, role)):
            there = dispatch.present(desk.town, duty.person, desk.now) and desk.address(duty.person) is not None
            if there and duty.person not in tried:
                yield Assigned(duty.person, f"{role.value} {duty.grid}, {ticket.worker} was not reached")


def _tell_staff(desk: Desk, ticket: Ticket, person: str, but: set[str]) -> bool:
    """The lowest level (社区, else 街道, else 区) where somebody is left."""
    who = desk.town.people.get(person)
    text = say("staff_unreached", **desk.facts(ticket), who=who.name if who else word("fact_worker"))
    for role in dispatch.LEVELS:
        staff = [
            one for one in dispatch.staff_above(desk.town, ticket.grid, role, desk.now)
            if one.person not in but and desk.address(one.person) is not None
        ]  # fmt: skip
        reached = [desk.alert(one.person, ticket, text, UNREACHABLE) for one in staff]
        if any(reached):
            return True
    return False
