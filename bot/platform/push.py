"""Callbacks to the app under test, with the platform's patience: five seconds, three tries in all.

Source: 企业微信 90238, 公众号 接收普通消息. Whether a further try carries a new timestamp and nonce is not documented:
the very same bytes are sent again. Only a 200 counts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from bot.platform.clock import Timepiece
from bot.platform.world import World

PATIENCE = 5.0  # seconds
TRIES = 3
KEPT = 2_000


@dataclass
class Push:
    """One callback and how the app answered. statuses: of each try, 0 where no answer came. body: the last answer."""

    url: str
    params: Mapping[str, str]
    data: bytes
    content_type: str
    statuses: list[int] = field(default_factory=list)
    body: str = ""
    done: bool = False

    @property
    def status(self) -> int:
        """Of the last try."""
        return self.statuses[-1] if self.statuses else 0

    @property
    def tries(self) -> int:
        """How often it was sent."""
        return len(self.statuses)

    @property
    def taken(self) -> bool:
        """The app acknowledged it."""
        return self.status == HTTPStatus.OK


class Pusher:
    """Sends callbacks and keeps what became of them."""

    def __init__(self, clock: Timepiece, world: World, *, pause: float = 0.0) -> None:
        """pause: seconds between a refusal and the next try; after a time-out there is none."""
        self.pushes: list[Push] = []
        self.holding = False  # callbacks wait for `release`: late ones, and out of order
        self._held: list[tuple[Push, int, float]] = []
        self._clock = clock
        self._world = world
        self._pause = pause
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def stop(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, params: Mapping[str, str], data: bytes, *, content_type: str, tries: int = TRIES,
        patience: float = PATIENCE,
    ) -> Push:  # fmt: skip
        """Deliver one callback; returns when it was taken or given up."""
        push = Push(url, dict(params), data, content_type)
        self.pushes.append(push)
        del self.pushes[:-KEPT]
        if self.holding:
            self._held.append((push, tries, patience))
            return push
        return await self._deliver(push, tries, patience)

    async def release(self, *, backwards: bool = False) -> list[Push]:
        """Deliver what was held, one after another; what the app answers at once is then nobody's any more."""
        self.holding = False
        held, self._held = self._held, []
        return [await self._deliver(*each) for each in (reversed(held) if backwards else held)]

    async def _deliver(self, push: Push, tries: int, patience: float) -> Push:
        for attempt in range(1, tries + 1):
            status, push.body = await self._try("POST", push, patience)
            push.statuses.append(status)
            if push.taken or attempt == tries:
                break
            if status and self._pause:
                await self._clock.wait(self._pause)
        push.done = True
        self._world.touch()
        return push

    async def get(self, url: str, params: Mapping[str, str], patience: float = PATIENCE) -> Push:
        """The address check: one GET, one try."""
        push = Push(url, dict(params), b"", "")
        status, push.body = await self._try("GET", push, patience)
        push.statuses.append(status)
        push.done = True
        return push

    async def again(self, push: Push) -> Push:
        """The very same bytes once more, as a late or doubled delivery; tries once."""
        return await self.post(push.url, push.params, push.data, content_type=push.content_type, tries=1)

    async def _try(self, method: str, push: Push, patience: float) -> tuple[int, str]:
        sending = asyncio.ensure_future(self._send(method, push))
        waiting = asyncio.ensure_future(self._clock.wait(patience))
        try:
            await asyncio.wait({sending, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return sending.result() if sending.done() else (0, "")
        except (aiohttp.ClientError, OSError):
            return 0, ""
        finally:
            for task in (sending, waiting):
                task.cancel()
            await asyncio.gather(sending, waiting, return_exceptions=True)

    async def _send(self, method: str, push: Push) -> tuple[int, str]:
        if self._session is None:
            raise RuntimeError("the platform is not started")
        headers = {"Content-Type": push.content_type} if push.content_type else {}
        async with self._session.request(
            method, push.url, params=push.params, data=push.data or None, headers=headers, allow_redirects=False
        ) as response:
            return response.status, await response.text(errors="replace")
