"""What the sender writes on an outbox row beside the queue's own columns: that it leaves, and how that went."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from models import queue
from models.outbox import DEAD, SENT, TOLD, WAITS, Outbox
from models.queue import LeaseLost


def leaving(session: Session, row: Outbox, *, now: datetime, lease: timedelta) -> None:
    """Note that the request leaves now, and let the lease begin anew. Raises LeaseLost.

    Committed by itself before the request: a row claimed again with `sending_at` and no outcome may have arrived.
    """
    statement = sa.update(Outbox).where(
        Outbox.id == row.id,  # type: ignore[arg-type]
        Outbox.lease == row.lease,  # type: ignore[arg-type]
        Outbox.finished_at.is_(None),  # type: ignore[union-attr]
    )
    done = session.connection().execute(statement.values(sending_at=now, visible_at=now + lease))
    if done.rowcount != 1:
        raise LeaseLost(f"Outbox {row.id}")


def sent(session: Session, row: Outbox, *, now: datetime, platform_id: str) -> None:
    """It arrived. platform_id: what the platform calls it, or "". Raises LeaseLost."""
    queue.finish(session, Outbox, row, now=now, outcome=SENT)
    _set(session, row, platform_id=platform_id[:128])


def leave_to_another(session: Session, row: Outbox, *, now: datetime) -> bool:
    """Another row says it; this one is done. False when one of its own channel's ways has taken it meanwhile: it is
    said then, keeps that way's mark, and nobody is to say it again. Raises LeaseLost."""
    queue.finish(session, Outbox, row, now=now, outcome=SENT)  # holds the row: no way can take it any more
    mark: str = session.scalars(sa.select(col(Outbox.platform_id)).where(col(Outbox.id) == row.id)).one()
    return not mark


def again(
    session: Session, row: Outbox, *, at: datetime, error: str, perhaps: bool, outcome: str = "", tried: bool = True,
    parts: int = 0, notice: str | None = None,
) -> None:  # fmt: skip
    """Try again from `at` on, or, where it WAITS, as soon as somebody speaks there. outcome: what an unfinished row may
    say. perhaps: it may have arrived already, so the next try must know. tried: False where nothing was tried, and
    nothing counts. parts: that have left. notice: what the platform calls the one that stands for it from now on.
    Raises LeaseLost."""
    queue.retry(session, Outbox, row, at=at, error=error)
    values = {"outcome": outcome, "attempts": row.attempts if tried else row.attempts - 1}
    told = {} if notice is None else {"notice": TOLD, "platform_id": notice[:128]}
    _set(session, row, **values, **told, **_doubt(perhaps), parts=parts)


def hand_back(session: Session, row: Outbox, *, now: datetime) -> None:
    """It was taken and not tried: free at once, and the try is not counted. Raises LeaseLost."""
    queue.retry(session, Outbox, row, at=now, error=row.error)
    _set(session, row, attempts=row.attempts - 1)


def give_up(
    session: Session, row: Outbox, *, now: datetime, outcome: str = DEAD, error: str, parts: int = 0
) -> None:  # fmt: skip
    """No more tries. parts: that have left. Raises LeaseLost."""
    queue.bury(session, Outbox, row, now=now, outcome=outcome, error=error)
    _set(session, row, parts=parts)


def wait_on(session: Session, row: Outbox, *, at: datetime, perhaps: bool) -> None:
    """Given up a moment ago, in this transaction, and nobody else can be told: it waits until `at`; see `again`."""
    _set(session, row, finished_at=None, visible_at=at, outcome=WAITS, **_doubt(perhaps))


def _doubt(perhaps: bool) -> dict[str, Any]:
    """The mark of a request that left stays where it may have arrived."""
    return {} if perhaps else {"sending_at": None}


def _set(session: Session, row: Outbox, **values: Any) -> None:
    # The queue's own statement just before this one was fenced by the lease, in the same transaction.
    session.connection().execute(sa.update(Outbox).where(Outbox.id == row.id).values(**values))  # type: ignore[arg-type]
