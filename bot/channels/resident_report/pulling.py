"""Reads what changed since the last look: one process of a deployment at a time, page by page, into the inbox.

The cursor is a `Mark`: the moment at which the last whole look began. It is moved only when all pages of a look are
kept, and the next look begins a little before it; what is read twice is kept once, because a message has its id of the
order and the step. The pages' own cursor is never kept: it is good for one pair of conditions only (93513).
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot import metrics
from bot.channels.api import ApiClient
from bot.channels.base import SendFailed, Uncertain
from bot.channels.holder import Holder
from bot.channels.resident_report.orders import NAME, ended, read
from bot.channels.security import Refused
from bot.ingest import Ingest
from config.resident_report import ResidentReportSettings
from models import inbox
from models.base import Clock
from models.database import Database
from models.mark import Mark, value
from models.message import Incoming
from models.ticket import TicketMessage

log = structlog.get_logger(__name__)

LIST = "/cgi-bin/report/resident/get_order_list"
WIDE = timedelta(hours=1)  # between two looks that go far back
LIMIT = 50  # orders of a page; the platform gives no more
PAGES = 2_000  # of one look: a platform that gives pages without end is not followed


class Pulling:
    """Looks, when it is time, if nobody else does."""

    def __init__(
        self, settings: ResidentReportSettings, api: ApiClient, ingest: Ingest, db: Database, clock: Clock
    ) -> None:
        self._settings = settings
        self._api = api
        self._ingest = ingest
        self._db = db
        self._clock = clock
        account = hashlib.sha256((settings.corp_id or "").encode()).hexdigest()[:12]
        self._mark = f"{NAME}:{account}"
        self._since = f"{NAME}>{account}"  # when the very first look began
        self._wide = f"{NAME}<{account}"  # when the last one began that went far back
        self._holder = Holder(db, self._mark)

    async def step(self) -> int | None:
        """Look once. Returns how many orders were read; None when it was not time yet, or another process looks.

        Raises SendFailed when the platform gave no whole answer, Busy when the door is full, and what the database
        raises; the cursor then stays where it is.
        """
        if not await self._time() or not await self._holder.take():
            return None
        try:
            if not await self._time():  # somebody has looked between the two questions
                return None
            return await self._look()
        finally:
            await self._holder.let_go()

    async def _time(self) -> bool:
        last = await self._moment(self._mark)
        return last is None or self._clock() >= last + timedelta(seconds=self._settings.poll_seconds)

    async def _moment(self, mark: str) -> datetime | None:
        """When the last whole look began, or the very first."""
        seconds = await self._db.run(lambda session: value(session, mark))
        return datetime.fromtimestamp(seconds, UTC) if seconds else None

    async def _look(self) -> int:
        began, last = self._clock(), await self._moment(self._mark)
        here_since = await self._moment(self._since) or began
        wide = await self._moment(self._wide)
        back = bool(self._settings.late_hours) and (wide is None or began >= wide + WIDE)
        if last is None:
            since = began - timedelta(days=self._settings.first_days)
        else:
            since = last - timedelta(seconds=self._settings.overlap_seconds)
            since = min(since, began - timedelta(hours=self._settings.late_hours)) if back else since
        count = 0
        body: dict[str, Any] = {"begin_modify_time": int(since.timestamp()), "cursor": "", "limit": LIMIT}
        for _ in range(PAGES):
            page = await self._page(body)
            orders = page.get("order_list") or []
            for order in orders:
                await self._keep(order, here_since)
            count += len(orders)
            cursor = str(page.get("next_cursor") or "")
            if not cursor:
                await self._db.run(lambda session: self._advance(session, began, back=back))
                return count
            if cursor == body["cursor"]:
                raise SendFailed(f"{LIST}: the same page again")
            body["cursor"] = cursor
        raise SendFailed(f"{LIST}: more than {PAGES} pages")

    async def _page(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._api.call(LIST, body)
        except Uncertain as error:  # asking changes nothing
            raise SendFailed(str(error)) from None

    async def _keep(self, order: Any, here_since: datetime) -> None:
        """An order and its steps, one after another: they are one conversation. What was over before we came, and was
        never ours, is left alone."""
        try:
            over = ended(order)
            given = self._settings
            found = read(
                order, coordinates=given.coordinates, urgent=given.urgent, grids=given.grids, kinds=given.kinds
            )
        except Refused as refused:  # one order that cannot be read does not hold up the others
            _refuse(order, refused.why)
            return
        new = await self._db.run(lambda session: _unknown(session, found))
        if over is not None and over <= here_since and len(new) == len(found):
            return
        for message in new:
            try:
                await self._ingest.accept(message)
            except (ValueError, sa.exc.DataError, sa.exc.IntegrityError):  # nor does one that cannot be kept
                _refuse(order, "not_stored")

    def _advance(self, session: Session, began: datetime, *, back: bool) -> None:
        """The cursor only grows. Nobody else moves it: whoever looks holds the lock. back: it was a look far back."""
        moved = {self._mark, *([self._wide] if back else [])}
        for name in (*moved, self._since):
            row = session.get(Mark, name)
            if row is None or name in moved:
                row = row or Mark(name=name)
                row.value = max(row.value, int(began.timestamp()))
                session.add(row)


def _refuse(order: Any, why: str) -> None:
    metrics.refused.labels(NAME, why).inc()
    named = str(order.get("order_id"))[:80] if isinstance(order, dict) else ""
    log.error("resident_report.refused", why=why, order=named.encode(errors="replace").decode())


def _unknown(session: Session, found: Sequence[Incoming]) -> list[Incoming]:
    """Those that neither the inbox holds nor any ticket: what its sender had deleted does not come in again with the
    order's next step, nor what the inbox has forgotten."""
    keys = [message.dedup_key for message in found]
    known = set(session.scalars(sa.select(col(inbox.Inbox.dedup_key)).where(col(inbox.Inbox.dedup_key).in_(keys))))
    told = sa.select(col(TicketMessage.message)).where(
        col(TicketMessage.channel) == NAME, col(TicketMessage.message).in_([message.id for message in found])
    )
    kept = set(session.scalars(told))
    return [message for message in found if message.dedup_key not in known and message.id not in kept]
