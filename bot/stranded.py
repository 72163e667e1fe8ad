"""Alerts that wait without a try of theirs ever failing, for some minutes now.

On a channel that no process has up nobody takes them: they go on as those do that are given up, where that leads to
somebody on another channel. Where the platform takes nothing of our account's (`Halted`), nothing is known of whoever
they are for: they go to another channel of hers, and to nobody else. Else they wait for their own.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, col

from bot.channels.base import Channel
from bot.channels.carrying import elsewhere, hand_on, may_answer, recipient
from bot.channels.known import Known
from bot.channels.render import rest
from bot.unreached import Unreached
from models import outbox, sending
from models.base import Clock
from models.database import Database
from models.message import Outgoing
from models.outbox import ALERT, DEAD, HALTED, WAITS, Outbox

log = structlog.get_logger(__name__)
WHY = "no process could send it"
SOME = 500

Rows = Callable[[datetime], sa.Select[Any]]
Hand = Callable[[Session, Outbox, Outgoing], bool]  # False: it waits on


class Stranded:
    """Looks for them; any number of processes may."""

    def __init__(
        self, db: Database, known: Known, unreached: Unreached, clock: Clock, wait: timedelta,
        channels: Mapping[str, Channel], over: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """wait: so long one must have been due. channels: that this process sends by. over: asked before each
        transaction; once it is, none begins."""
        self._db = db
        self._known = known
        self._unreached = unreached
        self._clock = clock
        self._wait = wait
        self._channels = channels
        self._over = over

    def run(self) -> int:
        """Hand on what can be. Returns how many."""
        return self._each(self._due, self._follow) + self._each(self._halted, self._carry)

    def _each(self, rows: Rows, hand: Hand) -> int:
        found = self._db.tx(lambda session: session.scalars(rows(self._clock()).limit(SOME)).all())
        return sum(self._on(row.id or 0, rows, hand) for row in found if not self._over())

    def _due(self, now: datetime) -> sa.Select[Any]:
        """Due for long, and so is all before them: what is behind one that is tried now and then waits for that."""
        since = now - self._wait
        earlier = sa.orm.aliased(Outbox, name="earlier")
        tried = sa.exists().where(
            col(earlier.conversation) == col(Outbox.conversation), col(earlier.finished_at).is_(None),
            sa.tuple_(col(earlier.lane), col(earlier.id)) < sa.tuple_(col(Outbox.lane), col(Outbox.id)),
            col(earlier.visible_at) > since, col(earlier.outcome) != WAITS,
        )  # fmt: skip
        return (
            sa.select(Outbox)
            .where(
                col(Outbox.finished_at).is_(None), col(Outbox.visible_at) <= since, col(Outbox.outcome) != WAITS,
                col(Outbox.payload).contains(ALERT, autoescape=True), ~tried,
            )
            .order_by(col(Outbox.visible_at), col(Outbox.id))
        )  # fmt: skip

    def _halted(self, now: datetime) -> sa.Select[Any]:
        """Put long ago, into a chat for which the platform refuses our account again and again."""
        since = now - self._wait
        refused = sa.orm.aliased(Outbox, name="refused")
        again = sa.exists().where(
            col(refused.conversation) == col(Outbox.conversation), col(refused.finished_at).is_(None),
            col(refused.outcome) == HALTED, col(refused.lease).is_(None), col(refused.visible_at) > since,
        )  # fmt: skip
        return (
            sa.select(Outbox)
            .where(
                col(Outbox.finished_at).is_(None), col(Outbox.created_at) <= since, col(Outbox.lease).is_(None),
                col(Outbox.outcome) != WAITS, col(Outbox.channel).in_(sorted(self._channels)),
                col(Outbox.payload).contains(ALERT, autoescape=True), again,
            )
            .order_by(col(Outbox.id))
        )  # fmt: skip

    def _follow(self, session: Session, row: Outbox, out: Outgoing) -> bool:
        """To whoever is told instead of her, if anybody is by another channel."""
        now = self._clock()
        if not self._unreached.follow(session, out, row.dedup_key, now, elsewhere=True):
            return False
        given_up = sa.update(Outbox).where(col(Outbox.id) == row.id)
        session.connection().execute(given_up.values(finished_at=now, lease=None, outcome=DEAD, error=WHY))
        log.error("alert.stranded", outbox=row.id, channel=out.channel, ticket=out.ticket)
        return True

    def _carry(self, session: Session, row: Outbox, out: Outgoing) -> bool:
        """To herself: what of it has not left."""
        now, person = self._clock(), recipient(session, out)
        told = rest(out.model_copy(update={"parts": row.parts}), self._channels[row.channel].can.max_bytes)
        if person is None or (row.parts and not told.text):
            return False
        pushing = {name for name, channel in self._channels.items() if channel.can.push}
        found = elsewhere(session, self._known.town(session), told, person, only=pushing)
        if found is None or not sending.leave_to_another(session, row, now=now):
            return False
        hand_on(session, row.dedup_key, found, now)
        may_answer(session, out, found)
        log.warning("alert.carried", outbox=row.id, channel=out.channel, by=found.channel, ticket=out.ticket)
        return True

    def _on(self, number: int, rows: Rows, hand: Hand) -> bool:
        def work(session: Session) -> bool:
            mine = rows(self._clock()).where(col(Outbox.id) == number).with_for_update(skip_locked=True)
            row = session.scalars(mine).first()  # nobody can take it now before this is written
            if row is None:
                return False
            try:
                out = outbox.read(row)
            except ValidationError:
                return False
            return hand(session, row, out)

        try:
            return self._db.tx(work)
        except StaleDataError:  # somebody else has the ticket: at the next look
            return False
