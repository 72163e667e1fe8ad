"""A circuit breaker: who has failed several times in a row is left in peace for a while, then tried once."""

from collections.abc import Callable


class Breaker:
    """Closed, it lets everything through. After `limit` failures in a row it is open for `pause` seconds; then one
    question may try. If that succeeds it is closed again, if not the pause begins anew. Not for several threads."""

    def __init__(self, limit: int, pause: float, clock: Callable[[], float]) -> None:
        """clock: seconds, only forward."""
        self._limit = limit
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._until: float | None = None

    @property
    def closed(self) -> bool:
        """Everything is let through."""
        return self._until is None

    def lets_through(self) -> bool:
        """Whether to ask now. A True while it is open is the one trial: the next pause begins with it."""
        if self._until is None:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._pause
        return True

    def succeeded(self) -> None:
        """An answer came: closed."""
        self._failures = 0
        self._until = None

    def failed(self) -> None:
        """No answer came. What was under way when it opened changes nothing."""
        if self._until is not None:
            return
        self._failures += 1
        if self._failures >= self._limit:
            self._until = self._clock() + self._pause
