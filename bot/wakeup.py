"""Waking who has work: a bell inside the process, LISTEN on PostgreSQL between processes.

Neither is the truth. A ring that gets lost costs a moment, because the slow poll of worker and sender always runs.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import psycopg
import structlog
from psycopg import sql
from sqlalchemy.engine import make_url

log = structlog.get_logger(__name__)
RECONNECT = 3.0  # seconds
QUIET = 30.0  # seconds without news after which the connection is tried


class Bell:
    """An event that any thread may set. turn: another event, for any number who wait for the next ring only."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.turn = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def hang(self) -> None:
        """Say which loop waits for it: the running one. Before that, a ring is only kept."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """There is work. From any thread, at any time; after the loop has ended it does nothing."""
        if self._loop is None:
            self._rung()
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._rung)

    def _rung(self) -> None:
        self.event.set()
        self.turn.set()
        self.turn = asyncio.Event()


class Listener:
    """Hears what other processes committed, on a connection of its own that comes back when it breaks."""

    def __init__(self, url: str, bells: Mapping[str, Callable[[], None]], *, reconnect: float = RECONNECT) -> None:
        """url: SQLAlchemy's. bells: by PostgreSQL channel. reconnect: seconds between two tries."""
        self._conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._bells = bells
        self._reconnect = reconnect
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                log.warning("wakeup.lost", error=type(error).__name__)
            self.ready.clear()
            await asyncio.sleep(self._reconnect)

    async def _listen(self) -> None:
        opening = psycopg.AsyncConnection.connect(self._conninfo, autocommit=True, connect_timeout=10)
        async with await opening as connection:
            for channel in self._bells:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.ready.set()
            log.info("wakeup.listening", channels=len(self._bells))
            for ring in self._bells.values():
                ring()  # something may have come while nobody listened
            while True:
                async for news in connection.notifies(timeout=QUIET):
                    self._bells[news.channel]()
                await connection.execute("SELECT 1")  # a connection that died silently is found out
