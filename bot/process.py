"""What runs in a process, with or without the web application on top: started in order, ended within ten seconds."""

import asyncio
import gc
import signal
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot import rasa_engine, scheduler, table_check, training
from bot.channels.base import Channel
from bot.channels.known import Known
from bot.channels.registry import channels
from bot.fetching import Fetcher, that_fetch
from bot.ingest import Ingest
from bot.links import Links, linker, secret_of
from bot.scheduler import Sweeper
from bot.sender import Sender
from bot.towns import first_town
from bot.wakeup import Bell, Listener
from bot.worker import Worker
from config.privacy import privacy
from config.settings import Settings
from config.tables import leaves
from handlers.desk import Linker
from handlers.workdays import WorkCalendar
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import Inbox
from models.outbox import Outbox
from models.queue import bell
from models.schema import upgrade
from nlu.reader.wanted import wanted
from nlu.types import Engine

log = structlog.get_logger(__name__)
FINISH = 5.0  # seconds for the steps and requests that have begun
COLLECT = (100_000, 50, 1_000)
CLOSE = 1.0  # seconds for each thing to close


def spare_the_collector() -> None:
    """Let Python's cycle collector pass over what is here to stay: its full passes held up every 100th callback for
    130 ms; without them it is 35 (`make bench`, "callbacks")."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


class Process:
    """Database, door and channels; with `working` also the worker, the sender and the clock. Without it a sender runs
    for those channels only whose connection is here."""

    def __init__(
        self, settings: Settings, *, working: bool, clock: Clock = utc_now, engine: Engine | None = None
    ) -> None:  # fmt: skip
        """engine: another than the embedded one. Opens nothing yet. Raises ValueError for a channel set wrongly."""
        self.settings = settings
        self.working = working
        self.clock = clock
        self.db = Database(settings.url)
        self.inbox, self.outbox = Bell(), Bell()
        self.ingest = Ingest(
            self.db, linger=settings.ingest.linger_ms / 1000, waiting=settings.ingest.waiting, clock=clock,
            wake=self.inbox.ring,
        )  # fmt: skip
        found = channels(
            settings, self.db, self.ingest, wake=self.inbox.ring, clock=clock, working=working, decided=self.outbox
        )
        self.channels: dict[str, Channel] = {channel.name: channel for channel in found}
        self._on = frozenset(self.channels)
        self.known = Known(self.db, self._on)
        self._sends = {name: channel for name, channel in self.channels.items() if working or channel.holds}
        secret = secret_of(settings)
        self.links = Links(secret) if secret else None
        self._engine = engine
        self._rasa: rasa_engine.RasaEngine | None = None
        self._open: list[Channel] = []
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._scheduler: AsyncIOScheduler | None = None
        self._sweeper: Sweeper | None = None

    async def start(self) -> None:
        """Check the tables, migrate, fill an empty database, get the engine ready, open the channels, begin to work.

        Raises BadPack, sqlalchemy's OperationalError, TableError, NotTrained; what was opened is closed again then, and
        also when it is cancelled.
        """
        try:
            self.inbox.hang()
            self.outbox.hang()
            await self.db.call(table_check.check, self.settings.zone)
            await self.db.call(upgrade, self.db)
            await self.db.call(first_town, self.db, self.settings)
            for channel in self.channels.values():
                self._open.append(channel)
                await channel.start()
            if self.working:
                await self._work()
            if self.working or self._sends:
                self._send()
            spare_the_collector()
            log.info("process.started", working=self.working, channels=sorted(self.channels))
        except BaseException:
            await self.stop()
            raise

    async def _work(self) -> None:
        calendar, link = self._told()
        engine = self._engine or await self._chosen()
        worker = Worker(
            self.db, engine, calendar, settings=self.settings.worker, clock=self.clock, link=link,
            wake=self.outbox.ring, hears=self.settings.asr_model is not None, notices=True, on=self._on,
        )  # fmt: skip
        self._sweeper = Sweeper(
            self.db, calendar, clock=self.clock, link=link, wake=self.outbox.ring, media=self.settings.media,
            hears=self.settings.asr_model is not None, unsent=timedelta(minutes=self.settings.worker.unsent_minutes),
            channels=self._sends, on=self._on,
        )  # fmt: skip
        self._run("worker", worker.run(self._stop, self.inbox.event))
        if fetching := that_fetch(self.channels.values()):
            fetcher = Fetcher(
                self.db, fetching, self.settings.media, calendar, clock=self.clock,
                hears=self.settings.asr_model is not None,
            )  # fmt: skip
            self._run("fetcher", fetcher.run(self._stop))
        days = self.settings.worker.sample_days
        self._scheduler = scheduler.start(self.db, self._sweeper, keep_days=privacy().message_days, sample_days=days)

    def _told(self) -> tuple[WorkCalendar, Linker]:
        """Of whatever tells of a ticket: its deadline's calendar, and the link of its task card."""
        return WorkCalendar.configured(self.settings.zone), linker(self.settings, self.links)

    def _send(self) -> None:
        calendar, link = self._told()
        sender = Sender(self.db, self._sends, self.clock, calendar=calendar, link=link, on=self._on)
        self._run("sender", sender.run(self._stop, self.outbox.event))
        if not self.db.is_sqlite:
            bells = {bell(Inbox): self.inbox.ring} if self.working else {}
            bells[bell(Outbox)] = self.outbox.ring
            self._listener = asyncio.create_task(Listener(self.settings.url, bells).run())

    async def _chosen(self) -> Engine:
        """The engine of the settings. Rasa need not answer yet: until it does, the embedded one does. A second reader
        that is wanted must be there: raises SettingsError."""
        home = self.settings.home
        second = await self.db.call(wanted, self.settings.reader, home, leaves())
        own = training.Following(home, leaves(), await training.engine(home, self.db, second))
        if self.settings.nlu == "embedded":
            return own
        self._rasa = rasa_engine.over(self.settings, own)
        return self._rasa

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work, name=name)

    @property
    def well(self) -> bool:
        """Every task that this process should have is at work."""
        needed = ["worker", "sender"] if self.working else ["sender"] if self._sends else []
        return all(self.alive(name) for name in needed)

    def alive(self, name: str) -> int:
        """How many tasks of this name are at work: worker, sender."""
        task = self._tasks.get(name)
        return int(task is not None and not task.done())

    async def rest(self) -> None:
        """Take nothing new from the queues, let what has begun be finished, then close the channels."""
        self._stop.set()
        if self._sweeper is not None:
            self._sweeper.end()
        if self._scheduler is not None:
            await scheduler.stop(self._scheduler)
            self._scheduler = None
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
            self._listener = None
        began = asyncio.get_running_loop().time()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=FINISH)
            for task in late:
                log.warning("process.late", task=task.get_name())
                task.cancel()
            self._tasks = {}
        # What the tasks did not need of their time, a channel may need to hand its connection over.
        spare = max(0.0, FINISH - (asyncio.get_running_loop().time() - began))
        await asyncio.gather(*(self._within(CLOSE + spare, channel.name, channel.stop()) for channel in self._open))
        self._open = []

    async def stop(self) -> None:
        """`rest`, then keep what waits at the door, and close the database. Safe to call twice."""
        await self.rest()
        await self._within(CLOSE, "door", self.ingest.drain())
        if self._rasa is not None:
            await self._within(CLOSE, "rasa", asyncio.to_thread(self._rasa.close))
        await self._within(CLOSE, "database", asyncio.to_thread(self.db.close))
        log.info("process.stopped")

    async def _within(self, seconds: float, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await work
        except Exception as error:  # one thing that does not close must not keep the others open
            log.warning("process.not_closed", what=what, error=type(error).__name__)


class Signals:
    """SIGTERM and SIGINT as an event; a second signal ends the process at once, as it does everywhere."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def __enter__(self) -> "Signals":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._tell)
        return self

    def _tell(self) -> None:
        log.info("process.stopping")
        self.told.set()
        self._let_go()

    async def unless_told(self, start: Coroutine[Any, Any, None]) -> bool:
        """Do what comes before the work, which may take long. False when a signal came first: `start` was cancelled
        then, and has ended. What it raises is raised."""
        starting = asyncio.ensure_future(start)
        told = asyncio.ensure_future(self.told.wait())
        await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
        if starting.cancelled():
            return False
        starting.result()
        return not self.told.is_set()

    def _let_go(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def __exit__(self, *_: object) -> None:
        self._let_go()
