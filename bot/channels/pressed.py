"""A pressed card, whichever channel sent it: what it was, what the handlers made of the press, what it may say now.

Whether the one who pressed may do it is the handlers' question (`handlers.duty.pressed`); here is only waited for them,
and shown what came of it.
"""

import asyncio
from contextlib import suppress

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlmodel import Session, col

from bot.channels import cards
from bot.wakeup import Bell
from handlers.texts import word
from models import inbox, outbox
from models.database import Database
from models.message import Outgoing
from models.outbox import Outbox
from models.ticket import Status

log = structlog.get_logger(__name__)
clicks = Counter("linsheng_card_clicks_total", "Pressed cards by what became of them", ["channel", "outcome"])

SECONDS = 3.5  # of the platform's five, for the handlers to decide about a press
POLL = 0.25  # seconds between two looks where no bell rings: the worker is another process
LATE = "late"
AGAIN = "#again"  # of a card that is sent once more: the platform takes no task id twice
MANY = 50  # messages about one ticket that are looked through for the card
AGREED = ("transfer", "done", "dismiss")  # what may still be done once a ticket is accepted
ENDS = {
    Status.RESOLVED: "card_resolved",
    Status.CLOSED: "card_resolved",
    Status.WITHDRAWN: "card_withdrawn",
    Status.DISMISSED: "card_dismissed",
    Status.MERGED: "card_merged",
}


class Presses:
    """Waits for what the handlers make of presses that are stored."""

    def __init__(self, channel: str, db: Database, bell: Bell | None = None) -> None:
        """bell: rings when a worker of this process has handled something."""
        self._channel = channel
        self._db = db
        self._bell = bell or Bell()

    async def outcome(self, chat: str, message: str) -> str:
        """`work`, `refused` …; `late` when they have not decided in the time that the platform leaves us. message: the
        platform's id."""
        now = asyncio.get_running_loop().time
        until = now() + SECONDS
        outcome = None
        while outcome is None and now() < until:
            rung = self._bell.turn  # before the look: what is decided after it rings this one
            outcome = await self._db.run(lambda session: self._finished(session, chat, message))
            if outcome is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(POLL, max(0.0, until - now()))):
                        await rung.wait()
        if outcome is None:
            log.warning("card.late", channel=self._channel, message=message)
        clicks.labels(self._channel, outcome or LATE).inc()
        return outcome or LATE

    def _finished(self, session: Session, chat: str, message: str) -> str | None:
        row = inbox.find(session, self._channel, chat, message)
        return row.outcome if row is not None and row.finished_at is not None else None


def ticket_of(action: str) -> int | None:
    """The ticket's number in a card's key: `accept:42`, `done:42:换了灯`."""
    number = action.partition(":")[2].partition(":")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None


def sent_as(session: Session, channel: str, chat: str, ticket: int, task: str) -> tuple[Outgoing, str] | None:
    """The message that a card was, and the key its task id is made of. None for one that we never sent into this chat:
    whoever got hold of its key learns nothing."""
    rows = sa.select(Outbox).where(
        col(Outbox.ticket) == ticket, col(Outbox.channel) == channel, col(Outbox.conversation) == f"{channel}:{chat}"
    )
    for row in session.scalars(rows.order_by(sa.desc(col(Outbox.id))).limit(MANY)):
        out = outbox.read(row)
        for key in (row.dedup_key, row.dedup_key + AGAIN):
            if out.card is not None and cards.task_id(out, key) == task:
                return out, key
    return None


def card_key(out: Outgoing, client_id: str) -> str:
    """What a card's task id is made of."""
    return client_id + AGAIN if out.repeat else client_id


def accepted(out: Outgoing) -> Outgoing:
    """The same card with what comes next: the title says that it was accepted, the button for it is gone. A card that
    was sent so stays as it is."""
    if out.card is None or not any(one.action.startswith("accept:") for one in out.card.buttons):
        return out
    buttons = tuple(one for one in out.card.buttons if one.action.partition(":")[0] in AGREED)
    title = f"{out.card.title} · {word('card_accepted')}"
    return out.model_copy(update={"card": out.card.model_copy(update={"title": title, "buttons": buttons})})
