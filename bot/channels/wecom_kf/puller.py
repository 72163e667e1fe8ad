"""Asks for what customers wrote: after each callback, and now and then without one (微信客服 读取消息, 企业微信 94670).

A callback is a row before it is acknowledged, so whichever process is there next pulls for it. One at a time does: the
row's lease says who, and its cursor moves in the transaction that keeps the page. What goes wrong with one account or
one message does not hold up the others; a database that is away is waited for.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels.api import ApiClient, ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.security import Refused
from bot.channels.wecom_kf.keeping import Keeping
from bot.channels.wecom_kf.letters import NAME, Event, read
from config.wecom_kf import WecomKfSettings
from models import pull
from models.base import Clock
from models.database import Database
from models.message import Incoming
from models.pull import Pull
from models.queue import LeaseLost

log = structlog.get_logger(__name__)
PAGE = 500  # the platform gives a thousand at most
LEASE = timedelta(minutes=2)  # longer than the slowest call with all its tries
TOKEN_LIFE = timedelta(minutes=10)
BAD_TOKEN = 95007
LINGER = 0.002  # seconds in which callbacks are collected
BEGINNING = 60.0  # seconds; a young process asks as often, for what was said while none was there
EMPTY = 10  # pages in a row that bring nothing
REST = 5.0  # seconds after a failure, where the platform names none
TRIES = 3  # of a page with a message that cannot be stored; then that one is passed


class Puller:
    """Pulls for all accounts of a deployment; any number may run on one database."""

    def __init__(
        self, settings: WecomKfSettings, api: ApiClient, db: Database, keeping: Keeping, *, clock: Clock,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """wake: called when messages were kept."""
        self._settings = settings
        self._api = api
        self._db = db
        self._keeping = keeping
        self._clock = clock
        self._wake = wake
        self._bell = asyncio.Event()
        self._began: datetime | None = None
        self._rest: dict[str, datetime] = {}
        self._tries: dict[str, int] = {}  # in a row, of an account's page
        self._hints: dict[str, str] = {}
        self._telling: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name=NAME)

    async def stop(self) -> None:
        """End; a transaction that has begun is finished, and what was not pulled is asked for again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def told(self, account: str, token: str) -> None:
        """A callback: returns once it is committed that there is something. Raises what the database raises.

        Callbacks that arrive together share one transaction: of their tokens the newest is as good as all.
        """
        self._hints[account] = token
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())
            self._telling.add_done_callback(lambda task: task.cancelled() or task.exception())  # all may have hung up
        await asyncio.shield(self._telling)

    async def _tell(self) -> None:
        await asyncio.sleep(LINGER)
        hints, self._hints, self._telling = self._hints, {}, None
        until = self._clock() + TOKEN_LIFE

        def work(session: Session) -> None:
            for account, token in sorted(hints.items()):
                pull.ask(session, name_of(account), hint=token, until=until)

        await self._db.run(work)
        self._bell.set()

    async def look(self) -> int:
        """Pull what is there. Returns how many messages were new; for tests and `_run`."""
        # Callbacks that came while nobody was there are lost: a process that begins does not wait for the next sweep.
        now = self._clock()
        self._began = self._began or now
        young = now - self._began < 2 * timedelta(seconds=BEGINNING)
        before = now - timedelta(seconds=BEGINNING if young else self._settings.sweep_seconds)
        names = {name_of(account): account for account in self._settings.accounts}
        due = await self._db.run(partial(pull.due, names=list(names), before=before))
        return sum([await self._account(names[name]) for name in due])

    async def _run(self) -> None:
        while True:
            self._bell.clear()
            try:
                await self.look()
            except Exception as error:  # the database is away: the rows say what is still to be pulled
                log.warning("kf.look_failed", error=type(error).__name__)
            try:
                async with asyncio.timeout(self._settings.poll_seconds):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def _account(self, account: str) -> int:
        """How many messages of this account were new. Whatever goes wrong with it is tried again after a rest."""
        rest = self._rest.get(account)
        if rest is not None and self._clock() < rest:
            return 0
        pause = REST
        try:
            return await self._leased(account)
        except LeaseLost:
            log.warning("kf.lease_lost")
            return 0
        except SendFailed as error:
            pause = error.after if error.after is not None else REST
            log.warning("kf.not_pulled", reason=str(error))
        except Exception as error:  # its words may hold a customer's
            log.error("kf.not_pulled", error=type(error).__name__)
        self._rest[account] = self._clock() + timedelta(seconds=pause)
        return 0

    async def _leased(self, account: str) -> int:
        row = await self._db.run(partial(pull.seize, name=name_of(account), now=self._clock(), lease=LEASE))
        if row is None:
            return 0
        try:
            return await self._to_the_end(row, account)
        except BaseException:
            await self._db.run(partial(pull.release, row=row))
            raise

    async def _to_the_end(self, row: Pull, account: str) -> int:
        new, more, empty = 0, True, 0
        while more:
            page = await self._page(row, account)
            items, cursor = page.get("msg_list") or [], str(page.get("next_cursor") or row.cursor)
            more = bool(page.get("has_more"))
            # A page may be empty although there is more behind it; in vain for ever it must not be asked.
            empty = 0 if items or cursor != row.cursor else empty + 1
            if more and empty > EMPTY:
                raise SendFailed("sync_msg says that there is more, and gives nothing")
            new += await self._kept(row, account, _read(items, account), cursor)
        await self._db.run(lambda session: pull.finish(session, row, now=self._clock()))
        return new

    async def _kept(self, row: Pull, account: str, found: list[Incoming | Event], cursor: str) -> int:
        """The page is kept, and the cursor moved. Raises SendFailed while a message of it cannot be stored: the others
        are kept, and the page is asked for again."""

        def whole(session: Session) -> int:
            pull.move(session, row, cursor, now=self._clock(), lease=LEASE)
            return self._keeping.keep(session, found, self._clock())

        before = row.cursor
        try:
            new = await self._db.run(whole)
        except (LeaseLost, sa.exc.OperationalError):  # the latter: the database is away, for all of them
            row.cursor = before  # rolled back
            raise
        except Exception as error:
            row.cursor = before
            log.error("kf.page_not_kept", error=type(error).__name__)
            new = await self._one_by_one(row, account, found, cursor)
        self._tries.pop(account, None)
        if found:
            self._wake()
        return new

    async def _one_by_one(self, row: Pull, account: str, found: list[Incoming | Event], cursor: str) -> int:
        self._tries[account] = self._tries.get(account, 0) + 1
        last = self._tries[account] >= TRIES

        def work(session: Session) -> tuple[int, dict[str, str]]:
            new, bad = 0, {}
            for one in found:
                try:
                    with session.begin_nested():
                        new += self._keeping.keep(session, [one], self._clock())
                except sa.exc.OperationalError:
                    raise
                except Exception as error:  # its words may hold the customer's
                    bad[one.id] = type(error).__name__
            # Also when it stays where it is: whoever lost the lease keeps nothing.
            pull.move(session, row, cursor if last or not bad else row.cursor, now=self._clock(), lease=LEASE)
            return new, bad

        new, bad = await self._db.run(work)
        if not bad:
            return new
        if not last:
            self._wake()
            raise SendFailed(f"{len(bad)} of {len(found)} messages cannot be stored")
        for message, error in bad.items():
            metrics.refused.labels(NAME, "not_stored").inc()
            log.error("kf.passed", message=message, error=error)
        return new

    async def _page(self, row: Pull, account: str) -> dict[str, Any]:
        body: dict[str, Any] = {"open_kfid": account, "limit": PAGE, "voice_format": 0}
        if row.cursor:
            body["cursor"] = row.cursor
        if row.hint and row.hint_until is not None and self._clock() < row.hint_until:
            body["token"] = row.hint
        try:
            return await self._asked(body)
        except ApiError as error:
            if error.code != BAD_TOKEN or "token" not in body:
                raise
        row.hint = ""
        del body["token"]
        return await self._asked(body)

    async def _asked(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._api.call("/cgi-bin/kf/sync_msg", body)
        except Uncertain as error:
            raise SendFailed(str(error)) from None  # asking changes nothing


def name_of(account: str) -> str:
    """What an account's list is called."""
    return f"{NAME}:{account}"


def _read(items: list[Any], account: str) -> list[Incoming | Event]:
    """What says something to us. One that cannot be read must not keep those behind it for ever."""
    found = []
    for item in items:
        try:
            one = read(item, account)
        except Exception as error:
            why = error.why if isinstance(error, Refused) else "malformed"
            metrics.refused.labels(NAME, why).inc()
            log.error("kf.unreadable", why=why, error=type(error).__name__)
            continue
        if one is not None:
            found.append(one)
    return found
