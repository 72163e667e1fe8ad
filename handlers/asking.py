"""The one short question where a matter is. It holds nothing back: its answer refines a ticket that is open already."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import col

from handlers.context import Context
from handlers.place import CHAT, Placement
from models.chat import Question
from models.ticket import Ticket

# Kinds that are about the community as a whole, or about a person: no question where exactly.
NOWHERE_IN_PARTICULAR = ("suggestion", "dispute", "welfare", "security.fraud", "utility", "city.construction")


class Asked(NamedTuple):
    """name: of the sentence. options: codes of the places that it offers."""

    name: str
    options: list[str]

    def names(self, ctx: Context) -> str:
        """The places, as the sentence shows them."""
        return "、".join(ctx.town.places[code].name for code in self.options)


def asked(ticket: Ticket, placement: Placement) -> Asked | None:
    """What to ask; None where that is known, would help nobody, or costs time that an urgent matter has not got."""
    if ticket.urgent or ticket.category.startswith(NOWHERE_IN_PARTICULAR):
        return None
    if placement.unsure:
        return Asked("opened_which", list(placement.options))
    return Asked("opened_nowhere", []) if placement.weight <= CHAT else None


def remember(
    ctx: Context, ticket: Ticket, question: Asked, channel: str, chat: str, sender: str, *, at: datetime
) -> None:  # fmt: skip
    """That it was put to `sender`, in this chat: what she says there next may be the answer."""
    ctx.session.add(
        Question(
            channel=channel, chat=chat, sender=sender, ticket=ticket.id or 0, about="place", options=question.options,
            asked_at=at,
        )
    )  # fmt: skip


def sentence(
    ctx: Context, question: Asked, channel: str, chat: str, sender: str, *, at: datetime
) -> str:  # fmt: skip
    """The name of the sentence that puts it. Where the same was asked just now, about another matter of the message,
    it is not asked twice in a breath."""
    return "opened_too" if _open(ctx, channel, chat, sender, at, question.options) else question.name


def answered_for(ctx: Context, ticket: Ticket) -> Sequence[Ticket]:
    """The message answers what was asked about `ticket`: the tickets that it answers for, those that the same message
    had told of included. Empty where nothing was asked about it."""
    question = ctx.known.question
    if question is None or question.ticket != ticket.id:
        return ()
    same = _open(ctx, question.channel, question.chat, question.sender, question.asked_at, question.options)
    tickets = [one.ticket for one in same]
    # Wherever it was put: a question that could not be said on one channel is on another, too.
    about = sa.update(Question).where(col(Question.ticket).in_(tickets), col(Question.answered_at).is_(None))
    ctx.session.connection().execute(about.values(answered_at=ctx.now))
    return [ctx.session.get_one(Ticket, number) for number in dict.fromkeys(tickets)]


def say_placed(ctx: Context, ticket: Ticket, others: Sequence[Ticket] = (), *, name: str = "placed") -> None:
    """One sentence for all that the answer was about. name: of the sentence."""
    told = sorted([ticket, *(one for one in others if one.sensitive == ticket.sensitive)], key=lambda one: one.id or 0)
    ctx.say(name, ticket, number="、".join(one.number for one in told))


def _open(
    ctx: Context, channel: str, chat: str, sender: str, at: datetime, options: Sequence[str]
) -> Sequence[Question]:  # fmt: skip
    """What was asked with the same choice about the matters of one message."""
    rows = ctx.session.scalars(
        sa.select(Question)
        .where(col(Question.channel) == channel, col(Question.chat) == chat, col(Question.sender) == sender)
        .where(col(Question.asked_at) == at, col(Question.answered_at).is_(None))
        .order_by(col(Question.id))
    )
    return [row for row in rows if row.options == list(options)]
