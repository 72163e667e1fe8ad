"""Asks a Rasa server about many texts at once, from any thread: a loop of its own, few connections, short waits."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from bot.breaker import Breaker
from config.settings import RasaSettings
from nlu.rasa_answer import Garbage, Reply, read

T = TypeVar("T")
PARSE = "/model/parse"
STATUS = "/status"
CLOSE = 2.0  # seconds for the loop to end
MEGABYTE = 1024 * 1024  # an answer has about 5 kB


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer. why: open, timeout, unreachable, status_500, garbage, late; a label of the metric."""

    why: str


class RasaClient:
    """A server's door. Its methods block, and may be called from any thread but that of its loop."""

    def __init__(
        self, settings: RasaSettings, token: str, leaves: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """leaves: the categories there are. clock: seconds, for the breaker."""
        self._settings = settings
        self._token = token
        self._leaves = frozenset(leaves)
        self.breaker = Breaker(settings.failures, settings.pause_seconds, clock)
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rasa", daemon=True)
        self._thread.start()

    def ask(self, texts: Sequence[str]) -> list[Reply | Failure]:
        """An answer or a failure for each text, in order, within `batch_seconds`. Raises nothing.

        The texts must fit (`nlu.wording.fits`).
        """
        return self._run(self._batch(texts)).result()

    def model(self) -> str:
        """The id of the model that the server has loaded. Raises aiohttp.ClientError, TimeoutError, Garbage."""
        return self._run(self._model()).result()

    def close(self) -> None:
        """Close the connections and end the thread; safe to call twice."""
        if self._loop.is_closed():
            return
        self._run(self._end()).result(CLOSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._settings.connections)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def _batch(self, texts: Sequence[str]) -> list[Reply | Failure]:
        # Ours is the queue, and not the connector's: the time-out of one question begins when it is sent.
        turns = asyncio.Semaphore(self._settings.connections)
        begun = [asyncio.create_task(self._one(text, turns)) for text in texts]
        if not begun:
            return []
        _, late = await asyncio.wait(begun, timeout=self._settings.batch_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        return [Failure("late") if task.cancelled() else task.result() for task in begun]

    async def _one(self, text: str, turns: asyncio.Semaphore) -> Reply | Failure:
        async with turns:
            if not self.breaker.lets_through():
                return Failure("open")
            try:
                reply = await self._within(lambda: self._parse(text))
            except TimeoutError:
                failure = Failure("timeout")
            except (Garbage, ValueError, aiohttp.ContentTypeError):  # what is no JSON is a ValueError
                failure = Failure("garbage")
            except aiohttp.ClientResponseError as error:
                failure = Failure(f"status_{error.status}")
            except (aiohttp.ClientError, OSError):
                failure = Failure("unreachable")
            else:
                self.breaker.succeeded()
                return reply
            self.breaker.failed()
            return failure

    async def _within(self, work: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._settings.timeout_seconds):
            return await work()

    async def _parse(self, text: str) -> Reply:
        payload = await self._json("POST", PARSE, {"text": text})
        return read(payload, text, self._leaves)

    async def _model(self) -> str:
        payload = await self._within(lambda: self._json("GET", STATUS, None))
        if not isinstance(payload, dict) or not isinstance(payload.get("model_id"), str):
            raise Garbage("its status names no model")
        return str(payload["model_id"])

    async def _json(self, method: str, path: str, body: object) -> Any:
        """Raises aiohttp.ClientError, ValueError; the token is a query parameter because Rasa takes it nowhere else."""
        url = f"{str(self._settings.url).rstrip('/')}{path}"
        asked = self._connected().request(
            method, url, params={"token": self._token}, json=body, allow_redirects=False
        )  # fmt: skip
        async with asked as answer:
            if answer.status != 200:
                raise aiohttp.ClientResponseError(answer.request_info, (), status=answer.status)
            if (answer.content_length or 0) > MEGABYTE:
                raise Garbage("an answer of more than a megabyte")
            return await answer.json()
