"""The platform's side of the customer messages: remembers what arrived, and is as unreliable as the real one."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web


class Mood(StrEnum):
    """How a call is answered. Taken: ok, late, cut, and hang now and then."""

    OK = "ok"
    LATE = "late"  # taken, the answer comes after a while
    CUT = "cut"  # taken, the connection ends without an answer
    HANG = "hang"  # perhaps taken, no answer ever
    BROKEN = "broken"  # HTTP 500, not taken
    BUSY = "busy"  # errcode -1, not taken
    GONE = "gone"  # errcode 45015: the 48 hours are over, not taken


# Drawn from without putting back, then shuffled anew: a storm of any size meets every mood.
DECK = (*[Mood.OK] * 8, *[Mood.LATE] * 2, Mood.CUT, Mood.HANG, Mood.BROKEN, Mood.BUSY, Mood.GONE)
HUNG_SECONDS = 60.0


@dataclass(frozen=True)
class Delivery:
    """One message that a person saw. at: unix seconds."""

    user: str
    text: str
    at: float = field(default_factory=time.time)


class FakePlatform:
    """Serves the token and the sending of messages. `rough` switches the moods on."""

    def __init__(self, draw: random.Random) -> None:
        self.rough = False
        self.deliveries: list[Delivery] = []
        self.moods: dict[Mood, int] = {}
        self.address = ""
        self._draw = draw
        self._deck: list[Mood] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port of the loopback; `address` says which."""
        app = web.Application()
        app.router.add_post("/cgi-bin/stable_token", self._token)
        app.router.add_post("/cgi-bin/message/custom/send", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def met(self) -> int:
        """How many sendings there were."""
        return sum(self.moods.values())

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "a-platform-token", "expires_in": 7200})

    async def _send(self, request: web.Request) -> web.Response:
        letter = json.loads(await request.read())
        menu = letter["msgtype"] == "msgmenu"
        delivery = Delivery(letter["touser"], letter["msgmenu"]["head_content"] if menu else letter["text"]["content"])
        mood = self._mood()
        self.moods[mood] = self.moods.get(mood, 0) + 1
        if mood in (Mood.OK, Mood.LATE, Mood.CUT) or (mood == Mood.HANG and self._draw.random() < 0.5):
            self.deliveries.append(delivery)
        if mood == Mood.LATE:
            await asyncio.sleep(self._draw.uniform(0.2, 1.5))
        elif mood == Mood.HANG:
            await asyncio.sleep(HUNG_SECONDS)
        elif mood == Mood.CUT and request.transport is not None:
            request.transport.close()
        if mood == Mood.BROKEN:
            return web.Response(status=500)
        codes = {Mood.BUSY: -1, Mood.GONE: 45015}
        return web.json_response({"errcode": codes.get(mood, 0), "errmsg": mood.value})

    def _mood(self) -> Mood:
        if not self.rough:
            return Mood.OK
        if not self._deck:
            self._deck = list(DECK)
            self._draw.shuffle(self._deck)
        return self._deck.pop()
