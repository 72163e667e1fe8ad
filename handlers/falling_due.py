"""What happens when something falls due: one reminder when it is near, one escalation when it is past, a closing
when nobody rates. The full ladder comes on top of these."""

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.limits import limits
from handlers.texts import say, word
from handlers.workflow import Actor, move, record
from models.deadline import Deadline
from models.person import Role
from models.ticket import OPEN, Status, Ticket


def fire(desk: Desk, row: Deadline) -> str:
    """One due row; marks it done. Returns the kind, or "stale" where the ticket does not need it any more."""
    ticket = desk.session.get_one(Ticket, row.ticket)
    row.done_at, row.fired = desk.now, ticket.status in OPEN
    desk.session.add(row)
    if ticket.status not in OPEN:
        return "stale"
    if row.kind == "remind":
        record(desk.session, ticket, "reminded", SYSTEM, desk.now)
        desk.alert_worker(ticket, "reminder", "reminder", due=desk.due_text(ticket))
    elif row.kind == "settle":
        escalate(desk, ticket)
    return row.kind


def escalate(desk: Desk, ticket: Ticket) -> None:
    """Past its deadline: the next level (社区, else 街道, else 区) supervises (督办); those who told of it hear so."""
    worker_roles = desk.town.roles(ticket.worker)
    for role in dispatch.LEVELS:
        if role in worker_roles:
            continue
        staff = dispatch.staff_above(desk.town, ticket.grid, role, desk.now)
        if not staff:
            continue
        record(desk.session, ticket, "escalated", SYSTEM, desk.now, role.value)
        text = say("overdue", **desk.facts(ticket), due=desk.due_text(ticket))
        for one in staff:
            desk.alert(one.person, ticket, text, f"overdue, to {role.value}")
        desk.alert_worker(ticket, "overdue", "overdue", due=desk.due_text(ticket))
        desk.tell_supporters(ticket, "escalated", level=word(_level(role), "levels"))
        return
    record(desk.session, ticket, "overdue", SYSTEM, desk.now, "nobody to escalate to")


def _level(role: Role) -> str:
    return role.value


def close_unrated(desk: Desk, limit: int) -> int:
    """Tickets that were settled long ago and never rated are closed. Returns how many."""
    before = desk.now - limits().close_after
    rows = desk.session.scalars(
        sa.select(Ticket)
        .where(col(Ticket.status) == Status.RESOLVED, col(Ticket.resolved_at) < before)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for ticket in rows:
        move(desk.session, ticket, Status.CLOSED, Actor.SYSTEM, SYSTEM, desk.now, note="not rated")
    return len(rows)
