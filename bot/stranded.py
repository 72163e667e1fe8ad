"""Alerts on a channel that no process has up: nobody takes them, so no try of theirs ever fails.

After some minutes they go on as those do that are given up, where that leads to somebody on another channel; else they
wait for their own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, col

from bot.unreached import Unreached
from models import outbox
from models.base import Clock
from models.database import Database
from models.message import Purpose
from models.outbox import DEAD, WAITS, Outbox

log = structlog.get_logger(__name__)
WHY = "no process could send it"
SOME = 500
# In a resident's words a quotation mark has a backslash before it: nobody writes herself an alert.
ALERT = f'"purpose":"{Purpose.ALERT.value}"'


class Stranded:
    """Looks for them; any number of processes may."""

    def __init__(
        self, db: Database, unreached: Unreached, clock: Clock, wait: timedelta,
        over: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """wait: so long one must have been due. over: asked before each transaction; once it is, none begins."""
        self._db = db
        self._unreached = unreached
        self._clock = clock
        self._wait = wait
        self._over = over

    def run(self) -> int:
        """Hand on what can be. Returns how many."""
        found = self._db.tx(lambda session: session.scalars(self._due(self._clock()).limit(SOME)).all())
        return sum(self._on(row.id or 0) for row in found if not self._over())

    def _due(self, now: datetime) -> sa.Select[Any]:
        """Due for long, and so is all before them: what is behind one that is tried now and then waits for that."""
        since = now - self._wait
        earlier = sa.orm.aliased(Outbox, name="earlier")
        tried = sa.exists().where(
            col(earlier.conversation) == col(Outbox.conversation), col(earlier.finished_at).is_(None),
            col(earlier.id) < col(Outbox.id), col(earlier.visible_at) > since, col(earlier.outcome) != WAITS,
        )  # fmt: skip
        return (
            sa.select(Outbox)
            .where(
                col(Outbox.finished_at).is_(None), col(Outbox.visible_at) <= since, col(Outbox.outcome) != WAITS,
                col(Outbox.payload).contains(ALERT, autoescape=True), ~tried,
            )
            .order_by(col(Outbox.visible_at), col(Outbox.id))
        )  # fmt: skip

    def _on(self, number: int) -> bool:
        def work(session: Session) -> bool:
            now = self._clock()
            mine = self._due(now).where(col(Outbox.id) == number).with_for_update(skip_locked=True)
            row = session.scalars(mine).first()  # nobody can take it now before this is written
            if row is None:
                return False
            try:
                out = outbox.read(row)
            except ValidationError:
                return False
            if not self._unreached.follow(session, out, row.dedup_key, now, elsewhere=True):
                return False
            given_up = sa.update(Outbox).where(col(Outbox.id) == number)
            session.connection().execute(given_up.values(finished_at=now, lease=None, outcome=DEAD, error=WHY))
            log.error("alert.stranded", outbox=number, channel=out.channel, ticket=out.ticket)
            return True

        try:
            return self._db.tx(work)
        except StaleDataError:  # somebody else has the ticket: at the next look
            return False
