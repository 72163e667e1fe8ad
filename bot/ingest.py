"""The door: a message is acknowledged when it is on disk, and not before.

Group commit: what arrives within `linger` shares one transaction, so that a hundred callbacks cost one fsync.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlmodel import Session

from bot import metrics
from models import fetching, outbox, replay
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import receive
from models.message import Incoming

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Once:
    """What a message came under, kept with it: see `models.replay`. since: what is older is forgotten."""

    pair: str
    message: str
    since: datetime


Held = tuple[Incoming, asyncio.Future[None], Once | None]  # a message, and who waits for it


class Taken(Exception):
    """Another message came under this nonce before; this one is not kept."""


class Busy(Exception):
    """Too many messages wait at the door; the platform is asked to come again."""


def _refuse(batch: Sequence[Held], error: Exception) -> None:
    for _, done, _ in batch:
        if not done.done():
            done.set_exception(error)
            done.exception()  # seen here, even if nobody awaits it any more


class Ingest:
    """Collects incoming messages and commits them together."""

    def __init__(
        self,
        db: Database,
        *,
        linger: float = 0.002,
        waiting: int = 5_000,
        clock: Clock = utc_now,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """linger: seconds to collect. waiting: at most so many uncommitted. wake: called after each commit."""
        self._db = db
        self._linger = linger
        self._waiting = waiting
        self._clock = clock
        self._wake = wake
        self._held: list[Held] = []
        self._flusher: asyncio.Task[None] | None = None

    async def accept(self, message: Incoming, once: Once | None = None) -> None:
        """Returns once the message is committed (now or earlier: a duplicate is a success). once: committed with it.

        Raises Taken when the nonce belongs to another message, Busy when the door is full, and whatever the database
        raised when the commit failed; the caller then must not acknowledge.
        """
        if len(self._held) >= self._waiting:
            metrics.refused.labels(message.channel, "busy").inc()
            raise Busy("too many messages are waiting to be stored")
        done = asyncio.get_running_loop().create_future()
        self._held.append((message, done, once))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        # The platform may hang up, which cancels us: the flusher is a task of its own, and the message is still kept.
        await done

    async def _flush(self) -> None:
        await asyncio.sleep(self._linger)
        while self._held:
            batch, self._held = self._held, []
            try:
                await self._keep(batch)
            except Exception as error:
                log.error("ingest.failed", messages=len(batch), error=type(error).__name__)
                if len(batch) == 1 or isinstance(error, sa.exc.OperationalError):  # the database is away for all
                    _refuse(batch, error)
                    continue
                # One letter spoils the commit: each on its own, so that only that one is refused.
                for one in batch:
                    await self._alone(one)

    async def _keep(self, batch: Sequence[Held]) -> None:
        right, new = await self._db.run(lambda session: self._write(session, batch))
        metrics.received.labels("new").inc(new)
        metrics.received.labels("duplicate").inc(sum(right) - new)
        _refuse([held for held, good in zip(batch, right, strict=True) if not good], Taken("another message's nonce"))
        for (_, done, _), good in zip(batch, right, strict=True):
            if good and not done.done():
                done.set_result(None)
        self._wake()

    def _write(self, session: Session, batch: Sequence[Held]) -> tuple[list[bool], int]:
        """Which of the messages are kept, and how many of those are new."""
        now = self._clock()
        pairs: dict[str, str] = {}
        for _, _, once in batch:
            if once is not None:
                pairs.setdefault(once.pair, once.message)
        if pairs:
            since = min(once.since for _, _, once in batch if once is not None)
            pairs |= replay.remember(session, pairs, since=since, now=now)
        right = [once is None or pairs[once.pair] == once.message for _, _, once in batch]
        messages = [message for (message, _, _), good in zip(batch, right, strict=True) if good]
        fetching.put(session, messages, now)
        new = receive(session, messages, now)
        if new:
            outbox.hurry(session, {message.conversation for message in messages}, now)
        return right, new

    async def _alone(self, one: Held) -> None:
        try:
            await self._keep([one])
        except Exception as error:
            message = one[0]
            log.error("ingest.refused", channel=message.channel, message=message.id, error=type(error).__name__)
            _refuse([one], error)

    async def drain(self) -> None:
        """Wait until nothing is held."""
        while self._flusher is not None and not self._flusher.done():
            await self._flusher
