"""Where a merged ticket's matter stands now: whoever asks after it hears of the one that took it over."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmodel import Session

from models.ticket import Ticket

if TYPE_CHECKING:  # the linker asks this module, too
    from handlers.assembly import Linked

DEEPEST = 16


def standing(session: Session, ticket: Ticket) -> Ticket:
    """The ticket, or the one it was merged into, and so on."""
    for _ in range(DEEPEST):
        if ticket.merged_into is None:
            break
        ticket = session.get_one(Ticket, ticket.merged_into)
    return ticket


def followed(session: Session, ranked: "Iterable[Linked]") -> "list[Linked]":
    """Candidates with merged tickets replaced by those that took them over; each ticket once, with its best points."""
    best: dict[int, Linked] = {}
    for linked in ranked:
        ticket = standing(session, linked.ticket)
        known = best.get(ticket.id or 0)
        if known is None:
            best[ticket.id or 0] = linked if ticket is linked.ticket else replace(linked, ticket=ticket)
        else:
            best[ticket.id or 0] = replace(
                known,
                points=max(known.points, linked.points),
                own=known.own or linked.own,
                here=known.here or linked.here,
                named=known.named or linked.named,
            )
    return sorted(best.values(), key=lambda linked: (-linked.points, -(linked.ticket.id or 0)))
