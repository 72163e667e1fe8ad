"""Quotas as the platforms count them, written apart from the app's own ledgers."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from bot.platform.codes import PlatformError


class Rate:
    """At most `limit` in any `per`, for each key."""

    def __init__(self, limit: int, per: timedelta, code: int = 45009) -> None:
        self.limit = limit
        self._per = per
        self._code = code
        self._times: dict[str, deque[datetime]] = defaultdict(deque)

    def allows(self, key: str, now: datetime) -> bool:
        """Count one more, unless that would be too many."""
        times = self._times[key]
        while times and now - times[0] >= self._per:
            times.popleft()
        if len(times) >= self.limit:
            return False
        times.append(now)
        return True

    def take(self, key: str, now: datetime) -> None:
        """The same; raises PlatformError where it would be too many."""
        if not self.allows(key, now):
            raise PlatformError(self._code, f"{self.limit} in {int(self._per.total_seconds())} s")


def conversation_rates() -> tuple[Rate, Rate]:
    """30 a minute and 1000 an hour: AI bots per chat, apps per member."""
    return Rate(30, timedelta(minutes=1), 846607), Rate(1000, timedelta(hours=1), 846607)


class Window:
    """So many answers within so long after each word of a user: 客服消息 of 公众号 and 微信客服, five in 48 hours."""

    def __init__(self, *, late: int, used: int, answers: int = 5, hours: float = 48) -> None:
        """late, used: the codes when the time is over, or the answers are used up."""
        self._late, self._used = late, used
        self._answers = answers
        self._span = timedelta(hours=hours)
        self._open: dict[str, tuple[datetime, int]] = {}

    def heard(self, user: str, now: datetime, answers: int | None = None) -> None:
        """The user wrote: the count begins anew."""
        self._open[user] = (now, self._answers if answers is None else answers)

    def left(self, user: str, now: datetime) -> int:
        """How many answers she may still get."""
        at, answers = self._open.get(user, (now - 2 * self._span, 0))
        return answers if now - at < self._span else 0

    def spend(self, user: str, now: datetime) -> None:
        """One answer. Raises PlatformError."""
        at, answers = self._open.get(user, (now - 2 * self._span, 0))
        if now - at >= self._span:
            raise PlatformError(self._late)
        if answers <= 0:
            raise PlatformError(self._used)
        self._open[user] = (at, answers - 1)
