"""A corrected ticket's deadline: by its new tier, from the same moment, and never into the past."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col

from handlers.desk import Desk
from handlers.limits import Limit, due, limits, reminder
from handlers.workflow import record
from models.deadline import Deadline
from models.ticket import Ticket


def retime(desk: Desk, ticket: Ticket, by: str) -> None:
    """Count the deadline anew where it still runs; the history keeps both times.

    What has become urgent has its minutes from now on, and never more time than before. Otherwise the limit of the tier
    counts from the moment it counted from so far; where that is over already, the shortest time that any limit leaves
    (`same_day_minimum_minutes`) is left from now. One that has passed and was escalated stays as it is.
    """
    if not ticket.is_open:
        return
    rule = limits().urgent if ticket.urgent else limits().tiers.get(ticket.tier)
    rows = _rows(desk, ticket)
    if not rows:
        if rule is not None:  # the tier it had knew no limit
            desk.schedule(ticket, desk.now)
        return
    settle = next((row for row in rows if row.kind == "settle"), None)
    if settle is None or settle.done_at is not None:
        return
    before = desk.due_text(ticket)
    if rule is None:
        for row in rows:
            desk.session.delete(row)
    else:
        start, end = _span(desk, ticket, settle, rule)
        for row in rows:
            at = end if row.kind == "settle" else reminder(start, end, rule)
            if row.kind == "settle" or at > desk.now:  # there is time for a reminder, a second one even
                row.due_at, row.calendar, row.done_at, row.fired = at, desk.calendar.version, None, False
                desk.session.add(row)
    desk.session.flush()
    if (after := desk.due_text(ticket)) != before:
        record(desk.session, ticket, "recounted", by, desk.now, f"{before} → {after}")


def _span(desk: Desk, ticket: Ticket, settle: Deadline, rule: Limit) -> tuple[datetime, datetime]:
    """From when to when there is time."""
    if ticket.urgent:
        return desk.now, min(settle.due_at, due(desk.now, rule, desk.calendar))
    end = due(settle.since, rule, desk.calendar)
    least = desk.now + limits().minimum
    return (settle.since, end) if end >= least else (desk.now, least)


def _rows(desk: Desk, ticket: Ticket) -> Sequence[Deadline]:
    """Reminder and deadline of the last round."""
    desk.session.flush()
    last = sa.select(sa.func.max(col(Deadline.round))).where(
        col(Deadline.ticket) == ticket.id, col(Deadline.kind) == "settle"
    )
    statement = sa.select(Deadline).where(
        col(Deadline.ticket) == ticket.id,
        col(Deadline.kind).in_(("remind", "settle")),
        col(Deadline.round) == last.scalar_subquery(),
    )
    return desk.session.scalars(statement).all()
