"""A client that costs next to nothing, in a process of its own: prepared requests over connections that stay open."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tests.chaos.fleet import CONTEXT
from tests.chaos.letters import Callback


@dataclass(frozen=True)
class Knocked:
    """answered: indexes of the requests that were answered with 200. waited: seconds of each of them."""

    seconds: float
    answered: Sequence[int]
    waited: Sequence[float]

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.answered) / self.seconds


def request(callback: Callback, port: int) -> bytes:
    """The bytes that go over the wire."""
    head = (
        f"POST {callback.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {len(callback.body)}\r\n\r\n"
    )
    return head.encode() + callback.body


def knock(port: int, callbacks: Sequence[Callback], clients: int) -> Knocked:
    """Post all callbacks with so many clients at once, from another process. Raises RuntimeError when it died."""
    requests = [request(callback, port) for callback in callbacks]
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_knock, args=(port, requests, clients, there), daemon=True)
    process.start()
    there.close()
    try:
        found: Knocked = here.recv()
    except EOFError:
        raise RuntimeError("the client ended without a result") from None
    finally:
        process.join()
    return found


def _knock(port: int, requests: list[bytes], clients: int, answer: Connection) -> None:
    answer.send(asyncio.run(_all(port, requests, clients)))


async def _all(port: int, requests: list[bytes], clients: int) -> Knocked:
    todo = iter(enumerate(requests))
    answered: list[int] = []
    waited: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for index, raw in todo:
            begun = time.perf_counter()
            writer.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            if length := _length(head):
                await reader.readexactly(length)
            if head.startswith(b"HTTP/1.1 200"):
                waited.append(time.perf_counter() - begun)
                answered.append(index)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Knocked(time.perf_counter() - started, answered, waited)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
