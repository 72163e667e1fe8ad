"""Keeping what staff put right, beside what was said and what the engine had made of it (`models.correction`)."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from handlers.desk import Desk
from handlers.matters import MADE_OF
from models.correction import Correction, CorrectionKind
from models.ticket import Ticket, TicketMessage

MOST = 50  # messages whose words are kept with one correction
SAID = ("intents", "categories", "urgent", "sensitive", "flags")


class BadCorrection(Exception):
    """It cannot be put right like this.

    field: what is wrong with the request. reply: the sentence of config/replies.yaml that says so to the person, with
    `values` for its blanks.
    """

    def __init__(self, field: str, message: str, reply: str, **values: object) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.reply = reply
        self.values = values


class NotYours(Exception):
    """This person has no duty that lets her correct the ticket."""


def made_of(desk: Desk, ticket: Ticket) -> Sequence[TicketMessage]:
    """The messages that the matter is made of, oldest first."""
    statement = sa.select(TicketMessage).where(
        col(TicketMessage.ticket) == ticket.id, col(TicketMessage.role).in_(MADE_OF)
    )
    return desk.session.scalars(statement.order_by(col(TicketMessage.sent_at), col(TicketMessage.id))).all()


def as_words(rows: Sequence[TicketMessage]) -> list[dict[str, str]]:
    """Messages as `Correction.words` has them."""
    return [
        {"channel": row.channel, "chat": row.chat, "message": row.message, "role": row.role, "text": row.text}
        for row in rows[:MOST]
    ]


def keep_correction(
    desk: Desk,
    ticket: Ticket,
    kind: CorrectionKind,
    by: str,
    before: dict[str, Any],
    after: dict[str, Any],
    rows: Sequence[TicketMessage] | None = None,
) -> Correction:
    """Add the correction of `ticket` by a person. rows: the messages it is about, if not all that the ticket is made
    of."""
    kept = Correction(
        at=desk.now,
        by=by,
        ticket=ticket.id,
        kind=kind,
        words=as_words(made_of(desk, ticket) if rows is None else rows),
        context=dict(ticket.reading.get("context") or {}),
        said={name: ticket.reading[name] for name in SAID if name in ticket.reading},
        engine=str(ticket.reading.get("engine") or ""),
        before=before,
        after=after,
    )
    desk.session.add(kept)
    desk.session.flush()
    return kept
