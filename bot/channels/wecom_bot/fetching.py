"""Pictures and files of messages that are in the inbox already: fetched while their addresses live, and put in place.

A message is stored before its files are fetched: the address lives five minutes, a crash in between loses nothing, and
what was not fetched is looked for again at the next start. Platform pages 101039, 101463.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.channels import media
from bot.channels.wecom_bot.letters import NAME
from models import inbox
from models.base import Clock
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Media
from models.ticket import Attachment

log = structlog.get_logger(__name__)
LIFE = timedelta(minutes=5)
PAUSES = (1.0, 5.0, 20.0)  # seconds before another try
WATCH = 60  # looks at a message whose handling goes on while its file is put in place
AT_ONCE = 4


class Fetching:
    """Fetches beside the callbacks, a few at once."""

    def __init__(
        self, db: Database, folder: Path, clock: Clock, *, hosts: Sequence[str] = media.HOSTS, aes_key: str = "",
        pauses: Sequence[float] = PAUSES, watch: float = 1.0,
    ) -> None:  # fmt: skip
        """folder: the data folder's media/. aes_key: for files that bring no key of their own (webhook). watch: seconds
        between two looks."""
        self._db = db
        self._folder = folder
        self._clock = clock
        self._hosts = tuple(hosts)
        self._aes_key = aes_key
        self._pauses = tuple(pauses)
        self._watch = watch
        self._few = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, incoming: Incoming) -> None:
        """Fetch the files of a message that has just been stored; returns at once."""
        if any(f"url{i}" in incoming.platform for i in range(len(incoming.media))):
            task = asyncio.create_task(self._all(incoming))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def resume(self) -> int:
        """Take up what an earlier process could not finish. Returns how many messages."""
        since = self._clock() - LIFE

        def read(session: Session) -> list[Incoming]:
            rows = session.scalars(
                sa.select(Inbox).where(col(Inbox.channel) == NAME, col(Inbox.received_at) > since)
            ).all()
            return [message for row in rows if (message := _read(row)) is not None and "url0" in message.platform]

        found = await self._db.run(read)
        for message in found:
            self.begin(message)
        return len(found)

    async def stop(self) -> None:
        """Leave what is under way; the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _all(self, incoming: Incoming) -> None:
        try:
            async with self._few:
                kept = {
                    i: found
                    for i in range(len(incoming.media))
                    if (url := incoming.platform.get(f"url{i}")) and (found := await self._one(incoming, i, url))
                }
            await self._place(incoming, kept)
        except Exception as error:  # one file that cannot be had must not end the others
            log.exception("media.failed", channel=NAME, message=incoming.id, error=type(error).__name__)

    async def _one(self, incoming: Incoming, index: int, url: str) -> Media | None:
        key = incoming.platform.get(f"aeskey{index}") or self._aes_key
        for pause in (*self._pauses, None):
            try:
                sealed = await media.fetch(url, hosts=self._hosts)
                data = await asyncio.to_thread(media.decrypt, sealed, key)
                return await asyncio.to_thread(media.keep, self._folder, data, incoming.media[index].name)
            except media.NotFetched as error:
                if not error.again or pause is None:
                    log.warning("media.not_fetched", channel=NAME, message=incoming.id, why=str(error))
                    return None
                await asyncio.sleep(pause)
        return None

    async def _place(self, incoming: Incoming, kept: dict[int, Media]) -> None:
        """Put the files into the message and into the ticket it belongs to, until its handling is over: a worker that
        has read the message before writes its ticket without them."""
        for _ in range(WATCH):
            if await self._db.run(lambda session: place(session, incoming, kept)):
                return
            await asyncio.sleep(self._watch)


def place(session: Session, incoming: Incoming, kept: dict[int, Media]) -> bool:
    """Write where the files are. True when the message was handled before, so that nothing more can come of it."""
    row = inbox.find(session, NAME, incoming.chat, incoming.id)
    message = _read(row) if row is not None else None
    if row is None or message is None:
        return True
    done = row.finished_at is not None
    files = tuple(_placed(one, kept.get(i)) for i, one in enumerate(message.media))
    rest = {key: value for key, value in message.platform.items() if not key.startswith(("url", "aeskey"))}
    row.payload = message.model_copy(update={"media": files, "platform": rest}).model_dump_json(exclude_defaults=True)
    session.add(row)
    for i, found in kept.items():
        session.connection().execute(
            sa.update(Attachment)
            .where(col(Attachment.message) == incoming.id, col(Attachment.platform_id) == f"{incoming.id}#{i}")
            .where(col(Attachment.path) == "")
            .values(path=found.path)
        )
    return done


def _placed(one: Media, found: Media | None) -> Media:
    return one if found is None else one.model_copy(update={"path": found.path, "mime": found.mime})


def _read(row: Inbox) -> Incoming | None:
    try:
        return inbox.read(row)
    except ValidationError:
        return None
