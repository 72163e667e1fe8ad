"""The long connection (长连接) of an AI bot, platform page 101463: subscribe, ping, callbacks in, requests out.

One connection a bot: whoever subscribes later gets it, and the earlier one hears `disconnected_event`. It does not come
back then by itself, because two that do would throw each other out for ever. After every other end it comes back, with
a growing pause.
"""

import asyncio
import contextlib
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp
import structlog

from bot import metrics
from bot.channels.api import ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.replies import refusal
from bot.channels.sealed import check_json
from bot.channels.security import Refused
from bot.channels.wecom_bot.figures import gone, standing
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.rates import FULL, LIMITED
from bot.channels.wecom_bot.turns import Turns

log = structlog.get_logger(__name__)
FRAME_BYTES = 1024 * 1024
CLOSE_SECONDS = 0.5  # for the other side's farewell
BUSY = -1

Hear = Callable[[str, str, dict[str, Any]], Coroutine[Any, Any, None]]


class State(StrEnum):
    """How the connection is. resting: somebody else has it, and this process leaves it to him until it is started
    anew."""

    OFF = "off"
    WAITING = "waiting"
    CONNECTING = "connecting"
    UP = "up"
    RESTING = "resting"


@dataclass(frozen=True)
class Pace:
    """Seconds, all of them. ping: between two (the platform asks for 30). silence: nothing heard for so long means that
    nobody is there. ack: for an answer to a request. probe: for the pong when that answer did not come. first, most:
    pause before coming back, doubled each time, with jitter. refused: the least pause after the platform did not take
    the subscription, which it counts. steady: up for so long, the pauses begin anew. settle: between two looks for
    messages that were handled and have no answer."""

    ping: float = 30.0
    silence: float = 75.0
    ack: float = 10.0
    probe: float = 3.0
    connect: float = 10.0
    first: float = 1.0
    most: float = 60.0
    refused: float = 30.0
    steady: float = 60.0
    settle: float = 1.0


class Kicked(Exception):
    """Somebody else has subscribed to this bot."""


class _Enough(Exception):
    """The platform has taken us, and that is all we wanted to know."""


