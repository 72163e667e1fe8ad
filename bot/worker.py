"""Claims messages, understands them in a batch, lets the handlers decide, and commits all of it at once."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog
from pydantic import ValidationError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from bot import metrics
from config.settings import WorkerSettings
from handlers.context import Context, Known
from handlers.desk import Linker, no_link
from handlers.matters import SILENT
from handlers.notice import notify
from handlers.past import recall
from handlers.root import handle
from handlers.sampling import sample
from handlers.town import Town, load
from handlers.workdays import WorkCalendar
from models import inbox, mark, outbox, queue
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import Inbox
from models.message import Outgoing
from models.queue import LeaseLost
from nlu.types import Engine, Understanding

log = structlog.get_logger(__name__)
CONFLICTS = 4  # how often a batch gives way before it is handled one by one
BACK_OFF = (1, 2, 5, 15, 60, 300)
Understood = list[tuple[Known, Understanding]]


class Worker:
    """One worker; any number of them may run, in one process or many, on one database."""

    def __init__(
        self, db: Database, engine: Engine, calendar: WorkCalendar, *,
        settings: WorkerSettings | None = None, clock: Clock = utc_now, link: Linker = no_link,
        wake: Callable[[], None] = lambda: None, hears: bool = False, notices: bool = False,
        on: frozenset[str] | None = None,
    ) -> None:  # fmt: skip
        """wake: called after a commit, in the thread of the step, so that what was decided leaves at once. hears:
        somebody hears the voices that are on our disk (`bot.hearing`). notices: who writes for the first time gets the
        privacy notice; a replay of old chats gives none. on: the deployment's channels; None: any."""
        self._db = db
        self._engine = engine
        self._calendar = calendar
        self._settings = settings or WorkerSettings()
        self._clock = clock
        self._link = link
        self._wake = wake
        self._hears = hears
        self._notices = notices
        self._on = on
        self._town: Town | None = None

    def step(self) -> int:
        """Handle up to one batch. Returns how many messages were taken; 0 means there is nothing to do now."""
        started = time.perf_counter()
        claimed, alive, town = self._db.tx(self._claim)
        if not claimed:
            return 0
        understood = self._understand(town, self._readable(alive))
        try:
            self._commit(town, understood)
        except Exception as error:
            # One message spoils the batch: each on its own, so that only that one waits.
            log.warning("worker.batch_failed", messages=len(understood), error=type(error).__name__)
            for one in understood:
                self._alone(town, one)
        self._wake()
        metrics.handling.observe(time.perf_counter() - started)
        return claimed

    def _claim(self, session: Session) -> tuple[int, list[Inbox], Town]:
        """(rows taken, those of them that may still be tried, the town)."""
        town = self._fresh_town(session)
        lease = timedelta(seconds=self._settings.lease_seconds)
        rows = queue.claim(session, Inbox, now=self._clock(), lease=lease, limit=self._settings.batch)
        alive: list[Inbox] = []
        for row in rows:
            if row.attempts > self._settings.attempts:
                log.error("worker.buried", message=row.message, inbox=row.id, attempts=row.attempts)
                reason = row.error or "too many attempts"
                queue.bury(session, Inbox, row, now=self._clock(), outcome=inbox.DEAD, error=reason)
            else:
                alive.append(row)
        return len(rows), alive, town

    def _readable(self, rows: Sequence[Inbox]) -> list[Inbox]:
        """The rows whose payload is a message. Trying again does not help the others: they are buried, each by itself,
        so that none of them undoes the claim of its neighbours."""
        good = []
        for row in rows:
            try:
                inbox.read(row)
            except ValidationError:  # its words are not logged: they hold the resident's
                log.error("worker.unreadable", message=row.message, inbox=row.id)
                self._bury(row, "the payload cannot be read")
            else:
                good.append(row)
        return good

    def _bury(self, row: Inbox, reason: str) -> None:
        now = self._clock()
        try:
            self._db.tx(lambda session: queue.bury(session, Inbox, row, now=now, outcome=inbox.DEAD, error=reason))
        except LeaseLost:
            log.warning("worker.lease_lost", message=row.message, inbox=row.id)

    def _understand(self, town: Town, rows: Sequence[Inbox]) -> Understood:
        """What the engine makes of each row. One that it cannot take waits and is tried again; the others go on."""
        try:
            return self._ask(town, rows)
        except Exception as error:
            log.warning("worker.not_understood", messages=len(rows), error=type(error).__name__)
        found: Understood = []
        for row in rows:
            try:
                found += self._ask(town, [row])
            except Exception as error:
                log.exception("worker.failed", message=row.message, inbox=row.id, error=type(error).__name__)
                self._back_off(row, error)
        return found

    def _ask(self, town: Town, rows: Sequence[Inbox]) -> Understood:
        if not rows:
            return []
        asked = self._db.tx(lambda session: recall(session, town, rows))
        answers = self._engine.parse([utterance for _, utterance in asked], town.names)
        return [(known, answer) for (known, _), answer in zip(asked, answers, strict=True)]

    def _fresh_town(self, session: Session) -> Town:
        if self._town is None or self._town.version != mark.value(session, mark.TOWN):
            self._town = load(session, self._on)
            log.info("worker.town", grids=len(self._town.grids), places=len(self._town.places))
        return self._town

    def _commit(self, town: Town, understood: Understood) -> None:
        """`_finish` in a transaction; again at once where another worker changed one of its tickets meanwhile."""
        for _ in range(CONFLICTS):
            try:
                return self._db.tx(lambda session: self._finish(session, town, understood))
            except StaleDataError:
                log.info("worker.conflict", messages=len(understood))
        return self._db.tx(lambda session: self._finish(session, town, understood))

    def _finish(self, session: Session, town: Town, understood: Understood) -> None:
        """All effects of a batch, and its rows done, in one transaction."""
        now = self._clock()
        said: list[tuple[str, Outgoing]] = []
        done: list[tuple[Inbox, str]] = []
        for known, understanding in understood:
            row = known.row
            ctx = Context(session, town, now, self._calendar, row.dedup_key, self._link).begin(known, understanding)
            ctx.hears = self._hears
            ctx.again = partial(self._engine.again, names=town.names)
            outcome = handle(ctx)
            if outcome == SILENT:
                sample(ctx, self._settings.sample)
            if self._notices:
                notify(ctx, outcome)
            said += ctx.take()
            done.append((row, outcome))
            log.info("message.handled", message=row.message, inbox=row.id, outcome=outcome, answers=len(ctx.spoken),
                     tickets=sorted({out.ticket for out in ctx.spoken if out.ticket}))  # fmt: skip
        session.flush()
        outbox.put(session, said, now)
        queue.finish_many(session, Inbox, done, now=now)
        for _, outcome in done:
            metrics.handled.labels(outcome).inc()

    def _alone(self, town: Town, one: tuple[Known, Understanding]) -> None:
        row = one[0].row
        try:
            self._commit(town, [one])
        except LeaseLost:
            log.warning("worker.lease_lost", message=row.message, inbox=row.id)
        except Exception as error:
            log.exception("worker.failed", message=row.message, inbox=row.id, error=type(error).__name__)
            self._back_off(row, error)

    def _back_off(self, row: Inbox, error: Exception) -> None:
        """Give the row back for later; buried after the last attempt, by the claim that comes then."""
        again = self._clock() + timedelta(seconds=BACK_OFF[min(row.attempts, len(BACK_OFF)) - 1])
        reason = type(error).__name__
        try:
            self._db.tx(lambda session: queue.retry(session, Inbox, row, at=again, error=reason))
        except LeaseLost:
            log.warning("worker.lease_lost", message=row.message, inbox=row.id)

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Work until `stop`; a step that has begun is finished. Woken by `wake`, and by the slow poll in any case."""
        while not stop.is_set():
            wake.clear()
            try:
                taken = await self._db.call(self.step)
            except Exception as error:
                # The database is away: say so, and keep trying; nothing is lost, the rows wait.
                log.exception("worker.step_failed", error=type(error).__name__)
                taken = 0
            if taken < 1 and not stop.is_set():
                await wait_any(self._settings.poll_seconds, stop, wake)


async def wait_any(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events is set, or the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def drain(worker: Worker) -> Sequence[int]:
    """Step until nothing is left; for replays and tests."""
    taken = []
    while count := worker.step():
        taken.append(count)
    return taken
