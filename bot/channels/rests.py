"""Pauses: what a platform refused to our account is not asked for again for a while, whichever message waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot import metrics
from bot.channels.replies import PAUSE, AccountRefused, ApiError
from models.base import Clock

log = structlog.get_logger(__name__)
LONGEST = 300.0  # seconds of a pause, each twice the one before: so late may an alert be when a day's calls come back


@dataclass(frozen=True)
class _Rest:
    """error: what the platform said. seconds: of this pause."""

    error: ApiError
    until: datetime
    seconds: float


class Rests:
    """The pauses of one account in this process, by kind of call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests: dict[str, _Rest] = {}

    def check(self, call: str) -> None:
        """One message is told that the calls are used up; those behind it need not ask. Raises AccountRefused."""
        rest = self._rests.get(call)
        if rest is not None and (left := self._left(rest)) > 0:
            raise AccountRefused(rest.error.code, str(rest.error), after=left)

    def refused(self, call: str, error: ApiError) -> AccountRefused:
        """The error to raise. Said once for each pause, however many were refused side by side."""
        rest = self._rests.get(call)
        if rest is None or self._left(rest) <= 0:
            seconds = min(LONGEST, rest.seconds * 2) if rest is not None else PAUSE
            rest = self._rests[call] = _Rest(error, self._clock() + timedelta(seconds=seconds), seconds)
            say_refused(call, error, seconds)
        return AccountRefused(error.code, str(error), after=self._left(rest))

    def taken(self, call: str) -> None:
        """The platform takes them again."""
        self._rests.pop(call, None)

    def _left(self, rest: _Rest) -> float:
        return (rest.until - self._clock()).total_seconds()


def say_refused(call: str, error: ApiError, seconds: float) -> None:
    """An operator must hear of it: nothing of this kind leaves for so long."""
    metrics.account_refused.labels(call, str(error.code)).inc()
    log.error("api.account_refused", call=call, code=error.code, reason=str(error), seconds=seconds)
