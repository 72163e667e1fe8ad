"""A town's own chat history through the real pipeline, with the clock of the messages."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.scheduler import Sweeper
from bot.worker import Worker, drain
from handlers.matters import MADE_OF
from handlers.voices import PATIENCE
from handlers.workdays import WorkCalendar
from models import outbox
from models.database import Database
from models.deadline import Deadline
from models.inbox import receive
from models.message import Forwarded, Incoming, Kind, Media, Purpose
from models.outbox import Outbox
from models.schema import upgrade
from models.ticket import Supporter, Ticket, TicketMessage
from models.townimport import import_pack
from models.townpack import Pack, read_pack
from nlu.types import Engine


class BadTranscript(Exception):
    """A line cannot be replayed; the message names the line and the field."""


@dataclass
class Replay:
    """What came out: the lines of the bench format, and counts for the summary."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    messages: int = 0


def transcript(file: Path) -> Iterator[Incoming]:
    """The messages of a transcript, in order. Raises BadTranscript."""
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            try:
                yield incoming(json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8")))
            except (ValueError, KeyError, TypeError) as error:
                raise BadTranscript(f"{file.name}:{number}: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"field `{'.'.join(map(str, first['loc']))}`: {first['msg']}"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, KeyError):
        return f"field `{error.args[0]}` is missing"
    return str(error)


def incoming(row: dict[str, Any]) -> Incoming:
    """One line of the bench format as a message. Raises KeyError, ValueError or ValidationError."""
    forwarded = tuple(
        Forwarded(sender=str(item["sender"]), at=item.get("at"), text=str(item["text"]))
        for item in row.get("forwarded") or ()
    )
    return Incoming(
        id=row["id"], channel=row["channel"], chat=row["chat"], sender=row["sender"],
        sent_at=datetime.fromisoformat(row["at"]), kind=Kind(row["type"]), text=row.get("text") or "",
        quote=row.get("quote"), mentions=tuple(row.get("mentions") or ()),
        media=(Media(name=row["media"]),) if row.get("media") else (),
        lon=row.get("lon"), lat=row.get("lat"), label=row.get("label") or "", recalls=row.get("recalls"),
        forwarded=forwarded,
    )  # fmt: skip


class _Clock:
    """Stands where the replay has come to."""

    def __init__(self) -> None:
        self.now = datetime.fromtimestamp(0, UTC)

    def __call__(self) -> datetime:
        return self.now


def replay(
    folder: Path, db: Database, engine: Engine, calendar: WorkCalendar, *,
    progress: Callable[[int, int], None] = lambda done, all_: None,
) -> Replay:  # fmt: skip
    """Load the pack into the (empty) database, feed the transcript, let deadlines fire in between.

    Raises BadPack or BadTranscript before anything is written.
    """
    pack: Pack = read_pack(folder)
    messages = list(transcript(folder / "transcript.jsonl"))
    upgrade(db)
    db.tx(lambda session: import_pack(session, pack))
    clock = _Clock()
    worker = Worker(db, engine, calendar, clock=clock)
    sweeper = Sweeper(db, calendar, clock=clock)
    for done, message in enumerate(messages, 1):
        _pass_time(db, sweeper, clock, message.sent_at)
        db.tx(partial(receive, messages=[message], now=clock()))
        drain(worker)
        progress(done, len(messages))
    out = Replay(messages=len(messages))
    out.lines = db.tx(lambda session: list(_lines(session)))
    return out


def _pass_time(db: Database, sweeper: Sweeper, clock: _Clock, until: datetime) -> None:
    """Let the time run to `until`, stopping at each deadline on the way."""
    while True:
        first = db.tx(_next_due)
        if first is None or first > until:
            break
        clock.now = max(clock.now, first)
        sweeper.deadlines()
    for moment in (min(clock.now + PATIENCE, until), until):
        clock.now = max(clock.now, moment)
        sweeper.voices()


def _next_due(session: Session) -> datetime | None:
    waiting = sa.select(sa.func.min(col(Deadline.due_at))).where(col(Deadline.done_at).is_(None))
    return session.scalars(waiting).one()


def _lines(session: Session) -> Iterator[dict[str, Any]]:
    for ticket in session.scalars(sa.select(Ticket).order_by(col(Ticket.id))):
        rows = session.scalars(
            sa.select(TicketMessage).where(col(TicketMessage.ticket) == ticket.id).order_by(col(TicketMessage.id))
        ).all()
        people = session.scalars(sa.select(col(Supporter.sender)).where(col(Supporter.ticket) == ticket.id))
        yield {
            "kind": "ticket", "id": ticket.number, "messages": [row.message for row in rows if row.role in MADE_OF],
            "category": ticket.category, "grid": ticket.grid, "place": ticket.place, "urgent": ticket.urgent,
            "reporters": list(people), "withdrawn": ticket.status.value == "withdrawn", "sensitive": ticket.sensitive,
            "opened_at": ticket.opened_at.isoformat(), "confidence": round(ticket.confidence, 3), "quiet": ticket.quiet,
        }  # fmt: skip
    for row in session.scalars(sa.select(Outbox).order_by(col(Outbox.id))):
        out = outbox.read(row)
        at = row.created_at.isoformat()
        if out.purpose == Purpose.ALERT:
            yield {"kind": "alert", "ticket": out.ticket, "to": out.to_person, "at": at, "why": out.why}
        else:
            yield {"kind": "reply", "chat": out.chat, "trigger": out.trigger, "at": at, "text": out.text}
