"""What the database knows about messages before they are understood: a few queries for a whole batch."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from handlers.context import Known
from handlers.town import Town
from models import inbox
from models.chat import ChatKind, Question
from models.inbox import Inbox
from models.message import Incoming
from models.outbox import Outbox
from models.ticket import TicketMessage
from models.whois import who_are
from nlu.timeline import BEFORE_MESSAGES, FORGET, MEDIA, PHOTO_MINUTES, after
from nlu.types import Context, Utterance

RECENT = timedelta(minutes=60)
ASKED = timedelta(minutes=120)
LATELY = timedelta(minutes=10)
HELD = "held"
Who = tuple[str, str, str]  # channel, chat, and a sender or a message
Chats = Sequence[tuple[str, str]]
Line = tuple[datetime, str, str, str]  # when, kind, words, message
# Built once: putting a statement together costs more than running it.
RECENT_ROWS = sa.select(
    col(Inbox.channel), col(Inbox.chat), col(Inbox.sender), col(Inbox.sent_at), col(Inbox.kind), col(Inbox.outcome),
    col(Inbox.message), col(Inbox.payload),
).where(
    sa.tuple_(col(Inbox.channel), col(Inbox.chat)).in_(sa.bindparam("chats", expanding=True)),
    col(Inbox.finished_at).is_not(None), col(Inbox.sent_at) > sa.bindparam("since"),
)  # fmt: skip


def recall(session: Session, town: Town, rows: Sequence[Inbox]) -> list[tuple[Known, Utterance]]:
    """Each row with what is known about it, and the utterance an engine is asked about.

    Rows come from different conversations, so none of them is in the past of another.
    """
    messages = [inbox.read(row) for row in rows]
    if not messages:
        return []
    chats = sorted({(m.channel, m.chat) for m in messages})
    start = min(m.sent_at for m in messages)
    told = _told(session, chats, start)
    quoted = _quoted(session, messages)
    ours = _our_lines(session, messages)
    latest, photos, said = _recent(session, chats, start)
    questions = _questions(session, chats, start)
    people = who_are(session, {(m.channel, m.sender) for m in messages}, town.people)
    out = []
    for row, m in zip(rows, messages, strict=True):
        who = (m.channel, m.chat, m.sender)
        photo = _minutes(photos.get(who), m.sent_at)
        question = questions.get(who)
        own_last = told.get(who) or (question.asked_at if question else None)  # asked here, of what she told elsewhere
        chat_last = max((at for (channel, chat, _), at in told.items() if (channel, chat) == who[:2]), default=own_last)
        about = ours.get((m.conversation, m.quote or ""))
        sender = people[m.channel, m.sender]
        roles = [duty.role.value for duty in town.duties.get(sender.person.code, ())] if sender.person else []
        context = Context(
            direct=m.direct or town.kind(m.channel, m.chat) == ChatKind.DIRECT,
            mentioned="bot" in m.mentions,
            role=roles[0] if roles else "resident",
            kind=m.kind.value,
            quotes="" if not m.quote else "ticket" if (m.channel, m.chat, m.quote) in quoted or about else "other",
            own_ticket=_minutes(own_last, m.sent_at),
            chat_ticket=_minutes(chat_last, m.sent_at),
            own_photo=photo if photo is not None and photo <= PHOTO_MINUTES else None,
            pause=_minutes(latest.get(who), m.sent_at),
            asked=question is not None,
            **after(
                m.text,
                [
                    (age, kind, text)
                    for at, kind, text, message in said.get((m.channel, m.chat), ())
                    if message != m.id and (age := (m.sent_at - at).total_seconds() / 60) >= 0
                ],
            ),  # type: ignore[arg-type]
        )
        pointed = _pointed_to(session, m, context) if context.quotes == "other" else None
        words = "\n".join(filter(None, [m.words, pointed.words if pointed else ""]))
        heard = Utterance(words, context)
        lately = _lately(m, said.get((m.channel, m.chat), ())) if context.direct else ()
        out.append((Known(row, m, question, photo is not None, about, pointed, heard, lately, sender), heard))
    return out


def _told(session: Session, chats: Chats, start: datetime) -> dict[Who, datetime]:
    """When each person last told of an open matter in each chat."""
    row = TicketMessage
    statement = (
        sa.select(col(row.channel), col(row.chat), col(row.sender), sa.func.max(col(row.sent_at)))
        .where(sa.tuple_(col(row.channel), col(row.chat)).in_(chats))
        .where(col(row.sent_at) > start - timedelta(minutes=FORGET), col(row.role) != "withdraw")
        .group_by(col(row.channel), col(row.chat), col(row.sender))
    )
    return {(channel, chat, sender): at for channel, chat, sender, at in session.execute(statement)}


def _quoted(session: Session, messages: Sequence[Incoming]) -> set[Who]:
    """Which of the quoted messages belong to a ticket."""
    wanted = [(m.channel, m.chat, m.quote) for m in messages if m.quote]
    if not wanted:
        return set()
    columns = (col(TicketMessage.channel), col(TicketMessage.chat), col(TicketMessage.message))
    found = session.execute(sa.select(*columns).where(sa.tuple_(*columns).in_(wanted)))
    return {(channel, chat, message) for channel, chat, message in found}


def _our_lines(session: Session, messages: Sequence[Incoming]) -> dict[tuple[str, str], int]:
    """The tickets of the bot's own lines that are quoted, by conversation and the line's platform id."""
    wanted = [(m.conversation, m.quote) for m in messages if m.quote]
    if not wanted:
        return {}
    columns = (col(Outbox.conversation), col(Outbox.platform_id))
    found = session.execute(
        sa.select(*columns, col(Outbox.ticket)).where(sa.tuple_(*columns).in_(wanted), col(Outbox.ticket).is_not(None))
    )
    return {(conversation, line): ticket for conversation, line, ticket in found}


def _pointed_to(session: Session, m: Incoming, context: Context) -> Incoming | None:
    """The quoted message, when somebody points the bot to it: "@邻声 这个麻烦处理一下"."""
    if not (context.mentioned or context.direct) or not m.quote:
        return None
    row = inbox.find(session, m.channel, m.chat, m.quote)
    if row is None:
        return None
    try:
        return inbox.read(row)
    except ValidationError:
        return None  # a row that cannot be read is buried by itself; who quotes it is still heard


def _recent(
    session: Session, chats: Chats, start: datetime
) -> tuple[dict[Who, datetime], dict[Who, datetime], dict[tuple[str, str], list[Line]]]:
    """When each person last said something within the hour, when she last posted a picture that belongs to nothing yet,
    and the last lines of each chat."""
    latest: dict[Who, datetime] = {}
    photos: dict[Who, datetime] = {}
    said: dict[tuple[str, str], list[Line]] = {}
    for channel, chat, sender, sent_at, kind, outcome, message, payload in session.execute(
        RECENT_ROWS, {"chats": list(chats), "since": start - RECENT}
    ):
        who = (channel, chat, sender)
        latest[who] = max(sent_at, latest.get(who, sent_at))
        if kind in MEDIA and outcome == HELD:
            photos[who] = max(sent_at, photos.get(who, sent_at))
        said.setdefault((channel, chat), []).append((sent_at, kind, payload, message))
    return latest, photos, {chat: _read(lines) for chat, lines in said.items()}


def _read(lines: list[Line]) -> list[Line]:
    """The last few lines with their words instead of their rows. One more than counts: a message may be among them."""
    kept = sorted(lines, key=lambda line: line[0])[-(BEFORE_MESSAGES + 1) :]
    return [(at, kind, _text(payload), message) for at, kind, payload, message in kept]


def _lately(m: Incoming, lines: Sequence[Line]) -> tuple[str, ...]:
    """What was said here in the minutes before; in a direct chat all of it is the sender's own."""
    return tuple(
        text for at, _, text, message in lines if text and message != m.id and timedelta() <= m.sent_at - at <= LATELY
    )


def _text(payload: str) -> str:
    try:
        return str(json.loads(payload).get("text", ""))
    except (ValueError, AttributeError):
        return ""  # a row that cannot be read is buried by itself; those after it are still heard


def _questions(
    session: Session, chats: Sequence[tuple[str, str]], now: datetime
) -> dict[tuple[str, str, str], Question]:
    statement = (
        sa.select(Question)
        .where(sa.tuple_(col(Question.channel), col(Question.chat)).in_(chats))
        .where(col(Question.answered_at).is_(None), col(Question.asked_at) > now - ASKED)
        .order_by(col(Question.id))
    )
    return {(q.channel, q.chat, q.sender): q for q in session.scalars(statement)}


def _minutes(then: datetime | None, now: datetime) -> float | None:
    if then is None:
        return None
    return max(0.0, (now - then).total_seconds() / 60)
