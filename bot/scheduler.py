"""The clock: APScheduler's few jobs sweep due rows. The diary is the database, so any number of processes may sweep."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlmodel import Session, col

from bot import metrics
from bot.channels.base import Channel
from bot.channels.known import Known
from bot.forgetting import Forgetting
from bot.leftovers import sweep
from bot.stranded import Stranded
from bot.unreached import Unreached
from handlers.desk import Desk, Linker, no_link
from handlers.falling_due import close_unrated, fire, recount
from handlers.town import Town, load
from handlers.voices import ask_to_type, waiting
from handlers.workdays import WorkCalendar
from models import deadline, mark, outbox, quota, sample
from models.base import Clock, utc_now
from models.chat import ChatKind
from models.database import Database
from models.deadline import Deadline
from models.fetching import Fetching
from models.inbox import Inbox
from models.outbox import Outbox

log = structlog.get_logger(__name__)
BATCH = 200
OLD = 1_000  # rows that one transaction of the retention removes
SAMPLE_DAYS = 60  # the most that the settings allow
UNSENT = timedelta(minutes=5)
AGAIN = timedelta(minutes=10)  # after which a deadline that could not be fired is tried once more


class Sweeper:
    """Fires what is due, closes what nobody rates, forgets what need not be kept."""

    def __init__(
        self, db: Database, calendar: WorkCalendar, *, clock: Clock = utc_now, link: Linker = no_link,
        wake: Callable[[], None] = lambda: None, hears: bool = False, media: Path | None = None,
        unsent: timedelta = UNSENT, channels: Mapping[str, Channel] | None = None,
        on: frozenset[str] | None = None,
    ) -> None:  # fmt: skip
        """wake: called after a commit, in the thread of the sweep, so that what was decided leaves at once. hears:
        somebody hears the voices that are on our disk (`bot.hearing`). media: the folder of the pictures, for those
        whose sender had her data deleted. unsent, channels: see `Stranded`. on: the deployment's
        channels; None: any."""
        self._db = db
        self._calendar = calendar
        self._clock = clock
        self._link = link
        self._wake = wake
        self._hears = hears
        self._town: Town | None = None
        self._over = threading.Event()
        self._media = media
        self._on = on
        known = Known(db, on)
        self._stranded = Stranded(
            db, known, Unreached(known, calendar, link), clock, unsent, channels or {}, self._over.is_set
        )

    def end(self) -> None:
        """Begin no further transaction: a sweep under way stops after the one it is in. From any thread."""
        self._over.set()

    def _desk(self, session: Session, key: str) -> Desk:
        if self._town is None or self._town.version != mark.value(session, mark.TOWN):
            self._town = load(session, self._on)
        return Desk(session, self._town, self._clock(), self._calendar, key, self._link)

    def deadlines(self) -> int:
        """Fire every deadline that is due. Returns how many rows were taken."""
        taken = 0
        while not self._over.is_set() and (count := self._db.tx(self._some)):
            taken += count
            self._wake()
        return taken

    def _some(self, session: Session) -> int:
        rows = deadline.due(session, self._clock(), BATCH)
        for row in rows:
            number, ticket = row.id, row.ticket
            desk = self._desk(session, f"deadline:{number}")
            try:
                with session.begin_nested():
                    kind = fire(desk, row)
                    outbox.put(session, desk.take(), self._clock())
            except Exception as error:  # its own effects are undone; the other rows fire all the same
                log.exception("deadline.failed", deadline=number, ticket=ticket, error=type(error).__name__)
                later = sa.update(Deadline).where(col(Deadline.id) == number).values(due_at=self._clock() + AGAIN)
                session.connection().execute(later)
                continue
            metrics.deadlines.labels(kind).inc()
            log.info("deadline.fired", kind=kind, ticket=ticket)
        return len(rows)

    def voices(self) -> int:
        """Ask those to type whose voices in a group nobody heard, and who did not type by themselves. Once for each
        voice, however often one looks. Returns how many are asked."""
        return self._db.tx(self._unheard)

    def _unheard(self, session: Session) -> int:
        asked = 0
        for row, voice in waiting(session, self._clock(), heard=self._hears):
            desk = self._desk(session, f"voice:{row}")
            if not voice.direct and desk.town.kind(voice.channel, voice.chat) is ChatKind.GROUP:
                desk.trigger = voice.id
                ask_to_type(desk, voice, direct=False)
                asked += outbox.put(session, desk.take(), self._clock())
        return asked

    def unrated(self) -> int:
        """Close tickets that nobody rates."""
        return self._db.tx(lambda session: close_unrated(self._desk(session, "unrated"), BATCH))

    def recount(self) -> int:
        """Count anew what another working calendar counted. Returns how many rows were looked at."""
        taken = 0
        while not self._over.is_set():
            count = self._db.tx(lambda session: recount(self._desk(session, "recount"), BATCH))
            if not count:
                break
            taken += count
        return taken

    def forget(self, keep_days: int, sample_days: int = SAMPLE_DAYS) -> int:
        """Remove handled messages older than `keep_days`: tickets keep their own copies, talk is not archived. What of
        it was kept for review goes after `sample_days`, looked at or not.

        A little at a time, so that nobody waits for a month's worth of rows. Returns how many were removed.
        """
        now = self._clock()
        before, reviewed = now - timedelta(days=keep_days), now - timedelta(days=sample_days)
        some: list[Callable[[Session], int]] = [
            partial(_forget_some, table=Inbox, before=before),
            partial(_forget_some, table=Outbox, before=before),
            partial(_forget_some, table=Fetching, before=before),
            partial(quota.forget, before=now, limit=OLD),
            partial(sample.forget, before=reviewed, limit=OLD),
        ]
        gone = 0
        for work in some:
            while not self._over.is_set():
                count = self._db.tx(work)
                gone += count
                if count < OLD:
                    break
        return gone

    def finish_erasures(self) -> int:
        """Finish the deletions that residents asked for. Returns how many rows were dealt with."""
        return Forgetting(self._db.tx, self._desk, self._media, self._over.is_set).run() if self._media else 0

    def stranded(self) -> int:
        """Hand on the alerts that cannot leave. Returns how many."""
        if count := self._stranded.run():
            self._wake()
        return count

    def leftovers(self) -> int:
        """Remove the files that no row names any more. Returns how many."""
        return sweep(self._db.tx, self._media, over=self._over.is_set) if self._media else 0

    def gauges(self) -> None:
        """Refresh the backlog figures of /metrics."""
        waiting, age = self._db.tx(lambda session: backlog(session, self._clock))
        metrics.backlog.set(waiting[0])
        metrics.outbox.set(waiting[1])
        metrics.backlog_age.set(age)


def _forget_some(session: Session, table: type[Inbox] | type[Outbox] | type[Fetching], before: datetime) -> int:
    ids = session.scalars(sa.select(col(table.id)).where(col(table.finished_at) < before).limit(OLD)).all()
    session.connection().execute(sa.delete(table).where(col(table.id).in_(ids)))
    return len(ids)


def backlog(session: Session, clock: Clock = utc_now) -> tuple[tuple[int, int], float]:
    """((messages that wait in the inbox, in the outbox), seconds the oldest incoming one has waited)."""
    counts = [
        int(
            session.scalars(sa.select(sa.func.count()).select_from(table).where(col(table.finished_at).is_(None))).one()
        )
        for table in (Inbox, Outbox)
    ]
    oldest = session.scalars(
        sa.select(sa.func.min(col(Inbox.received_at))).where(col(Inbox.finished_at).is_(None))
    ).one()
    age = max(0.0, (clock() - oldest).total_seconds()) if oldest else 0.0
    return (counts[0], counts[1]), age


def start(db: Database, sweeper: Sweeper, *, keep_days: int, sample_days: int = SAMPLE_DAYS) -> AsyncIOScheduler:
    """A running scheduler with its jobs. Memory store: nothing is lost when a process dies, the rows are the truth."""
    scheduler = AsyncIOScheduler(
        timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )

    async def deadlines() -> None:
        await db.call(sweeper.deadlines)

    async def voices() -> None:
        await db.call(sweeper.voices)

    async def gauges() -> None:
        await db.call(sweeper.gauges)

    async def unrated() -> None:
        await db.call(sweeper.unrated)

    async def recounted() -> None:
        if rows := await db.call(sweeper.recount):
            log.info("deadline.recounted", rows=rows)

    async def forget() -> None:
        gone = await db.call(sweeper.forget, keep_days, sample_days)
        log.info("retention.done", rows=gone)

    async def erasures() -> None:
        if rows := await db.call(sweeper.finish_erasures):
            log.info("privacy.finished", rows=rows)

    async def stranded() -> None:
        await db.call(sweeper.stranded)

    async def leftovers() -> None:
        await db.call(sweeper.leftovers)

    scheduler.add_job(leftovers, "interval", hours=1, id="leftovers")
    scheduler.add_job(stranded, "interval", minutes=1, id="stranded")
    scheduler.add_job(erasures, "interval", minutes=10, id="erasures")
    scheduler.add_job(deadlines, "interval", seconds=2, id="deadlines")
    scheduler.add_job(voices, "interval", seconds=15, id="voices")
    scheduler.add_job(gauges, "interval", seconds=5, id="gauges")
    scheduler.add_job(unrated, "interval", minutes=30, id="unrated")
    scheduler.add_job(recounted, "date", id="recount-at-start")
    # And again: while a deployment is restarted bit by bit, processes with the old days still count by them.
    scheduler.add_job(recounted, "cron", hour=19, minute=7, id="recount")
    scheduler.add_job(forget, "cron", hour=19, minute=17, id="retention")  # 03:17 in China
    scheduler.start()
    return scheduler


async def stop(scheduler: AsyncIOScheduler) -> None:
    """No new runs; let the loop see the running ones out."""
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
