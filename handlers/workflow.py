"""Where a ticket may go, and who may take it there. Source: the loop 收集-处置-反馈-评价 and its returns."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Session

from models.deadline import cancel
from models.ticket import Status, Ticket, TicketEvent


class Actor(StrEnum):
    """In which capacity somebody moves a ticket."""

    SYSTEM = "system"
    REPORTER = "reporter"
    WORKER = "worker"
    STAFF = "staff"


class NotAllowed(Exception):
    """The ticket cannot go there from where it is, or not by this actor."""


_W, _R, _S, _C = Actor.WORKER, Actor.REPORTER, Actor.SYSTEM, Actor.STAFF
MOVES: dict[Status, dict[Status, frozenset[Actor]]] = {
    Status.REPORTED: {
        Status.ASSIGNED: frozenset({_S, _W}),
        Status.ACCEPTED: frozenset({_W}),
        Status.RESOLVED: frozenset({_W}),
        Status.WITHDRAWN: frozenset({_R}),
        Status.DISMISSED: frozenset({_W}),
        Status.MERGED: frozenset({_C}),
    },
    Status.ASSIGNED: {
        Status.ASSIGNED: frozenset({_S, _W}),
        Status.ACCEPTED: frozenset({_W}),
        Status.RESOLVED: frozenset({_W}),
        Status.WITHDRAWN: frozenset({_R}),
        Status.DISMISSED: frozenset({_W}),
        Status.MERGED: frozenset({_C}),
    },
    Status.ACCEPTED: {
        Status.ASSIGNED: frozenset({_S, _W}),
        Status.RESOLVED: frozenset({_W}),
        Status.WITHDRAWN: frozenset({_R}),
        Status.DISMISSED: frozenset({_W}),
        Status.MERGED: frozenset({_C}),
    },
    Status.RESOLVED: {
        Status.CLOSED: frozenset({_R, _S}),
        Status.REOPENED: frozenset({_R}),
    },
    Status.CLOSED: {Status.REOPENED: frozenset({_R})},
    Status.REOPENED: {
        Status.ASSIGNED: frozenset({_S, _W}),
        Status.ACCEPTED: frozenset({_W}),
        Status.RESOLVED: frozenset({_W}),
        Status.WITHDRAWN: frozenset({_R}),
        Status.MERGED: frozenset({_C}),
    },
    Status.WITHDRAWN: {},
    Status.DISMISSED: {Status.REOPENED: frozenset({_R, _W})},
    Status.MERGED: {},
}
ENDED = frozenset({Status.RESOLVED, Status.CLOSED, Status.WITHDRAWN, Status.DISMISSED, Status.MERGED})


def may(ticket: Ticket, to: Status, actor: Actor) -> bool:
    """Whether `actor` may move the ticket there now."""
    return actor in MOVES[ticket.status].get(to, frozenset())


def move(
    session: Session,
    ticket: Ticket,
    to: Status,
    actor: Actor,
    who: str,
    now: datetime,
    *,
    what: str = "",
    note: str = "",
) -> None:
    """Change the status and write it into the history. Raises NotAllowed; nothing has changed then.

    who: a person's code, `channel:user`, or `system`. what: the event's name where the status alone does not say it.
    """
    if not may(ticket, to, actor):
        raise NotAllowed(f"{ticket.number}: {ticket.status} → {to} by {actor}")
    ticket.status = to
    if to == Status.RESOLVED:
        ticket.resolved_at = now
    if to == Status.CLOSED:
        ticket.closed_at = now
    if to in ENDED:
        cancel(session, ticket.id or 0, now)
    session.add(ticket)
    record(session, ticket, what or to.value, who, now, note)


def record(session: Session, ticket: Ticket, what: str, who: str, now: datetime, note: str = "") -> None:
    """Add a line to the history."""
    session.add(
        TicketEvent(ticket=ticket.id or 0, at=now, actor=who, what=what, status=ticket.status, note=note[:2000])
    )
