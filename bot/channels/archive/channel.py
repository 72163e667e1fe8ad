"""The channel over the files: it watches a folder, and hands what the bot says to a channel that can speak.

Nothing is called and nothing listens here. What the bot says becomes a row of the carrier's in the outbox, under a key
of its own, so that it is carried once however often it is tried.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlmodel import Session

from bot.channels.archive.answers import Answers
from bot.channels.archive.reader import Reader
from bot.channels.archive.records import NAME
from bot.channels.base import Capabilities, Channel
from bot.channels.known import Known
from config.side_channels import ArchiveSettings
from models import outbox
from models.base import Clock, utc_now
from models.database import Database
from models.message import Outgoing

log = structlog.get_logger(__name__)


class Archive(Channel):
    """Reads groups; speaks through others."""

    name = NAME
    can = Capabilities(dedups=True, max_bytes=20_000, rate=50.0)

    def __init__(
        self, settings: ArchiveSettings, db: Database, clock: Clock = utc_now, *,
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """wake: called when messages were kept."""
        self._settings = settings
        self._db = db
        self._clock = clock
        self._wake = wake
        self._reader = Reader(db, clock, batch=settings.batch, days=settings.days)
        self._answers = Answers(Known(db), settings, clock)
        self._watch: asyncio.Task[None] | None = None
        self._done: dict[Path, tuple[int, int]] = {}  # size and time of files that were read to their end

    async def start(self) -> None:
        """Begin to watch the folder, if one is set."""
        if self._settings.missing:
            log.warning("archive.no_carrier", missing=self._settings.missing)
        if self._settings.folder is not None:
            self._watch = asyncio.create_task(self._watching(self._settings.folder), name=NAME)

    async def stop(self) -> None:
        """End watching. A transaction that has begun is finished; the cursor says how far it came."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None

    async def look(self, folder: Path) -> int:
        """Read what is new in the folder; returns how many messages were kept."""
        return await self._db.call(self._look, folder)

    def _look(self, folder: Path) -> int:
        new = 0
        for path in sorted(folder.glob("*.jsonl")):
            state = path.stat()
            seen = (state.st_size, state.st_mtime_ns)
            if self._done.get(path) != seen and path.is_file():
                new += self._reader.file(path).new
                self._done[path] = seen
        return new

    async def _watching(self, folder: Path) -> None:
        while True:
            try:
                if new := await self.look(folder):
                    log.info("archive.read", messages=new)
                    self._wake()
            except Exception as error:  # the folder or the database is away: the cursor stays where it is
                log.warning("archive.not_read", error=type(error).__name__)
            await asyncio.sleep(self._settings.poll_seconds)

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As a message of another channel; see `bot.channels.archive.answers`. Raises SendFailed."""

        def work(session: Session) -> str:
            carried = self._answers.carried(session, out)
            if carried is not None:
                outbox.put(session, [(f"{client_id}>carried", carried)], self._clock())
            return carried.channel if carried is not None else ""

        by = await self._db.run(work)
        log.info("archive.carried", by=by or "nobody")
        return ""
