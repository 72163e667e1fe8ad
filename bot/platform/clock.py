"""Time on the platform: it can be asked, and waited for."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

CHINA = timezone(timedelta(hours=8))


class Timepiece(Protocol):
    """A clock that can also be waited on. Tests have one that is moved by hand."""

    def __call__(self) -> datetime:
        """Now, aware UTC."""

    async def wait(self, seconds: float) -> None:
        """Return once that much of this clock's time has passed."""


def beginning(clock: Timepiece) -> int:
    """What a run counts from: seconds since 1970, in 31 bits until 2038.

    A platform that is started again with the same seed must not give a message the number of an old one, which a bot
    would rightly take for the same message.
    """
    return int(clock().timestamp())


class WallClock:
    """The machine's own time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    async def wait(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
