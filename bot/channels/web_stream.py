"""New lines to every open browser: one reader of the table for the whole process, one queue for each listener.

Other processes write lines too, so the table is read every `poll` seconds while somebody listens; a line written here
is read at once. On PostgreSQL a transaction with a smaller id may commit after one with a larger id: each reading goes
back over the last ids, and every listener remembers what it was given.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence

import sqlalchemy as sa
import structlog
from sqlmodel import Session

from bot.channels.web_lines import Line, lines
from models.database import Database
from models.webchat import WebMessage, since

log = structlog.get_logger(__name__)

LOOK_BACK = 50  # ids
PAGE = 200  # lines of one reading
HELD = 1_000  # lines that may wait for one slow browser


class Listener:
    """One open browser. `lost`: it was too slow and is to come again with its last id."""

    def __init__(self, chats: Collection[str]) -> None:
        self.chats = frozenset(chats)
        self.queue: asyncio.Queue[Line] = asyncio.Queue(HELD)
        self.given: set[int] = set()
        self.lost = False

    def offer(self, line: Line) -> None:
        """Queue a line of one of its chats."""
        if line["chat"] in self.chats and not self.lost:
            try:
                self.queue.put_nowait(line)
            except asyncio.QueueFull:
                self.lost = True

    def new(self, line: Line) -> bool:
        """True once for each line."""
        if line["id"] in self.given:
            return False
        self.given.add(line["id"])
        if len(self.given) > 8 * LOOK_BACK:
            self.given = set(sorted(self.given)[-4 * LOOK_BACK :])
        return True


class Feed:
    """Reads new lines and hands them to the listeners."""

    def __init__(self, db: Database, *, poll: float = 0.3) -> None:
        """poll: seconds between two readings while somebody listens."""
        self._db = db
        self._poll = poll
        self._listeners: set[Listener] = set()
        self._known: set[int] = set()
        self._head = 0
        self._starting = asyncio.Lock()
        self._woken = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.closed = False

    def wake(self) -> None:
        """A line was written in this process."""
        self._woken.set()

    async def listen(self, chats: Collection[str], after: int) -> AsyncGenerator[Line | None, None]:
        """Lines with an id above `after`, oldest first, each once; None about once a second between them.

        Ends when the feed is closed or the listener has fallen too far behind.
        """
        listener = Listener(chats)
        self._listeners.add(listener)
        try:
            await self._start()
            # The reader is at work by now: what is committed from here on reaches the queue, what was before is read
            # here, and what is in both is given once.
            async for line in self._missed(listener, after):
                yield line
            while not (self.closed or listener.lost):
                try:
                    line = await asyncio.wait_for(listener.queue.get(), 1.0)
                except TimeoutError:
                    yield None
                    continue
                if listener.new(line):
                    yield line
        finally:
            self._listeners.discard(listener)

    async def _missed(self, listener: Listener, after: int) -> AsyncGenerator[Line, None]:
        at = max(0, after - LOOK_BACK)
        while True:

            def work(session: Session, at: int = at) -> list[Line]:
                return lines(session, since(session, [*listener.chats], at, PAGE))

            found = await self._db.run(work)
            for line in found:
                if listener.new(line) and line["id"] > after:
                    yield line
            if len(found) < PAGE:
                return
            at = found[-1]["id"]

    async def _start(self) -> None:
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._head = await self._db.run(newest)
                self._known.clear()
                self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while self._listeners and not self.closed:
            try:
                full = await self._read_once()
            except Exception as error:  # a database that is away for a moment must not end the stream for good
                log.warning("webchat.poll_failed", error=type(error).__name__)
                full = False
            if not full:
                try:
                    await asyncio.wait_for(self._woken.wait(), self._poll)
                except TimeoutError:
                    continue
            self._woken.clear()

    async def _read_once(self) -> bool:
        chats = sorted(set().union(*(listener.chats for listener in self._listeners)))
        at = max(0, self._head - LOOK_BACK)
        known = self._known

        def work(session: Session) -> tuple[Sequence[WebMessage], list[Line]]:
            rows = since(session, chats, at, PAGE)
            return rows, lines(session, [row for row in rows if row.id not in known])

        rows, fresh = await self._db.run(work)
        for line in fresh:
            for listener in self._listeners:
                listener.offer(line)
        if rows:
            self._head = max(self._head, rows[-1].id or 0)
            self._known = {row.id for row in rows if row.id is not None and row.id > self._head - LOOK_BACK}
        return len(rows) == PAGE

    async def close(self) -> None:
        """Let every listener go, and stop reading."""
        self.closed = True
        self._woken.set()
        if self._reader is not None:
            await self._reader


def newest(session: Session) -> int:
    """The largest id there is, or 0."""
    return session.scalar(sa.select(sa.func.max(WebMessage.id))) or 0
