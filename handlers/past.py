"""What the database knows about messages before they are understood: three queries for a whole batch."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from handlers.context import Known
from handlers.town import Town
from models import inbox
from models.chat import ChatKind, Question
from models.inbox import Inbox
from models.ticket import TicketMessage
from nlu.timeline import FORGET, MEDIA, PHOTO_MINUTES
from nlu.types import Context, Utterance

RECENT = timedelta(minutes=60)
ASKED = timedelta(minutes=30)
HELD = "held"


def recall(session: Session, town: Town, rows: Sequence[Inbox]) -> list[tuple[Known, Utterance]]:
    """Each row with what is known about it, and the utterance an engine is asked about.

    Rows come from different conversations, so none of them is in the past of another.
    """
    messages = [inbox.read(row) for row in rows]
    if not messages:
        return []
    chats = sorted({(m.channel, m.chat) for m in messages})
    start = min(m.sent_at for m in messages)
    here = sa.tuple_(TicketMessage.channel, TicketMessage.chat).in_(chats)  # type: ignore[arg-type]
    ages: dict[tuple[str, str, str], datetime] = {}
    owners: set[tuple[str, str, str]] = set()
    for channel, chat, sender, last in session.execute(
        sa.select(
            TicketMessage.channel, TicketMessage.chat, TicketMessage.sender, sa.func.max(TicketMessage.sent_at)
        )  # type: ignore[call-overload]
        .where(here, TicketMessage.sent_at > start - timedelta(minutes=FORGET), TicketMessage.role != "withdraw")
        .group_by(TicketMessage.channel, TicketMessage.chat, TicketMessage.sender)
    ):
        ages[(channel, chat, sender)] = last
    quoted = [(m.channel, m.chat, m.quote) for m in messages if m.quote]
    if quoted:
        columns = (TicketMessage.channel, TicketMessage.chat, TicketMessage.message)
        known = sa.select(*columns).where(sa.tuple_(*columns).in_(quoted))  # type: ignore[call-overload, arg-type]
        owners = set(session.execute(known).tuples())
    last: dict[tuple[str, str, str], datetime] = {}
    photos: dict[tuple[str, str, str], datetime] = {}
    for channel, chat, sender, sent_at, kind, outcome in session.execute(
        sa.select(Inbox.channel, Inbox.chat, Inbox.sender, Inbox.sent_at, Inbox.kind, Inbox.outcome)  # type: ignore[call-overload]
        .where(sa.tuple_(Inbox.channel, Inbox.chat).in_(chats), Inbox.finished_at.is_not(None))  # type: ignore[arg-type, union-attr]
        .where(Inbox.sent_at > start - RECENT)
    ):
        who = (channel, chat, sender)
        last[who] = max(sent_at, last.get(who, sent_at))
        if kind in MEDIA and outcome == HELD:
            photos[who] = max(sent_at, photos.get(who, sent_at))
    questions = _questions(session, chats, start)
    out = []
    for row, m in zip(rows, messages, strict=True):
        who = (m.channel, m.chat, m.sender)
        chat_last = max((at for (c, g, _), at in ages.items() if (c, g) == who[:2]), default=None)
        photo = _minutes(photos.get(who), m.sent_at)
        question = questions.get(who)
        roles = [duty.role.value for duty in town.duties.get(town.identities.get((m.channel, m.sender), ""), ())]
        context = Context(
            direct=m.direct or (m.channel, m.chat) in town.chats and town.kind(m.channel, m.chat) == ChatKind.DIRECT,
            mentioned="bot" in m.mentions,
            role=roles[0] if roles else "resident",
            kind=m.kind.value,
            quotes="" if not m.quote else ("ticket" if (m.channel, m.chat, m.quote) in owners else "other"),
            own_ticket=_minutes(ages.get(who), m.sent_at),
            chat_ticket=_minutes(chat_last, m.sent_at),
            own_photo=photo if photo is not None and photo <= PHOTO_MINUTES else None,
            pause=_minutes(last.get(who), m.sent_at),
            asked=question is not None,
        )
        out.append((Known(row, m, question), Utterance(m.words, context)))
    return out


def _questions(
    session: Session, chats: Sequence[tuple[str, str]], now: datetime
) -> dict[tuple[str, str, str], Question]:
    statement = (
        sa.select(Question)
        .where(sa.tuple_(Question.channel, Question.chat).in_(chats))  # type: ignore[arg-type]
        .where(Question.answered_at.is_(None), Question.asked_at > now - ASKED)  # type: ignore[union-attr, operator]
        .order_by(Question.id)  # type: ignore[arg-type]
    )
    return {(q.channel, q.chat, q.sender): q for q in session.scalars(statement)}


def _minutes(then: datetime | None, now: datetime) -> float | None:
    if then is None:
        return None
    return max(0.0, (now - then).total_seconds() / 60)
