"""What somebody makes of an answer of the bot (没用), where staff see it: in the history of the matter it was about."""

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.wecom_bot.letters import NAME, Letter
from handlers.erasing import OPINION
from handlers.texts import word
from handlers.workflow import record
from models.outbox import Outbox
from models.ticket import Ticket, TicketEvent

WAYS = ("stream", "reply")  # by which an answer is shown under a feedback id: see `mailbox.tag`


def note(session: Session, letter: Letter) -> None:
    """A line in the history of each matter of that answer, once however often the platform says it. Of what answers
    helped, and of what was taken back, only the metric tells."""
    way, _, which = letter.answer.partition(":")
    if letter.opinion != "inaccurate" or letter.at is None or way != "answer" or not which:
        return
    shown = sa.select(col(Outbox.ticket)).where(
        col(Outbox.conversation) == f"{NAME}:{letter.chat}", col(Outbox.ticket).is_not(None),
        col(Outbox.platform_id).in_([f"{one}:{which}" for one in WAYS]),
    )  # fmt: skip
    who = f"{NAME}:{letter.sender}"  # by this a deletion of her data finds it, also in a matter that is not hers
    said = letter.incoming.text if letter.incoming is not None else ""
    why = "；".join(filter(None, ["、".join(word(f"opinion_{one}") for one in letter.reasons), said]))
    for ticket in session.scalars(sa.select(Ticket).where(col(Ticket.id).in_(shown))).all():
        there = sa.select(TicketEvent.id).where(  # type: ignore[call-overload]
            col(TicketEvent.ticket) == ticket.id, col(TicketEvent.what) == OPINION, col(TicketEvent.actor) == who,
            col(TicketEvent.at) == letter.at,
        )  # fmt: skip
        if session.scalars(there).first() is None:
            record(session, ticket, OPINION, who, letter.at, why)
