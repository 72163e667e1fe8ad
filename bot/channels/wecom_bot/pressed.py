"""The face of a card after a press: what the ticket has become, and what may still be done about it.

Whether the one who pressed may do it is the handlers' question (`handlers.duty.pressed`); here is only shown what came
of it. Source: 101031 更新模板卡片, 101032.
"""

from typing import Any

from sqlmodel import Session

from bot.channels import cards
from bot.channels.wecom_bot.letters import NAME, Letter
from bot.channels.wecom_bot.mailbox import rows_of_ticket
from handlers.texts import word
from models import inbox, outbox
from models.message import Outgoing
from models.ticket import OPEN, Status, Ticket

AGAIN = "#again"  # of a card that is sent once more: the platform takes no task id twice
AGREED = ("transfer", "done", "dismiss")  # what may still be done once a ticket is accepted
ENDS = {
    Status.RESOLVED: "card_resolved",
    Status.CLOSED: "card_resolved",
    Status.WITHDRAWN: "card_withdrawn",
    Status.DISMISSED: "card_dismissed",
    Status.MERGED: "card_merged",
}


def ticket_of(action: str) -> int | None:
    """The ticket's number in a card's key: `accept:42`, `done:42:换了灯`."""
    number = action.partition(":")[2].partition(":")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None


def finished(session: Session, letter: Letter) -> str | None:
    """What the handlers made of a press: `work`, `refused` …; None as long as they have not looked at it."""
    row = inbox.find(session, NAME, letter.chat, letter.id)
    return row.outcome if row is not None and row.finished_at is not None else None


def face(session: Session, letter: Letter) -> dict[str, Any] | None:
    """The template card to show now in place of the one that was pressed; None for a card that is none of ours, or of
    another chat."""
    action = letter.incoming.action if letter.incoming else None
    found = _sent_as(session, letter, ticket_of(action or ""))
    if found is None:
        return None
    out, key = found
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


def accepted(out: Outgoing) -> Outgoing:
    """The same card with what comes next: the title says that it was accepted, the button for it is gone."""
    if out.card is None:
        return out
    buttons = tuple(one for one in out.card.buttons if one.action.partition(":")[0] in AGREED)
    title = f"{out.card.title} · {word('card_accepted')}"
    return out.model_copy(update={"card": out.card.model_copy(update={"title": title, "buttons": buttons})})


def card_key(out: Outgoing, client_id: str) -> str:
    """What a card's task id is made of."""
    return client_id + AGAIN if out.repeat else client_id


def _sent_as(session: Session, letter: Letter, ticket: int | None) -> tuple[Outgoing, str] | None:
    """The message that the pressed card was, and its key. A task id that we have not given finds none."""
    if ticket is None:
        return None
    for row in rows_of_ticket(session, ticket):
        if row.conversation != f"{NAME}:{letter.chat}":
            continue
        out = outbox.read(row)
        for key in (row.dedup_key, row.dedup_key + AGAIN):
            if out.card is not None and cards.task_id(out, key) == letter.card:
                return out, key
    return None
