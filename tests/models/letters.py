"""Letters and tickets for storage tests, with only what a test cares about to be said."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from models.message import Button, Card, Incoming
from models.ticket import Status, Ticket

TASK = Card(title="任务", buttons=(Button(text="接单", action="accept:1"),))


def letter(number: int | str, chat: str = "g1", **fields: Any) -> Incoming:
    """A message of a group; `fields` are those of `Incoming`."""
    said: dict[str, Any] = {
        "id": f"m{number}",
        "channel": "web",
        "chat": chat,
        "sender": "u01",
        "sent_at": "2026-03-02T08:00:00+08:00",
        "text": f"第{number}条",
    }
    return Incoming(**(said | fields))


def open_ticket(session: Session, now: datetime, **fields: Any) -> Ticket:
    """A ticket just reported, with its id."""
    told: dict[str, Any] = {
        "status": Status.REPORTED,
        "category": "facility.lighting",
        "tier": 2,
        "channel": "web",
        "chat": "g1",
        "reporter": "u01",
        "opened_at": now,
        "last_message_at": now,
    }
    ticket = Ticket(**(told | fields))
    session.add(ticket)
    session.flush()
    return ticket
