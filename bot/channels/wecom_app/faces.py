"""What a card that was sent says now: how it was made, and what has become of its ticket."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels import cards
from bot.channels.pressed import AGAIN, ENDS, accepted, card_key, sent_as
from bot.channels.wecom_app.codes import Codes
from bot.channels.wecom_app.letters import CHOSEN, NAME, Letter
from config.wecom_app import WecomAppSettings
from handlers.texts import say, word
from models import appcard, outbox
from models.appcard import AppCard
from models.message import Button, Card, Outgoing
from models.outbox import Outbox
from models.ticket import Status, Ticket, TicketEvent

QUESTION = "do"  # the question_key of a vote
ANSWERED = timedelta(seconds=5)  # that the platform waits for the answer to a press
AND_NOW = ">accepted"  # ends the key of the card that follows an accepted vote
LIVE, ACCEPTED, PASSED_ON = "", "card_accepted", "card_passed_on"


@dataclass(frozen=True)
class Change:
    """What to show instead. card: another face; None: the buttons turn grey and say `words`."""

    words: str
    card: dict[str, Any] | None = None


def made(out: Outgoing, key: str, settings: WecomAppSettings) -> dict[str, Any] | None:
    """The template card of a message; None where it goes as text. Raises cards.BadCard.

    A doubtful matter is a vote (投票选择型): judged by a choice and 提交, so that no slip of the thumb dismisses it.
    A vote has room for little: where not all fits that she judges by, she has buttons, and every fact.
    News with nothing to press is a notice (文本通知型) where its words fit: they are what is new, and are not cut.
    """
    ours = out.card
    if ours is None:
        return None
    if settings.votes and any(_dismisses(one) for one in ours.buttons):
        with suppress(cards.BadCard):
            return _vote(out, key, ours)
    if ours.buttons:
        return cards.card(out, key)
    notice = cards.card(out, key) if len(out.text) <= cards.SUB_TITLE else None
    # It needs no task id; without one, the same words half an hour later would be the same card, and dropped.
    return notice and notice | {"task_id": cards.task_id(out, key)}


def _vote(out: Outgoing, key: str, ours: Card) -> dict[str, Any]:
    facts = dict(ours.facts)
    due = facts.get(word("fact_due"))
    return cards.vote(
        out, key, title=f"{ours.title} {facts.get(word('fact_place'), '')}", desc=ours.words or out.text,
        source=say("vote_due", due=due) if due else "", question=QUESTION,
        options=[(one.action, one.text) for one in ours.buttons], submit=(f"{CHOSEN}:{out.ticket}", word("submit")),
    )  # fmt: skip


def label_of(session: Session, ticket: Ticket, row: AppCard) -> str:
    """What a card says of its ticket now, whose worker was `row.worker` when it was last looked at.

    Staff who were told of an urgent matter keep their buttons until somebody has accepted it; who was told of a matter
    although it was accepted (督办 of what is overdue) keeps them.
    """
    person = row.person
    if (end := ENDS.get(ticket.status)) is not None:
        return end
    hers = ticket.worker == person
    if not hers and (row.worker == person or (ticket.status == Status.ACCEPTED and _accepted_since(session, row))):
        return PASSED_ON
    return ACCEPTED if hers and ticket.status == Status.ACCEPTED else LIVE


def _accepted_since(session: Session, row: AppCard) -> bool:
    """After it was decided that this card is sent."""
    key = row.key.removesuffix(AGAIN)
    put = session.scalars(sa.select(col(Outbox.created_at)).where(col(Outbox.dedup_key) == key)).first()
    accepted = sa.select(sa.func.max(col(TicketEvent.at))).where(
        col(TicketEvent.ticket) == row.ticket, col(TicketEvent.what) == Status.ACCEPTED.value
    )
    at = session.scalar(accepted)
    return put is None or at is None or at >= put


def change(out: Outgoing, key: str, label: str, settings: WecomAppSettings) -> Change | None:
    """How a card comes to say `label`; None where it says so already by being as it was sent."""
    if label == LIVE or (label == ACCEPTED and accepted(out) == out):
        return None
    first = made(out, key, settings)
    if label != ACCEPTED or first is None or first["card_type"] != "button_interaction":
        return Change(word(label))
    return Change(word(label), cards.card(accepted(out), key))


def go_on(
    session: Session, out: Outgoing, key: str, label: str, settings: WecomAppSettings, now: datetime
) -> None:  # fmt: skip
    """Where an accepted card is a vote: send the one by which the matter is brought to its end, once. No page says that
    a card may become another kind, so the vote turns grey, and what comes next has a card of its own."""
    first = made(out, key, settings) if label == ACCEPTED else None
    if first is None or first["card_type"] != "vote_interaction":
        return
    following = accepted(out)
    if following.card is not None:
        buttons = tuple(one for one in following.card.buttons if not _dismisses(one))
        told = {"card": following.card.model_copy(update={"buttons": buttons}), "text": following.card.title}
        outbox.put(session, [(key.removesuffix(AGAIN) + AND_NOW, following.model_copy(update=told))], now)


def _dismisses(button: Button) -> bool:
    return button.action.startswith("dismiss:")


def remember(
    session: Session, out: Outgoing, client_id: str, answer: dict[str, Any], codes: Codes, *, now: datetime,
    until: datetime,
) -> None:  # fmt: skip
    """Note a card that has just been sent. answer: the platform's. until: of its code."""
    key = card_key(out, client_id)
    message = str(answer.get("msgid") or "")[:128]
    if (row := appcard.of_key(session, key)) is not None:  # she was faster than this note
        row.message = row.message or message
        session.add(row)
    elif (ticket := session.get(Ticket, out.ticket)) is not None:
        row = _row(out, key, now)
        # No status: the ticket may have moved while the card was on its way, so it is compared in any case.
        row.message, row.worker = message, ticket.worker or ""
        if code := str(answer.get("response_code") or ""):
            row.code, row.code_until = codes.seal(code), until
        session.add(row)


