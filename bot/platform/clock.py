"""Time on the platform: it can be asked, and waited for."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Timepiece(Protocol):
    """A clock that can also be waited on. Tests have one that is moved by hand."""

    def __call__(self) -> datetime:
        """Now, aware UTC."""

    async def wait(self, seconds: float) -> None:
        """Return once that much of this clock's time has passed."""


class WallClock:
    """The machine's own time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    async def wait(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
