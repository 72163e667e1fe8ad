"""What follows when an alert is given up, on any channel: `handlers.unreached`, in the transaction that says so."""

import hashlib
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels.known import Known
from handlers.desk import Desk, Linker
from handlers.unreached import not_reached
from handlers.workdays import WorkCalendar
from models import outbox
from models.message import Outgoing

log = structlog.get_logger(__name__)


class Unreached:
    """Hands alerts that did not arrive to whoever else may act."""

    def __init__(self, known: Known, calendar: WorkCalendar | None, link: Linker) -> None:
        """calendar: of the deadlines that are told; None: China's. link: of a task card, for whoever takes over."""
        self._known = known
        self._calendar = calendar
        self._link = link

    def follow(
        self, session: Session, out: Outgoing, client_id: str, now: datetime, *, elsewhere: bool = False
    ) -> bool:  # fmt: skip
        """Decide who is told instead. Its messages have keys of their own, so that it is decided once.

        elsewhere: where nobody is told on another channel, nothing is decided. Returns whether anybody is. Raises
        StaleDataError where somebody else has the ticket: try again.
        """
        self._calendar = self._calendar or WorkCalendar.configured(ZoneInfo("Asia/Shanghai"))
        town = self._known.town(session)
        # Hashed, because it grows otherwise with everybody in a row who is not there.
        key = f"unreached:{hashlib.sha256(client_id.encode()).hexdigest()[:32]}"
        desk = Desk(session, town, now, self._calendar, key, self._link)
        with session.begin_nested() as point:
            outcome = not_reached(desk, out)
            session.flush()
            messages = list(desk.take())
            if elsewhere and all(message.channel == out.channel for _, message in messages):
                point.rollback()
                return False
            outbox.put(session, messages, now)
        metrics.unreached.labels(out.channel, outcome).inc()
        log.error("alert.not_reached", channel=out.channel, ticket=out.ticket, follows=outcome)
        return outcome in ("next", "staff")
