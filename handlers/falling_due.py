"""What happens when something falls due: one reminder when it is near, one escalation when it is past, a closing
when nobody rates. The full ladder comes on top of these. What is not due yet is counted anew when the working calendar
has changed."""

from datetime import datetime, time, timedelta

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.limits import due, limits, reminder
from handlers.texts import say, word
from handlers.workflow import Actor, move, record
from models.deadline import Deadline, counted_otherwise
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
        desk.alert_worker(ticket, "reminder", "reminder", card=True, due=desk.due_text(ticket))
    elif row.kind == "settle":
        escalate(desk, ticket)
    return row.kind


def escalate(desk: Desk, ticket: Ticket) -> None:
    """Past its deadline: the next level (社区, else 街道, else 区) supervises (督办); those who told of it hear so."""
    held = [dispatch.LEVELS.index(role) for role in desk.town.roles(ticket.worker) if role in dispatch.LEVELS]
    for role in dispatch.LEVELS[max(held, default=-1) + 1 :]:
        staff = dispatch.staff_above(desk.town, ticket.grid, role, desk.now)
        if not staff:
            continue
        record(desk.session, ticket, "escalated", SYSTEM, desk.now, role.value)
        text = say("overdue", **desk.facts(ticket), due=desk.due_text(ticket))
        for one in staff:
            desk.alert(one.person, ticket, text, f"overdue, to {role.value}")
        desk.news(ticket, "overdue", "overdue", due=desk.due_text(ticket))
        desk.tell_supporters(ticket, "escalated", level=word(role.value, "levels"))
        return
    record(desk.session, ticket, "overdue", SYSTEM, desk.now, "nobody to escalate to")


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


def recount(desk: Desk, limit: int) -> int:
    """Deadlines that an older working calendar counted are counted anew, from the same moment; the history keeps both.

    limit: rows at a time. Returns how many were looked at, moved or not; 0 when all are of this calendar's version. An
    urgent matter has minutes and no working days: its deadline stays. So does one whose tier has no limit any more.
    """
    rows = counted_otherwise(desk.session, desk.calendar.version, limit)
    for row, ticket in rows:
        row.calendar = desk.calendar.version
        desk.session.add(row)
        rule = limits().tiers.get(ticket.tier)
        if rule is None:
            continue
        end = due(row.since, rule, desk.calendar)
        before, row.due_at = row.due_at, reminder(row.since, end, rule) if row.kind == "remind" else end
        if row.kind == "settle" and row.due_at != before:
            note = f"{_local(desk, before)} → {_local(desk, row.due_at)}"
            record(desk.session, ticket, "recounted", SYSTEM, desk.now, note)
    return len(rows)


def _local(desk: Desk, moment: datetime) -> str:
    """Local time, midnight as the end of a day: 2026-03-09 24:00."""
    local = moment.astimezone(desk.calendar.zone)
    if local.time() == time.min:
        return f"{local - timedelta(days=1):%Y-%m-%d} 24:00"
    return f"{local:%Y-%m-%d %H:%M}"
