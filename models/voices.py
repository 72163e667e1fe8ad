"""Voices that came without a transcript, and what was heard in them.

What is heard becomes a message of its own, beside the voice: same sender, same time, and an id made of the voice's, so
that nothing is ever heard into the inbox twice. From the moment somebody listens its row is there, finished, with the
outcome `hearing`: attempts and lease stand in it, and a process that dies over a voice is followed by another one.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from models import inbox
from models.inbox import Inbox, inbox_row
from models.insert import insert_new
from models.message import Incoming, Kind

HEARING, UNHEARD, GONE = "hearing", "unheard", "recalled"
BELONGS, HELD = "detail", "held"  # what becomes of a voice without words: see docs/message-flow.md
_MARK = "~heard"
_LONGEST = 128 - len(_MARK)  # of a message's id
_heard_id = sa.func.substr(col(Inbox.message), 1, _LONGEST).concat(_MARK)
_WORDLESS = col(Inbox.payload).not_like('%"text":%')
_VOICE = sa.text("inbox.kind = 'voice'")  # no parameter: SQLite uses the partial index only then


@dataclass(frozen=True, slots=True)
class Voice:
    """One to be heard: the message it came as, the row of what will be heard, and how often that was tried."""

    message: Incoming
    row: int
    lease: str
    attempts: int


def heard_id(message: str) -> str:
    """The id of what is heard in the voice `message`. Whoever takes the one back takes back the other."""
    return message[:_LONGEST] + _MARK


def take(session: Session, *, now: datetime, since: datetime, lease: timedelta) -> Voice | None:
    """The oldest voice received after `since` that nobody has heard or is hearing, for `lease`; None: there is none."""
    token = secrets.token_hex(8)
    if (again := _abandoned(session, now, since)) is not None:
        again.lease, again.visible_at, again.attempts = token, now + lease, again.attempts + 1
        session.add(again)
        return Voice(inbox.read(again), again.id or 0, token, again.attempts)
    for row in _unheard(session, since):
        voice = inbox.read(row)
        told = voice.model_copy(update={"id": heard_id(voice.id)})
        values = inbox_row(told, now) | {
            "finished_at": now, "outcome": HEARING, "attempts": 1, "lease": token, "visible_at": now + lease,
        }  # fmt: skip
        if insert_new(session, Inbox, [values], ["dedup_key"]):
            found = inbox.find(session, told.channel, told.chat, told.id)
            return Voice(told, found.id or 0, token, 1) if found else None
    return None


def _abandoned(session: Session, now: datetime, since: datetime) -> Inbox | None:
    waiting = (
        sa.select(Inbox)
        .where(_VOICE, col(Inbox.received_at) > since, col(Inbox.outcome) == HEARING, col(Inbox.visible_at) <= now)
        .order_by(col(Inbox.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(waiting).first()


def _unheard(session: Session, since: datetime) -> list[Inbox]:
    """Voices without words whose sound is on our disk, oldest first; a few, in case others take the first ones."""
    heard = sa.orm.aliased(Inbox, name="heard")
    there = sa.exists().where(
        col(heard.channel) == col(Inbox.channel), col(heard.chat) == col(Inbox.chat),
        col(heard.message) == _heard_id,
    )  # fmt: skip
    found = (
        sa.select(Inbox)
        .where(_VOICE, col(Inbox.received_at) > since, col(Inbox.outcome).in_([HELD, BELONGS]), ~there)
        .where(_WORDLESS, col(Inbox.payload).like('%"path":%'))
        .where(col(Inbox.message).not_like(f"%{_MARK}"))
        .order_by(col(Inbox.received_at), col(Inbox.id))
        .limit(8)
    )
    return list(session.scalars(found))


def settle(session: Session, voice: Voice, text: str, *, now: datetime) -> str:
    """What was heard goes to the workers, as if the voice had come with it; "" when nothing was understood.

    Returns what became of it: "" (it waits to be handled), `unheard`, `recalled` (the voice was taken back meanwhile),
    or `lost` when somebody else hears it by now; then nothing has changed.
    """
    original = _original(session, voice.message)
    values: dict[str, Any]
    if original is None or not inbox.read(original).media:
        values, outcome = {"payload": _payload(voice.message, "", None), "outcome": GONE}, GONE
    elif not text:
        values, outcome = {"payload": _payload(voice.message, "", None), "outcome": UNHEARD}, UNHEARD
    else:
        # The voice belongs to a matter already: so do its words. Otherwise they speak for themselves.
        quote = voice.message.quote or (original.message if original.outcome == BELONGS else None)
        payload = _payload(voice.message, text, quote)
        values, outcome = {"payload": payload, "outcome": "", "finished_at": None, "visible_at": now, "attempts": 0}, ""
    mine = sa.update(Inbox).where(col(Inbox.id) == voice.row, col(Inbox.lease) == voice.lease)
    done = session.connection().execute(mine.where(col(Inbox.outcome) == HEARING).values(lease=None, **values))
    return outcome if done.rowcount == 1 else "lost"


def _original(session: Session, told: Incoming) -> Inbox | None:
    found = sa.select(Inbox).where(
        col(Inbox.channel) == told.channel, col(Inbox.chat) == told.chat, col(Inbox.sent_at) == told.sent_at,
        _heard_id == told.id, col(Inbox.message) != told.id,
    )  # fmt: skip
    return session.scalars(found.limit(1)).first()


def _payload(message: Incoming, text: str, quote: str | None) -> str:
    """The sound stays with the voice itself: a matter that it becomes part of has it once."""
    told = message.model_copy(update={"text": text, "quote": quote, "media": ()})
    return told.model_dump_json(exclude_defaults=True)


def asked_lately(session: Session, message: Incoming, within: timedelta) -> bool:
    """Whether she sent another voice here shortly before that was not understood either: she knows by now."""
    listened = message.id.endswith(_MARK)
    earlier = sa.select(col(Inbox.id)).where(
        col(Inbox.channel) == message.channel, col(Inbox.chat) == message.chat, col(Inbox.sender) == message.sender,
        col(Inbox.kind) == message.kind.value, col(Inbox.sent_at) > message.sent_at - within,
        col(Inbox.sent_at) < message.sent_at, _WORDLESS,
        col(Inbox.outcome) == UNHEARD if listened else col(Inbox.outcome).in_([HELD, BELONGS]),
    )  # fmt: skip
    return session.scalars(earlier.limit(1)).first() is not None


def left_alone(session: Session, *, after: datetime, before: datetime, heard: bool) -> list[tuple[int, Incoming]]:
    """(row, message) of voices without words that came between the two and still wait for what comes next: nobody took
    them back, and who spoke has typed nothing since. heard: those on our disk, or on their way there, are left to who
    hears them."""
    later = sa.orm.aliased(Inbox, name="later")
    typed = sa.exists().where(
        col(later.channel) == col(Inbox.channel), col(later.chat) == col(Inbox.chat),
        col(later.sender) == col(Inbox.sender), col(later.kind) == Kind.TEXT.value,
        col(later.sent_at) >= col(Inbox.sent_at),
    )  # fmt: skip
    found = (
        sa.select(Inbox)
        .where(_VOICE, col(Inbox.outcome) == HELD, col(Inbox.received_at) > after, col(Inbox.received_at) <= before)
        .where(_WORDLESS, col(Inbox.message).not_like(f"%{_MARK}"), ~typed)
        .order_by(col(Inbox.id))
    )
    if heard:
        found = found.where(col(Inbox.payload).not_like('%"path":%'), col(Inbox.payload).not_like('%"platform_id":%'))
    return [(row.id or 0, inbox.read(row)) for row in session.scalars(found)]