class Connection:
    """Keeps one connection open, for as long as `run` runs."""

    def __init__(self, url: str, bot_id: str, secret: str, hear: Hear, pace: Pace | None = None) -> None:
        """hear: called for each callback with (cmd, req_id, body), in a task of its own."""
        self._url = url
        self._bot_id = bot_id
        self._secret = secret
        self._hear = hear
        self._pace = pace or Pace()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._turns = Turns()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = 0.0
        self._up = asyncio.Event()
        self._doubted = asyncio.Event()  # an answer did not come: is anybody there?
        self.comes_back = True  # after a line that was lost
        self.state = State.OFF
        self.why = ""  # the last line ended, or was not taken

    @property
    def up(self) -> bool:
        """The platform has taken us, and nothing says that nobody is there any more."""
        return self.state == State.UP and not self._doubted.is_set()

    def rest(self) -> None:
        """Say that somebody else has the bot, and that it is left to him."""
        self._now(State.RESTING)

    async def run(self, on_up: Callable[[], Awaitable[None]]) -> None:
        """Connect, and again, until cancelled, or until a line is lost and it is not to come back. on_up: called each
        time the platform has taken us. Raises Kicked."""
        loop = asyncio.get_running_loop()
        tries = 0
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                while self.comes_back:
                    began = loop.time()
                    why, least = await self._until_lost(session, on_up)
                    tries = 0 if loop.time() - began > self._pace.steady else tries
                    # With jitter: after an outage of the platform not all bots come back in the same moment.
                    pause = min(self._pace.most, self._pace.first * 2**tries) * random.uniform(0.5, 1.5)  # noqa: S311
                    tries = min(tries + 1, 16)
                    gone.labels(NAME).inc()
                    if not self.comes_back:
                        return
                    self.why = why
                    self._now(State.WAITING)
                    log.warning("connection.lost", channel=NAME, why=why, back_in=round(max(pause, least), 1))
                    await asyncio.sleep(max(pause, least))
        finally:
            self._now(State.OFF)

    async def prove(self) -> None:
        """Subscribe once, and hang up. Raises ApiError when the platform does not take us, and whatever a line raises
        that does not come about. Whoever is subscribed is thrown out by it."""

        async def enough() -> None:
            raise _Enough

        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            with contextlib.suppress(_Enough):
                await self._once(session, enough)
        self._now(State.OFF)

    async def _until_lost(
        self, session: aiohttp.ClientSession, on_up: Callable[[], Awaitable[None]]
    ) -> tuple[str, float]:
        """One connection; returns why it ended, and the least pause before the next. Raises Kicked."""
        try:
            await self._once(session, on_up)
        except Kicked:
            raise
        except ApiError as error:
            return f"errcode {error.code}", self._pace.refused
        except Exception as error:
            return type(error).__name__, 0.0  # its words hold the address
        return "closed", 0.0

    def _now(self, state: State) -> None:
        self.state = state
        for one in State:
            standing.labels(NAME, one.value).set(one == state)

    async def _once(self, session: aiohttp.ClientSession, on_up: Callable[[], Awaitable[None]]) -> None:
        """One connection from its beginning to its end. Raises Kicked, ApiError, and what a broken line raises."""
        self._now(State.CONNECTING)
        async with asyncio.timeout(self._pace.connect):
            socket = await session.ws_connect(
                self._url, max_msg_size=FRAME_BYTES, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)
            )
        self._heard_at = asyncio.get_running_loop().time()
        self._doubted.clear()
        reader = asyncio.create_task(self._read(socket))
        keeper: asyncio.Task[None] | None = None
        try:
            self._socket = socket
            await self._or_end(reader, self._subscribe())
            self.why = ""
            self._now(State.UP)
            self._up.set()
            log.info("connection.up", channel=NAME)
            keeper = asyncio.create_task(self._keep(socket))
            await on_up()
            await reader
        finally:
            self._up.clear()
            self._socket = None
            tasks = {task for task in (reader, keeper) if task is not None}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._let_go()
            await self._cut(socket)
            # Whatever else ended this connection: who was thrown out must know it.
            if not reader.cancelled() and isinstance(reader.exception(), Kicked):
                raise Kicked

    async def _subscribe(self) -> None:
        await self.ask("aibot_subscribe", {"bot_id": self._bot_id, "secret": self._secret})

    @staticmethod
    async def _or_end(reader: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, unless the connection ends before."""
        doing = asyncio.create_task(work)
        await asyncio.wait({reader, doing}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
            await reader
            raise SendFailed("closed before the subscription was taken")
        doing.result()

    async def _keep(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Ping; where nothing was heard for too long the line is cut: a half-open socket never ends by itself.

        At once where an answer did not come: what is sent into a line that nobody hears is doubtful for ever.
        """
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.ping):
                    await self._doubted.wait()
            doubted = self._doubted.is_set()
            if (not doubted and loop.time() - self._heard_at > self._pace.silence) or not await self._pong(doubted):
                log.warning("connection.silent", channel=NAME)
                self._doubted.set()  # until the next connection: nothing more leaves by this one
                await self._cut(socket)
                return

    async def _pong(self, doubted: bool) -> bool:
        """Whether somebody is there, or may be: without a doubt before, no pong is only a doubt."""
        try:
            await self.ask("ping", None, seconds=self._pace.probe if doubted else self._pace.ping)
        except ApiError:
            log.info("connection.pong_refused", channel=NAME)  # that is an answer, too
        except (SendFailed, Uncertain):
            log.info("connection.no_pong", channel=NAME)
            return not doubted
        self._doubted.clear()
        return True

    @staticmethod
    async def _cut(socket: aiohttp.ClientWebSocketResponse) -> None:
        """Close without waiting for a farewell that nobody may say."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close()
        except TimeoutError:
            log.info("connection.no_farewell", channel=NAME)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self._heard_at = asyncio.get_running_loop().time()
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            try:
                self._take(check_json(message.data))
            except Refused as refused:
                metrics.refused.labels(NAME, refused.why).inc()
                log.warning("callback.refused", channel=NAME, why=refused.why)

    def _take(self, frame: dict[str, Any]) -> None:
        """An acknowledgement goes to who waits for it, a callback into a task of its own. Raises Kicked, Refused."""
        headers, body, cmd = frame.get("headers"), frame.get("body"), frame.get("cmd")
        req_id = headers.get("req_id") if isinstance(headers, Mapping) else None
        if not isinstance(req_id, str):
            raise Refused("malformed")
        if cmd is None or cmd == "pong":
            waiting = self._waiting.pop(req_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            return
        if not (isinstance(cmd, str) and isinstance(body, dict)):
            raise Refused("malformed")
        event = body.get("event")
        if isinstance(event, Mapping) and event.get("eventtype") == "disconnected_event":
            if body.get("aibotid") not in (None, self._bot_id):
                raise Refused("receiver")
            raise Kicked
        task = asyncio.create_task(self._hear(cmd, req_id, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(
        self, cmd: str, body: dict[str, Any] | None, req_id: str | None = None, *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Send a frame and wait for its acknowledgement; returns the whole answering frame.

        req_id: that of the callback that is answered; a new one otherwise. Frames of one id leave one after another.
        Raises SendFailed (it did not leave), ApiError (the platform said no), Uncertain (it left, and no answer came).
        """
        key = req_id or f"{cmd}_{secrets.token_hex(8)}"
        frame: dict[str, Any] = {"cmd": cmd, "headers": {"req_id": key}}
        if body is not None:
            frame["body"] = body
        text = json.dumps(frame, ensure_ascii=False)
        async with self._turns.of(key):
            return await self._asked(cmd, key, text, seconds or self._pace.ack)

    async def _asked(self, cmd: str, key: str, text: str, seconds: float) -> dict[str, Any]:
        socket = self._socket
        if socket is None or socket.closed:
            raise SendFailed("not connected", after=self._pace.first)
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            async with asyncio.timeout(seconds):
                try:
                    await socket.send_str(text)
                except (aiohttp.ClientError, ConnectionError):
                    raise Uncertain(f"{cmd}: the connection ended") from None
                answer = await waiting
        except TimeoutError:
            if socket is self._socket:
                self._doubted.set()
            raise Uncertain(f"{cmd}: no answer in {seconds:g} s") from None
        finally:
            if self._waiting.get(key) is waiting:
                del self._waiting[key]
        return judged(cmd, answer)

    def _let_go(self) -> None:
        """Nobody will answer any more."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Uncertain("the connection ended before the answer"))
                waiting.exception()
        self._waiting.clear()

    async def drain(self) -> None:
        """Wait for what was heard and is not stored yet."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def come_up(self, seconds: float) -> bool:
        """Wait until the platform has taken us. False when it does not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError:
            return False
        return True


def judged(cmd: str, frame: dict[str, Any]) -> dict[str, Any]:
    """The frame, if it says that all is well; ApiError otherwise. The platform's words are not repeated."""
    code = frame.get("errcode", 0)
    if not isinstance(code, int):
        raise Uncertain(f"{cmd}: the answer cannot be read")
    if code == 0:
        return frame
    if code in LIMITED:
        raise refusal(code, f"{FULL}: {cmd}: errcode {code}")
    raise ApiError(code, f"{cmd}: errcode {code}", after=30.0 if code == BUSY else None)
