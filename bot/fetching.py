"""Fetches the files that people sent from their platform, before it forgets them: pictures, voices, videos.

A message is handled at once, without its file. As soon as that is on our disk, the message and its ticket say where,
and `linsheng look` may read or hear it. A voice whose file never comes is asked to be typed.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot.channels.media import NotFetched
from bot.leftovers import remove
from bot.worker import wait_any
from handlers.desk import Desk
from handlers.town import load
from handlers.voices import ask_to_type
from handlers.workdays import WorkCalendar
from models import fetching, inbox, outbox, queue
from models.base import Clock, utc_now
from models.chat import ChatKind
from models.database import Database
from models.fetching import GONE, Fetching
from models.files import hold
from models.message import Kind, Media
from models.queue import LeaseLost

log = structlog.get_logger(__name__)
LEASE = timedelta(minutes=2)
POLL = 1.0  # seconds
BATCH = 8
PAUSES = (5.0, 30.0, 120.0, 600.0, 3600.0)  # seconds before the second, third, … try; where more are worth it, the last
IN_HAND = 0.2  # seconds, while a worker has the message
LOOKS = 20


@runtime_checkable
class Fetches(Protocol):
    """A channel whose platform keeps files."""

    name: str

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """The file in `folder`, with its `path`, `mime` and name. Raises NotFetched."""
        ...


class Fetcher:
    """Fetches what is still to be fetched. Any number may run on one database."""

    def __init__(
        self, db: Database, channels: Mapping[str, Fetches], folder: Path, calendar: WorkCalendar, *,
        clock: Clock = utc_now, hears: bool = False,
    ) -> None:  # fmt: skip
        """channels: by name. folder: the data folder's media/. hears: voices were not asked to be typed at once."""
        self._db = db
        self._channels = channels
        self._folder = folder
        self._calendar = calendar
        self._clock = clock
        self._hears = hears

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what has begun is finished."""
        while not stop.is_set():
            try:
                taken = await self.step()
            except Exception as error:  # the database is away: nothing is lost, the rows wait
                log.exception("fetch.step_failed", error=type(error).__name__)
                taken = 0
            if not taken and not stop.is_set():
                await wait_any(POLL, stop)

    async def step(self) -> int:
        """The files of a few messages. Returns of how many."""
        rows = await self._db.run(
            lambda session: queue.claim(session, Fetching, now=self._clock(), lease=LEASE, limit=BATCH, only=self._ours)
        )
        await asyncio.gather(*(self._one(row) for row in rows))
        return len(rows)

    def _ours(self, table: type[Fetching]) -> sa.ColumnElement[bool]:
        return col(table.channel).in_(sorted(self._channels))

    async def _one(self, row: Fetching) -> None:
        """Never raises: whatever happens to one file is a result of that file."""
        try:
            await self._fetched(row)
        except NotFetched as error:
            await self._not_fetched(row, str(error), again=error.again, more=error.hours)
        except LeaseLost:
            log.warning("fetch.lease_lost", fetching=row.id)
        except Exception as error:  # its words may hold an address
            log.exception("fetch.failed", fetching=row.id, channel=row.channel, error=type(error).__name__)
            await self._not_fetched(row, type(error).__name__, again=True)

    async def _fetched(self, row: Fetching) -> None:
        kept = await self._db.run(lambda session: fetching.still_wanted(session, row))
        if not kept:
            raise NotFetched("the message is not kept")
        channel = self._channels[row.channel]
        wanted = [media for media in fetching.read(row).media if media.platform_id in kept and not media.path]
        files, failures = await self._each(channel, row, wanted)
        if files or not failures:
            await self._settled(row, files, whole=not failures)
        if failures:  # the row waits for these only
            raise next((error for error in failures if error.again), failures[0])

    async def _each(
        self, channel: Fetches, row: Fetching, wanted: Sequence[Media]
    ) -> tuple[list[Media], list[NotFetched]]:  # fmt: skip
        """Those that came, and why the others did not: one picture that is gone does not take the others with it."""
        files: list[Media] = []
        failures: list[NotFetched] = []
        for media in wanted:
            try:
                found = await channel.fetch(media, self._folder)
                files.append(found.model_copy(update={"platform_id": media.platform_id}))
            except NotFetched as error:
                failures.append(error)
            except Exception as error:  # its words may hold an address
                log.exception("fetch.failed", fetching=row.id, channel=row.channel, error=type(error).__name__)
                failures.append(NotFetched(type(error).__name__, again=True))
        return files, failures

    async def _settled(self, row: Fetching, files: Sequence[Media], *, whole: bool) -> None:
        """Said to the message. Raises LeaseLost, and NotFetched while a worker has it in hand."""
        try:
            for _ in range(LOOKS):
                if await self._db.run(partial(self._put, row=row, files=files, whole=whole)):
                    log.info("fetch.done", fetching=row.id, channel=row.channel, files=len(files), whole=whole)
                    return
                await asyncio.sleep(IN_HAND)
        except LeaseLost:  # her data were deleted, and the row with them; or another process has it, and keeps the same
            await self._db.run(partial(remove, folder=self._folder, paths=[media.path for media in files]))
            raise
        raise NotFetched("a worker has the message in hand", again=True)

    def _put(self, session: Session, row: Fetching, files: Sequence[Media], *, whole: bool) -> bool:
        """In one transaction: the rows name the files, and what no row wants any more leaves the disk. False while a
        worker has the message."""
        left = fetching.settle(session, row, files, now=self._clock(), whole=whole)
        if left is None:
            return False
        hold(session, [media.path for media in files])
        if not all((self._folder / media.path).is_file() for media in files):
            raise NotFetched("somebody else had the same file removed", again=True)
        remove(session, self._folder, [media.path for media in left])
        return True

    async def _not_fetched(self, row: Fetching, reason: str, *, again: bool, more: int = 0) -> None:
        """more: tries beyond the usual ones."""
        final = not again or row.attempts > len(PAUSES) + more
        log.warning("fetch.not_done", fetching=row.id, channel=row.channel, final=final, reason=reason)
        try:
            await self._db.run(lambda session: self._later(session, row, reason, final=final))
        except LeaseLost:
            log.warning("fetch.lease_lost", fetching=row.id)

    def _later(self, session: Session, row: Fetching, reason: str, *, final: bool) -> None:
        now = self._clock()
        if not final:
            at = now + timedelta(seconds=PAUSES[min(row.attempts, len(PAUSES)) - 1])
            queue.retry(session, Fetching, row, at=at, error=reason)
            return
        queue.bury(session, Fetching, row, now=now, outcome=GONE, error=reason)
        message = fetching.read(row)
        told = inbox.find(session, message.channel, message.chat, message.id)
        if self._hears and message.kind == Kind.VOICE and told is not None and not inbox.read(told).text:
            town = load(session)
            desk = Desk(session, town, now, self._calendar, f"fetch:{row.id}")
            direct = message.direct or town.kind(message.channel, message.chat) == ChatKind.DIRECT
            ask_to_type(desk, message, direct=direct)
            outbox.put(session, desk.take(), now)


def that_fetch(channels: Collection[object]) -> dict[str, Fetches]:
    """Those of the channels whose platforms keep files."""
    return {channel.name: channel for channel in channels if isinstance(channel, Fetches)}
