"""Every message that goes out. Written in the transaction that decided it; sent by the sender, effectively once."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, Session, col

from models import queue
from models.base import BigId
from models.message import Outgoing, Purpose
from models.queue import QueueRow, queue_indexes

# How a row can end. `uncertain`: the request left and no answer came; a reply is then not repeated.
SENT, DEAD, UNCERTAIN = "sent", "dead", "uncertain"
# What an unfinished row may say. `waits`: for a word of whoever it is for; what is behind it does not wait for it.
# `lost`: it left, and its platform says that it did not arrive; the sender gives it up. `halted`: its platform takes
# nothing of our account's; what is behind it would not be taken, either.
WAITS, LOST, HALTED = "waits", "lost", "halted"
# What a row's `notice` may say: a short notice stands for the words until they can be said; that did not arrive either.
TOLD, UNTOLD = "told", "untold"

# The lanes of a chat: what is urgent does not stand behind what only happened to be put before it.
URGENT, ORDINARY = 0, 1

# In a resident's words a quotation mark has a backslash before it: nobody writes herself an alert.
ALERT = f'"purpose":"{Purpose.ALERT.value}"'

CARRIED = ">carried"  # ends the key of a message that was handed on to another channel, once for each time


class Outbox(QueueRow, table=True):
    """One outgoing message. `payload` is an `Outgoing` as JSON; `dedup_key` is the stable client id given to the
    platform. `sending_at` is committed just before a request leaves on a channel that cannot tell a repeat. `parts`: so
    many of a long message have left; whoever tries next goes on behind them. `lane`: see `put`."""

    channel: str = Field(max_length=32)
    ticket: int | None = Field(default=None, index=True, sa_type=BigId)
    created_at: datetime
    sending_at: datetime | None = None
    platform_id: str = Field(default="", max_length=128)
    parts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    notice: str = Field(default="", max_length=8, sa_column_kwargs={"server_default": ""})
    lane: int = Field(default=ORDINARY, sa_type=sa.SmallInteger, sa_column_kwargs={"server_default": "1"})

    __table_args__ = (*queue_indexes("outbox", "lane"), sa.Index("ix_outbox_platform", "conversation", "platform_id"))


def put(
    session: Session, messages: Iterable[tuple[str, Outgoing]], now: datetime, *, at: datetime | None = None
) -> int:  # fmt: skip
    """Add messages, each with its stable key; one whose key is there already is not added again. at: not before.

    An urgent one leaves before all that waits in its chat, but for what belongs together: the ticket's own messages
    come with it, in their order, and so do, where a reply is among them, the replies before that one.
    """
    rows = [_row(key, message, now, at or now) for key, message in messages]
    added = queue.append(session, Outbox, rows)
    for row in rows:
        if row["lane"] == URGENT and row["ticket"] is not None:
            _bring_along(session, str(row["conversation"]), int(str(row["ticket"])))
    return added


def _bring_along(session: Session, conversation: str, ticket: int) -> None:
    waiting = (
        sa.select(col(Outbox.id), col(Outbox.ticket), col(Outbox.payload).contains(ALERT, autoescape=True))
        .where(
            col(Outbox.conversation) == conversation, col(Outbox.finished_at).is_(None), col(Outbox.lane) > URGENT,
        )
        .order_by(sa.desc(col(Outbox.id)))
        # One that is claimed or settled at this moment is left where it is: two hands must not wait for each other.
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    tickets, replies, along = {ticket}, False, []
    for number, about, alert in session.execute(waiting):  # newest first: what it draws with it stands behind
        if about in tickets or (replies and not alert):
            along.append(number)
            replies = replies or not alert
            tickets |= {about} - {None}
    if along:
        session.connection().execute(sa.update(Outbox).where(col(Outbox.id).in_(along)).values(lane=URGENT))


def _row(key: str, message: Outgoing, now: datetime, at: datetime) -> dict[str, object]:
    return {
        "dedup_key": key,
        "conversation": message.conversation,
        "payload": message.model_dump_json(exclude_defaults=True),
        "visible_at": at,
        "attempts": 0,
        "outcome": "",
        "error": "",
        "channel": message.channel,
        "ticket": message.ticket,
        "created_at": now,
        "platform_id": "",
        "lane": URGENT if message.urgent else ORDINARY,
    }


def read(row: Outbox) -> Outgoing:
    """The message in a row."""
    return Outgoing.model_validate_json(row.payload)


def leaves_before(earlier: type[Outbox], one: type[Outbox], now: datetime) -> sa.ColumnElement[bool]:
    """By lane, and then as they were put; but nothing waits for what waits for a word. Not while that is tried, or due:
    then they leave in their order."""
    ordered = sa.tuple_(col(earlier.lane), col(earlier.id)) < sa.tuple_(col(one.lane), col(one.id))
    aside = sa.and_(col(earlier.outcome) == WAITS, col(earlier.lease).is_(None), col(earlier.visible_at) > now)
    return sa.and_(ordered, ~aside)


def interrupts_nothing(table: type[Outbox], now: datetime) -> sa.ColumnElement[bool]:
    """What is urgent waits until that has left which is leaving: it may be one of several parts."""
    leaving = sa.orm.aliased(Outbox, name="leaving")
    busy = sa.exists().where(
        col(leaving.conversation) == col(table.conversation), col(leaving.finished_at).is_(None),
        col(leaving.lease).is_not(None), col(leaving.visible_at) > now,
    )  # fmt: skip
    return sa.or_(col(table.lane) > URGENT, ~busy)


def hurry(session: Session, conversations: Collection[str], now: datetime) -> int:
    """Somebody spoke there: what waited for that is due now, in its order and with all its tries. How many."""
    waiting = sa.update(Outbox).where(
        col(Outbox.conversation).in_(conversations), col(Outbox.finished_at).is_(None), col(Outbox.outcome) == WAITS,
        col(Outbox.lease).is_(None),
        col(Outbox.lane) >= URGENT,  # without it SQLite looks at all that was ever sent there
    )  # fmt: skip
    return session.connection().execute(waiting.values(visible_at=now, attempts=0, outcome="")).rowcount


def lost(session: Session, row_id: int, error: str, now: datetime) -> bool:
    """The platform says that a message it took did not arrive: back into the queue, for the sender to give up. False
    where that is known already.

    One that is under way is fenced: whatever its sender finds, the platform knows better.
    """
    statement = sa.update(Outbox).where(
        col(Outbox.id) == row_id, sa.or_(col(Outbox.outcome) == SENT, col(Outbox.finished_at).is_(None)),
        col(Outbox.outcome) != LOST,
    )  # fmt: skip
    back = {
        "finished_at": None, "visible_at": now, "attempts": 0, "outcome": LOST, "error": error, "lease": None,
        "parts": 0,
    }  # fmt: skip
    return session.connection().execute(statement.values(**back)).rowcount == 1


def untold(session: Session, row_id: int, error: str, now: datetime) -> None:
    """The platform says that a notice it took did not arrive: the words, which it stood for or was all of, wait for a
    word of hers. Told again, it changes nothing."""
    row = sa.update(Outbox).where(col(Outbox.id) == row_id)
    ended = row.where(col(Outbox.outcome) == SENT, col(Outbox.notice) != UNTOLD)
    # Due at once: the sender knows whether she has written meanwhile.
    back = {"finished_at": None, "visible_at": now, "attempts": 0, "outcome": "", "sending_at": None, "lease": None}
    session.connection().execute(ended.values(**back))
    session.connection().execute(row.values(notice=UNTOLD, error=error))


def failed(session: Session, outcomes: Sequence[str], limit: int) -> Sequence[Outbox]:
    """Rows that ended in one of `outcomes`, newest first."""
    statement = sa.select(Outbox).where(col(Outbox.outcome).in_(outcomes))
    return session.scalars(statement.order_by(sa.desc(col(Outbox.id))).limit(limit)).all()


def revive(session: Session, row_id: int, now: datetime) -> bool:
    """Put a dead or uncertain row back in the queue, on an operator's word. False when there is no such row."""
    statement = (
        sa.update(Outbox)
        .where(col(Outbox.id) == row_id, col(Outbox.outcome).in_([DEAD, UNCERTAIN]))
        .values(
            finished_at=None, visible_at=now, attempts=0, outcome="", error="", sending_at=None, lease=None, notice=""
        )
    )
    return session.connection().execute(statement).rowcount == 1
