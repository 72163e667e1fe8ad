"""Files that a platform keeps for a few days (pictures, voices): what is still to be fetched from it.

A queue like inbox and outbox, and no second place for what people said: a row knows whose file it is, and no words. It
is written with its message, so that a message kept is a file remembered. Once the file is on our disk, its name goes
to wherever the message has gone meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, Session, col

from models import inbox, queue
from models.message import Incoming, Media
from models.queue import QueueRow, queue_indexes
from models.ticket import Attachment, TicketMessage

FETCHED, GONE = "fetched", "gone"
_KEPT = {"id", "channel", "chat", "sender", "sent_at", "kind", "direct", "media"}


class Fetching(QueueRow, table=True):
    """The files of one message. `payload` is its `Incoming` as JSON, without what was said or where."""

    channel: str = Field(max_length=32)

    __table_args__ = queue_indexes("fetching")


def put(session: Session, messages: Sequence[Incoming], now: datetime) -> int:
    """Remember the files of these messages that are only at the platform; what is remembered is not added again."""
    rows = [
        {
            "dedup_key": message.dedup_key, "conversation": message.dedup_key[:192],
            "payload": message.model_dump_json(include=_KEPT), "visible_at": now, "attempts": 0,
            "outcome": "", "error": "", "channel": message.channel,
        }
        for message in messages
        if any(media.platform_id and not media.path for media in message.media)
    ]  # fmt: skip
    return queue.append(session, Fetching, rows)


def read(row: Fetching) -> Incoming:
    """The message in a row."""
    return Incoming.model_validate_json(row.payload)


def still_wanted(session: Session, row: Fetching) -> set[str]:
    """The platform's names of those files that the message or a ticket of its still has: it may have been taken back,
    or its sender's data deleted."""
    message = read(row)
    original = inbox.find(session, message.channel, message.chat, message.id)
    own = {media.platform_id for media in inbox.read(original).media} if original is not None else set()
    theirs = session.scalars(sa.select(col(Attachment.platform_id)).where(*_attached(message)))
    return (own | set(theirs)) & {media.platform_id for media in message.media}


def _attached(message: Incoming) -> tuple[sa.ColumnElement[bool], ...]:
    """The message's files in its tickets."""
    mine = sa.select(col(TicketMessage.ticket)).where(
        col(TicketMessage.channel) == message.channel, col(TicketMessage.chat) == message.chat,
        col(TicketMessage.message) == message.id,
    )  # fmt: skip
    return col(Attachment.ticket).in_(mine), col(Attachment.message) == message.id


def settle(
    session: Session, row: Fetching, files: Sequence[Media], *, now: datetime, whole: bool = True
) -> list[Media] | None:  # fmt: skip
    """The files are on our disk: the message says so, its ticket too. Gives those that neither has any more.

    None while a worker has the message in hand: then nothing is changed, and it is to be said again in a moment. whole:
    there are no others; else the row stays ours, and remembers which ones it need not fetch again. Raises LeaseLost.
    """
    message = read(row)
    kept = sa.select(inbox.Inbox).where(col(inbox.Inbox.dedup_key) == message.dedup_key).with_for_update()
    original = session.scalars(kept).first()
    if original is not None and original.finished_at is None and original.lease is not None:
        return None
    wanted = still_wanted(session, row)
    by_id = {media.platform_id: media for media in files}
    if original is not None:
        told = inbox.read(original)
        # What was recalled meanwhile has no files any more, and gets none.
        here = tuple(by_id.get(one.platform_id, one) for one in told.media)
        original.payload = told.model_copy(update={"media": here}).model_dump_json(exclude_defaults=True)
        session.add(original)
    for media in files:
        session.connection().execute(
            sa.update(Attachment)
            .where(*_attached(message))
            .where(col(Attachment.platform_id) == media.platform_id, col(Attachment.path) == "")
            .values(path=media.path)
        )
    session.flush()
    if whole:
        queue.finish(session, Fetching, row, now=now, outcome=FETCHED)
    else:
        rest = message.model_copy(update={"media": tuple(by_id.get(one.platform_id, one) for one in message.media)})
        queue.note(session, Fetching, row, payload=rest.model_dump_json(include=_KEPT))
    return [media for media in files if media.platform_id not in wanted]
