"""The face of a card after a press: what the ticket has become, and what may still be done about it.

Source: 101031 更新模板卡片, 101032.
"""

from typing import Any

from sqlmodel import Session

from bot.channels import cards
from bot.channels.pressed import ENDS, accepted, sent_as, ticket_of
from bot.channels.render import discreet
from bot.channels.wecom_bot.letters import NAME, Letter
from handlers.texts import word
from models.ticket import OPEN, Status, Ticket


def face(session: Session, letter: Letter) -> dict[str, Any] | None:
    """The template card to show now in place of the one that was pressed; None for a card that is none of ours, or of
    another chat."""
    number = ticket_of((letter.incoming.action if letter.incoming else None) or "")
    found = sent_as(session, NAME, letter.chat, number, letter.card) if number is not None else None
    if found is None:
        return None
    out, key = found
    if not letter.direct:
        out = discreet(out)
    ticket = session.get(Ticket, out.ticket, populate_existing=True)
    shown = cards.card(out, key)
    if ticket is None or shown is None:
        return None
    if (end := ENDS.get(ticket.status)) is not None:
        return cards.settled(shown, word(end))
    if ticket.status in OPEN and out.to_person and ticket.worker != out.to_person:
        return cards.settled(shown, word("card_passed_on"))
    if ticket.status == Status.ACCEPTED:
        return cards.card(accepted(out), key)
    return shown
