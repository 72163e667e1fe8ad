"""Words for where nothing can be said now: they become a row of another channel, once however often that is tried."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from handlers.town import Town
from models import outbox
from models.chat import Question
from models.message import Outgoing
from models.whois import addresses, owner


def elsewhere(
    session: Session, town: Town, out: Outgoing, person: str, *, only: Collection[str] | None = None
) -> Outgoing | None:
    """The message for somebody's direct chat on another channel, the first linked of those where it has not been yet;
    None where none reaches her. only: channels that may carry it."""
    been = {*out.been, out.channel}
    for channel, user in addresses(session, person):
        if channel not in been and town.speaks(channel) and (only is None or channel in only):
            carried = out.by(channel, town.direct_chat(channel, person, user))
            return carried.model_copy(update={"to_person": person, "trigger": None})
    return None


def recipient(session: Session, out: Outgoing) -> str | None:
    """Whom the message is for, where that is one person we know."""
    hers = owner(session, out.channel, out.chat)
    return out.to_person or (hers.person if hers is not None else None)


def may_answer(session: Session, out: Outgoing, carried: Outgoing) -> None:
    """What she is asked about the ticket where it could not be said, she may answer where it is said instead. carried:
    what `elsewhere` made of the message."""
    about = (col(Question.ticket) == out.ticket, col(Question.answered_at).is_(None))
    here = (col(Question.channel) == out.channel, col(Question.chat) == out.chat)
    there = (col(Question.channel) == carried.channel, col(Question.chat) == carried.chat)
    open_ones = session.scalars(sa.select(Question).where(*about, *here).order_by(col(Question.id))).all()
    if not open_ones or session.scalars(sa.select(col(Question.id)).where(*about, *there)).first() is not None:
        return
    hers = addresses(session, carried.to_person or "")
    user = next((user for channel, user in hers if channel == carried.channel), "")
    for asked in open_ones:
        fields = asked.model_dump(exclude={"id"})
        session.add(Question(**fields | {"channel": carried.channel, "chat": carried.chat, "sender": user}))


def hand_on(session: Session, client_id: str, out: Outgoing, now: datetime, *, at: datetime | None = None) -> None:
    """Put the message into the outbox under a key of its own. client_id: of the message that it was. at: not before."""
    outbox.put(session, [(f"{client_id}{outbox.CARRIED}", out)], now, at=at)
