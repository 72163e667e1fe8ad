"""The door: a message is acknowledged when it is on disk, and not before.

Group commit: what arrives within `linger` shares one transaction, so that a hundred callbacks cost one fsync.
"""

import asyncio
from collections.abc import Callable

import structlog

from bot import metrics
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import receive
from models.message import Incoming

log = structlog.get_logger(__name__)


class Busy(Exception):
    """Too many messages wait at the door; the platform is asked to come again."""


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
        self._held: list[tuple[Incoming, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def accept(self, message: Incoming) -> None:
        """Returns once the message is committed (now or earlier: a duplicate is a success).

        Raises Busy when the door is full, and whatever the database raised when the commit failed; the caller then
        must not acknowledge.
        """
        if len(self._held) >= self._waiting:
            metrics.refused.labels(message.channel, "busy").inc()
            raise Busy("too many messages are waiting to be stored")
        done = asyncio.get_running_loop().create_future()
        self._held.append((message, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        # The commit goes on when the caller is cancelled: the platform may hang up, the message is still kept.
        await asyncio.shield(done)

    async def _flush(self) -> None:
        await asyncio.sleep(self._linger)
        while self._held:
            batch, self._held = self._held, []
            messages = [message for message, _ in batch]
            try:
                new = await self._db.run(lambda session, m=messages: receive(session, m, self._clock()))  # type: ignore[misc]
            except Exception as error:
                log.error("ingest.failed", messages=len(batch), error=type(error).__name__)
                for _, done in batch:
                    if not done.cancelled():
                        done.set_exception(error)
                        done.exception()  # seen here, even if nobody awaits it any more
                continue
            metrics.received.labels("new").inc(new)
            metrics.received.labels("duplicate").inc(len(batch) - new)
            for _, done in batch:
                if not done.cancelled():
                    done.set_result(None)
            self._wake()

    async def drain(self) -> None:
        """Wait until nothing is held."""
        while self._flusher is not None and not self._flusher.done():
            await self._flusher