def _row(out: Outgoing, key: str, now: datetime) -> AppCard:
    return AppCard(
        key=key, ticket=out.ticket or 0, person=out.to_person or "", user=out.chat, task=cards.task_id(out, key),
        status="", look_at=now, sent_at=now,
    )  # fmt: skip


def note_press(
    session: Session, letter: Letter, ticket: int, codes: Codes, *, now: datetime, until: datetime
) -> None:  # fmt: skip
    """Note a press's code, before anything is decided: however late that is, her card can then be changed. Nobody else
    changes it as long as the platform waits for our answer. until: of the code."""
    if letter.click is None or (found := sent_as(session, NAME, letter.user, ticket, letter.click.task)) is None:
        return
    if session.get(Ticket, ticket) is None:
        return
    row = appcard.find(session, letter.user, letter.click.task) or _row(*found, now)
    row.look_at = now + ANSWERED  # ends the lease of whoever is just changing it, and knows less
    if letter.click.response_code:
        row.code, row.code_until = codes.seal(letter.click.response_code), until
    session.add(row)


def pressed(
    session: Session, letter: Letter, ticket: int, settings: WecomAppSettings, now: datetime
) -> Change | None:  # fmt: skip
    """The clicker's card after her press was noted and decided on. None for a card that we never sent her."""
    if letter.click is None:
        return None
    found = sent_as(session, NAME, letter.user, ticket, letter.click.task)
    about = session.get(Ticket, ticket, populate_existing=True)
    row = appcard.find(session, letter.user, letter.click.task)
    if found is None or about is None or row is None:
        return None
    out, key = found
    row.label = label_of(session, about, row) or row.label
    row.status, row.worker, row.look_at = about.status.value, about.worker or "", now
    session.add(row)
    session.flush()
    go_on(session, out, key, row.label, settings, now)
    return change(out, key, row.label, settings)
