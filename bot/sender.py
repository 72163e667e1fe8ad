"""Takes messages out of the outbox and to their platforms: in order within a chat, at the platform's pace, once.

A channel whose platform drops repeats may always try again. On the others the row says `sending_at` before the request
leaves; claimed again like that, nobody knows whether the message arrived: a reply is then never repeated, an alert is,
and says so. An alert that is given up goes on to whoever else may act, in the transaction that gives it up.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import sqlalchemy as sa
import structlog
from aiolimiter import AsyncLimiter
from pydantic import ValidationError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, col

from bot import metrics
from bot.channels.base import Channel, Halted, NoRoom, Noticed, NotNow, SendFailed, Uncertain
from bot.channels.carrying import elsewhere, hand_on, may_answer, recipient
from bot.channels.known import Known
from bot.channels.render import rest
from bot.unreached import Unreached
from bot.worker import wait_any
from handlers.desk import Linker, no_link
from handlers.texts import say
from handlers.workdays import WorkCalendar
from models import inbox, outbox, privacy, queue, sending
from models.base import Clock, utc_now
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import DEAD, HALTED, LOST, SENT, TOLD, UNCERTAIN, WAITS, Outbox
from models.queue import LeaseLost

log = structlog.get_logger(__name__)
RETRY, HANDED_BACK = "retry", "handed_back"
SLOW = 1.0  # seconds after which the quick ones of a batch are settled, and another batch may begin
STUCK = 2  # times the tries of a row: what nobody could decide about by then holds up its chat no more
BATCHES = 4  # that may be under way at once


@dataclass(frozen=True)
class SenderSettings:
    """batch: rows of one claim. attempts: tries before a row is dead. Everything else is seconds.

    send: the longest a request may take. pace: the longest a row may wait for the platform's rate before it is handed
    back. Both together must be well below the lease. cap: the longest pause between two tries.
    """

    batch: int = 50
    lease: float = 60.0
    send: float = 30.0
    pace: float = 5.0
    poll: float = 1.0
    attempts: int = 10
    cap: float = 300.0


@dataclass(frozen=True)
class Result:
    """How one row went, and the statement that says so in the database; it returns the outcome if that is another."""

    row: Outbox
    outcome: str
    write: Callable[[Session], str | None]
    alone: bool = False  # in a transaction of its own: it may have to be written anew
    waits: bool = False  # for a word of whoever it is for


class Sender:
    """One sender; any number of them may run, in one process or many, on one database."""

    def __init__(
        self,
        db: Database,
        channels: Mapping[str, Channel],
        clock: Clock = utc_now,
        settings: SenderSettings | None = None,
        *,
        calendar: WorkCalendar | None = None,
        link: Linker = no_link,
        on: frozenset[str] | None = None,
    ) -> None:
        """channels: by name, those this process sends by. calendar, link: see `Unreached`. on: the deployment's
        channels; None: any."""
        self._db = db
        self._channels = channels
        self._known = Known(db, on)
        self._unreached = Unreached(self._known, calendar, link)
        self._clock = clock
        self._settings = settings or SenderSettings()
        self._limiters: dict[str, AsyncLimiter] = {}
        self._stopping = False

    async def run(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        """Send until `stop`; what has left is waited for. Woken by `wake`, and by the slow poll in any case."""
        under_way: set[asyncio.Task[int]] = set()
        while not stop.is_set():
            wake.clear()
            batch = asyncio.create_task(self._guarded())
            under_way.add(batch)
            # A platform that hangs holds up its own chats, not everybody's: the next batch does not wait for it.
            await asyncio.wait({batch}, timeout=SLOW)
            if len(under_way) >= BATCHES:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            under_way = {task for task in under_way if not task.done()}
            if batch.done() and batch.result() < 1 and not stop.is_set():
                await wait_any(self._settings.poll, stop, wake)
        self._stopping = True
        if under_way:
            await asyncio.wait(under_way)

    async def _guarded(self) -> int:
        try:
            return await self.step()
        except Exception as error:
            # The database is away: say so, and keep trying; nothing is lost, the rows wait.
            log.exception("sender.step_failed", error=type(error).__name__)
            return 0

    async def step(self) -> int:
        """Send one batch. Returns how many rows were taken; 0 means there is nothing to do now."""
        rows = await self._db.run(self._claim)
        waiting = {asyncio.create_task(self._one(row)) for row in rows}
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=SLOW)
            if done:
                await self._settle([task.result() for task in done])
        return len(rows)

    def _claim(self, session: Session) -> Sequence[Outbox]:
        now, lease = self._clock(), timedelta(seconds=self._settings.lease)
        return queue.claim(
            session, Outbox, now=now, lease=lease, limit=self._settings.batch,
            only=lambda table: sa.and_(self._ours(table), outbox.interrupts_nothing(table, now)),
            before=lambda earlier, one: outbox.leaves_before(earlier, one, now),
        )  # fmt: skip

    def _ours(self, table: type[Outbox]) -> sa.ColumnElement[bool]:
        """Rows of a channel that this process has and that is ready; the others wait for a process that has theirs."""
        return col(table.channel).in_(sorted(name for name, channel in self._channels.items() if channel.ready))

    async def _settle(self, results: Collection[Result]) -> None:
        await self._settle_at_once([result for result in results if not result.alone])
        for result in results:
            if not result.alone:
                continue
            try:
                await self._settle_at_once([result])
            except Exception as error:  # the others must not wait for it; it is taken again when its lease is over
                log.exception("sender.not_settled", outbox=result.row.id, error=type(error).__name__)

    async def _settle_at_once(self, results: Collection[Result]) -> None:
        def work(session: Session) -> list[Result]:
            kept = []
            for result in results:
                try:
                    kept.append(replace(result, outcome=result.write(session) or result.outcome))
                except LeaseLost:  # raised before anything of this row was written: the others are not touched
                    log.warning("sender.lease_lost", outbox=result.row.id, channel=result.row.channel)
            return kept

        for result in await self._written(work):
            metrics.sent.labels(result.row.channel, result.outcome).inc()
            log.info("message.sent" if result.outcome == SENT else "message.not_sent", outbox=result.row.id,
                     channel=result.row.channel, outcome=result.outcome, attempts=result.row.attempts)  # fmt: skip
        if waiting := [result.row for result in results if result.waits]:
            await self._db.run(lambda session: self._look_again(session, waiting))

    def _look_again(self, session: Session, rows: Sequence[Outbox]) -> None:
        """A word whose transaction ran beside ours hurried nothing, and we did not see it: neither knew of the other
        before both had committed."""
        spoken = {row.conversation for row in rows if self._spoken(session, row, outbox.read(row))}
        if spoken:
            outbox.hurry(session, spoken, self._clock())

    async def _written(self, work: Callable[[Session], list[Result]]) -> list[Result]:
        """What has left has left: a database that is away for a moment must hear of it, or it leaves again."""
        for pause in (0.5, 1.0, 2.0):
            try:
                return await self._db.run(work)
            except (sa.exc.OperationalError, StaleDataError) as error:  # the latter: somebody else has the ticket
                log.warning("sender.not_written", error=type(error).__name__)
                await asyncio.sleep(pause)
        return await self._db.run(work)

    # --- one row ------------------------------------------------------------------------------------------------

    async def _one(self, row: Outbox) -> Result:
        """Never raises: whatever happens to one message is a result of that message."""
        channel = self._channels[row.channel]
        perhaps = row.sending_at is not None
        try:
            out = outbox.read(row)
        except ValidationError:
            return self._given_up(row, None, DEAD, "the payload cannot be read")
        # What may have arrived is said again as a whole, or not at all.
        out = out.model_copy(update={"parts": 0 if perhaps else row.parts, "noticed": row.notice != ""})
        if row.outcome == LOST:
            return self._given_up(row, out, DEAD, row.error)
        if row.attempts > self._settings.attempts:  # processes died over it
            return self._given_up(row, out, UNCERTAIN if perhaps else DEAD, row.error or "too many attempts")
        perhaps = perhaps and not channel.can.dedups
        if perhaps and out.purpose == Purpose.REPLY:
            return self._given_up(row, out, UNCERTAIN, "nobody knows whether it arrived")
        if perhaps:
            out = out.model_copy(update={"repeat": True, "text": say("repeat_prefix") + out.text})
        try:
            return await self._deliver(row, channel, out, perhaps=perhaps)
        except LeaseLost:
            return Result(row, RETRY, lambda session: sending.hand_back(session, row, now=self._clock()))
        except Exception as error:
            # Its words are not logged: they may hold the resident's.
            log.exception("sender.failed", outbox=row.id, channel=row.channel, error=type(error).__name__)
            return self._later(row, out, type(error).__name__, perhaps=perhaps)

    async def _deliver(self, row: Outbox, channel: Channel, out: Outgoing, *, perhaps: bool) -> Result:
        if not await self._my_turn(channel):
            return Result(row, HANDED_BACK, lambda session: sending.hand_back(session, row, now=self._clock()))
        if not channel.can.dedups:
            lease = timedelta(seconds=self._settings.lease)
            await self._db.run(lambda session: sending.leaving(session, row, now=self._clock(), lease=lease))
        try:
            async with asyncio.timeout(self._settings.send):
                platform_id = await channel.send(out, row.dedup_key)
        except SendFailed as error:
            return await self._not_taken(row, channel, out, error, perhaps=perhaps)
        except (Uncertain, TimeoutError) as error:
            return self._perhaps_taken(row, channel, out, str(error) or "no answer in time")
        return Result(row, SENT, lambda session: sending.sent(session, row, now=self._clock(), platform_id=platform_id))

    async def _not_taken(
        self, row: Outbox, channel: Channel, out: Outgoing, error: SendFailed, *, perhaps: bool
    ) -> Result:  # fmt: skip
        out = out.model_copy(update={"parts": max(out.parts, error.parts)})
        waits = isinstance(error, NotNow)
        if isinstance(error, Noticed) or (waits and row.notice == TOLD):
            return self._behind_notice(row, out, error, perhaps=perhaps)
        if waits and (result := await self._elsewhere(row, channel, out)) is not None:
            return result
        if error.final:
            return self._given_up(row, out, DEAD, str(error), wait=error.after if waits else None, perhaps=perhaps)
        tried, halted = not isinstance(error, NoRoom), isinstance(error, Halted)
        return self._later(
            row, out, str(error), perhaps=perhaps, after=error.after, waits=waits, halted=halted, tried=tried
        )

    def _behind_notice(self, row: Outbox, out: Outgoing, error: SendFailed, *, perhaps: bool) -> Result:
        """She knows that there is something: the words wait for her, and are no failure where she never asks."""
        if row.attempts >= self._settings.attempts:
            mark = error.message if isinstance(error, Noticed) else row.platform_id
            return Result(row, SENT, lambda session: sending.sent(session, row, now=self._clock(), platform_id=mark))
        notice = error.message if isinstance(error, Noticed) else None
        return self._later(row, out, str(error), perhaps=perhaps, after=error.after, waits=True, notice=notice)

    def _perhaps_taken(self, row: Outbox, channel: Channel, out: Outgoing, reason: str) -> Result:
        if out.purpose == Purpose.REPLY and not channel.can.dedups:
            return self._given_up(row, out, UNCERTAIN, reason)
        return self._later(row, out, reason, perhaps=not channel.can.dedups)

    async def _elsewhere(self, row: Outbox, channel: Channel, out: Outgoing) -> Result | None:
        """What is for one person does not wait, nor hold up the alert behind it, where she can be told on another
        channel now: what of it has not left. None where she cannot, or where it is for a group."""
        told = rest(out, channel.can.max_bytes)
        if out.parts and not told.text:
            return None
        pushing = {name for name, channel in self._channels.items() if channel.can.push}

        def find(session: Session) -> Outgoing | None:
            person = recipient(session, out)
            town = self._known.town(session)
            return elsewhere(session, town, told, person, only=pushing) if person else None

        found = await self._db.run(find)
        if found is None:
            return None

        def write(session: Session) -> None:
            if sending.leave_to_another(session, row, now=self._clock()):
                hand_on(session, row.dedup_key, found, self._clock())
                may_answer(session, out, found)
                log.info("message.elsewhere", outbox=row.id, channel=row.channel, by=found.channel)

        return Result(row, SENT, write)

    async def _my_turn(self, channel: Channel) -> bool:
        """Wait for the platform's pace. False when that takes too long, or the process is about to end."""
        limiter = self._limiters.get(channel.name)
        if limiter is None:
            rate = channel.can.rate
            limiter = self._limiters[channel.name] = AsyncLimiter(max(1.0, rate), max(1.0, 1.0 / rate))
        try:
            async with asyncio.timeout(self._settings.pace):
                await limiter.acquire()
        except TimeoutError:
            return False
        return not self._stopping

    def _given_up(
        self, row: Outbox, out: Outgoing | None, outcome: str, error: str, *, wait: float | None = None,
        perhaps: bool = False,
    ) -> Result:  # fmt: skip
        """An alert goes on. wait: seconds until another try where it can go on to nobody; None: there is none.
        perhaps: see `_later`."""
        log.error("sender.given_up", outbox=row.id, channel=row.channel, outcome=outcome, attempts=row.attempts)
        alert = out if out is not None and out.purpose == Purpose.ALERT else None
        parts = row.parts if out is None else out.parts

        def write(session: Session) -> str | None:
            now = self._clock()
            sending.give_up(session, row, now=now, outcome=outcome, error=error, parts=parts)
            if out is not None and out.informs is not None:
                privacy.unnote(session, *out.informs)
            if alert is None:
                return None
            if row.attempts > STUCK * self._settings.attempts:
                log.error("alert.not_decided", outbox=row.id, channel=row.channel, ticket=alert.ticket)
                return None
            waited = wait is not None and row.outcome == WAITS  # nobody else could be told at an earlier try
            if not waited and self._unreached.follow(session, alert, row.dedup_key, now):
                return None
            if wait is None or row.attempts >= self._settings.attempts:
                return None
            soon = self._spoken(session, row, alert)
            at = now + timedelta(seconds=self._pause(row) if soon else wait)
            sending.wait_on(session, row, at=at, perhaps=perhaps)
            return RETRY

        return Result(row, outcome, write, alone=alert is not None, waits=wait is not None and out is not None)

    def _later(
        self, row: Outbox, out: Outgoing, error: str, *, perhaps: bool, after: float | None = None, waits: bool = False,
        halted: bool = False, tried: bool = True, notice: str | None = None,
    ) -> Result:  # fmt: skip
        """perhaps: an earlier try may have arrived; the next one must know. waits: for a word of hers. halted: see
        `Halted`. tried: False is not counted. notice: see `sending.again`."""
        if tried and row.attempts >= self._settings.attempts:
            return self._given_up(row, out, UNCERTAIN if perhaps else DEAD, error)
        now, pause = self._clock(), self._pause(row)

        def write(session: Session) -> None:
            soon = waits and self._spoken(session, row, out)
            at = now + timedelta(seconds=pause if soon or after is None else after)
            outcome = WAITS if waits and not soon else HALTED if halted else ""
            sending.again(
                session, row, at=at, error=error, perhaps=perhaps, outcome=outcome, tried=tried, parts=out.parts,
                notice=notice,
            )  # fmt: skip

        return Result(row, RETRY, write, waits=waits)

    def _pause(self, row: Outbox) -> float:
        return min(2.0**row.attempts, self._settings.cap) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    def _spoken(self, session: Session, row: Outbox, out: Outgoing) -> bool:
        """Whether somebody wrote there while it was tried, when `outbox.hurry` passed it by: it did not wait yet."""
        claimed = row.visible_at - timedelta(seconds=self._settings.lease)
        return inbox.heard(session, out.channel, out.chat, claimed)
