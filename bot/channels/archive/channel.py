"""The channel over the files: it watches a folder, and hands what the bot says to somebody who can speak.

Nothing listens here. What the bot says becomes another row of the outbox, under a key of its own, so that it is carried
once however often it is tried: a direct message to the group's leader, or a line of its next notice (`notice`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels import proofs
from bot.channels.api import ApiClient
from bot.channels.archive.answers import Answers
from bot.channels.archive.files import Files
from bot.channels.archive.notice import PREFIX, Notices, NotPosted
from bot.channels.archive.reader import Reader, TooLarge
from bot.channels.archive.records import NAME
from bot.channels.base import Capabilities, Channel, Proof
from bot.channels.carrying import hand_on
from bot.channels.credentials import gettoken
from bot.channels.known import Known
from bot.channels.media import NotFetched
from config.side_channels import ArchiveSettings
from models.base import Clock, utc_now
from models.database import Database
from models.message import Media, Outgoing

log = structlog.get_logger(__name__)


class Archive(Channel):
    """Reads groups; speaks through others."""

    name = NAME
    can = Capabilities(dedups=True, max_bytes=20_000, rate=50.0, push=False)

    def __init__(
        self, settings: ArchiveSettings, db: Database, clock: Clock = utc_now, *, zone: ZoneInfo,
        wake: Callable[[], None] = lambda: None, on: frozenset[str] | None = None,
    ) -> None:  # fmt: skip
        """zone: of the hour at which notices are made. wake: called when messages were kept. on: the deployment's
        channels, of which one passes on what cannot be said here; None: any."""
        self._settings = settings
        self._db = db
        self._clock = clock
        self._wake = wake
        self._reader = Reader.of(settings, db, clock)
        self._answers = Answers(Known(db, on), settings, clock)
        self._api: ApiClient | None = None
        self._notices: Notices | None = None
        corp_id, secret = settings.corp_id, settings.secret
        if settings.answers == "notice" and not settings.missing and corp_id and secret:
            self._credential = gettoken(corp_id, secret.get_secret_value())
            self._api = ApiClient(settings.api_base, self._credential, db=db, clock=clock)
            self._notices = Notices(settings, db, self._api, clock, zone)
        self._watch: asyncio.Task[None] | None = None
        self._done: dict[Path, tuple[int, int]] = {}  # size and time of files that were read to their end
        self._faulty: set[Path] = set()
        self._state = "waiting" if settings.folder is not None else ""

    @property
    def state(self) -> str:
        """`waiting` until the first look of this process, `up`, or `failing` while a file or the folder cannot be read;
        "" where no folder is watched."""
        return self._state

    async def start(self) -> None:
        """Open the client, where there are notices, and begin to watch the folder, if one is set."""
        if self._settings.missing:
            log.warning("archive.no_notices", missing=self._settings.missing)
        if self._api is not None:
            await self._api.start()
        if self._settings.folder is not None:
            self._watch = asyncio.create_task(self._watching(self._settings.folder), name=NAME)

    async def stop(self) -> None:
        """End watching. A transaction that has begun is finished; the cursor says how far it came."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None
        if self._api is not None:
            await self._api.stop()

    async def prove(self, public_url: str) -> list[Proof]:
        """Where there are notices: a token. There is no callback."""
        if self._api is None:
            return []
        return [await proofs.token(self._settings.api_base, self._credential, self._clock)]

    async def look(self, folder: Path) -> int:
        """Read what is new in the folder; returns how many messages were kept."""
        return await self._db.call(self._look, folder)

    def _look(self, folder: Path) -> int:
        """One file that cannot be read holds up no other."""
        new, faulty = 0, set()
        for path in sorted(folder.glob("*.jsonl")):
            try:
                state = path.stat()
                seen = (state.st_size, state.st_mtime_ns)
                if self._done.get(path) != seen and path.is_file():
                    new += self._reader.file(path).new
                    self._done[path] = seen
            except (OSError, TooLarge) as error:
                faulty.add(path)
                if path not in self._faulty:  # said once, not at every look
                    metrics.refused.labels(NAME, "file").inc()
                    log.error("archive.file_not_read", file=path.name, error=type(error).__name__)
        self._faulty = faulty
        return new

    async def _watching(self, folder: Path) -> None:
        while True:
            try:
                if new := await self.look(folder):
                    log.info("archive.read", messages=new)
                    self._wake()
                self._state = "failing" if self._faulty else "up"
            except Exception as error:  # the folder or the database is away: the cursor stays where it is
                self._state = "failing"
                log.warning("archive.not_read", error=type(error).__name__)
            await asyncio.sleep(self._settings.poll_seconds)

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A picture or voice that somebody has put beside the records, on our disk. Raises NotFetched."""
        if self._settings.files_folder is None:
            raise NotFetched("no folder is set")
        files = Files(self._settings.files_folder, self._settings.files_by)
        return await asyncio.to_thread(files.kept, wanted, folder)

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As a message of another channel, or as a line of a notice. Raises SendFailed."""
        if not out.chat.startswith(PREFIX):
            await self._db.run(lambda session: self._hand_on(session, out, client_id))
            return ""
        if self._notices is not None:  # None: the settings were other ones when this line was put
            with suppress(NotPosted):
                return await self._notices.send(out, client_id)
        line = out.model_copy(update={"chat": out.chat.removeprefix(PREFIX)})
        await self._db.run(lambda session: self._carry(session, line, client_id))
        return ""

    def _hand_on(self, session: Session, out: Outgoing, client_id: str) -> None:
        if self._notices is None or not self._notices.takes(session, out):
            return self._carry(session, out, client_id)
        now = self._clock()
        line = out.model_copy(update={"chat": f"{PREFIX}{out.chat}", "trigger": None})
        return hand_on(session, client_id, line, now, at=self._notices.due(now))

    def _carry(self, session: Session, out: Outgoing, client_id: str) -> None:
        carried = self._answers.carried(session, out)
        if carried is not None:
            hand_on(session, client_id, carried, self._clock())
        log.info("archive.carried", by=carried.channel if carried is not None else "nobody")
