"""Foreign software as processes of its own: a line of JSON in, a line of JSON out.

A peer answers `{"id", "result"}` or `{"id", "error"}` to what it was asked, and says `{"event", …}` by itself.
"""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Found = dict[str, Any]


class NoPeer(Exception):
    """It is not to be had; the message says why."""


def environment(kind: str) -> Path:
    """The folder of the pinned packages, built if it is not there. kind: node or python. Raises NoPeer."""
    if kind == "node" and not (shutil.which("node") and shutil.which("npm")):
        raise NoPeer("the foreign clients need `node` and `npm` on PATH (Debian: apt-get install nodejs npm)")
    with (Path(tempfile.gettempdir()) / f"linsheng-peers-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of pytest's workers one builds, the others wait
        built = subprocess.run(  # noqa: S603 - our own script
            ["/bin/sh", HERE / "environment", kind], env=os.environ | {"PYTHON": sys.executable},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if built.returncode:
        raise NoPeer(f"the packages of {kind} cannot be installed:\n{built.stderr[-2000:]}")
    return Path(built.stdout.strip())


class PeerError(Exception):
    """What the foreign software said when it refused."""


class Peer:
    """One process. said: its own log, for messages of failed tests."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[Found] = []
        self.said = ""
        self._process = process
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Event()
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    @classmethod
    async def start(cls, command: list[str | Path], env: Mapping[str, str]) -> "Peer":
        """Begin."""
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | dict(env), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
        )  # fmt: skip
        return cls(process)

    async def ask(self, do: str, **more: Any) -> Any:
        """Let it do something; returns the result. Raises PeerError, or TimeoutError after 60 s."""
        number = len(self._asked) + 1
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": do, **more}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(60):
            return await future

    async def event(self, name: str, seconds: float = 60.0) -> Found:
        """The next event of this name, taken out of the list."""
        async with asyncio.timeout(seconds):
            while True:
                for index, found in enumerate(self.events):
                    if found["event"] == name:
                        return self.events.pop(index)
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(3):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._process._transport.close()  # type: ignore[attr-defined]  # else it warns at the end of the loop

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            try:
                found = json.loads(line)
            except ValueError:
                self.said += line.decode(errors="replace")
                continue
            if "event" in found:
                self.events.append(found)
                self._changed.set()
            elif (future := self._asked.get(found.get("id", 0))) is not None and not future.done():
                if "error" in found:
                    future.set_exception(PeerError(found["error"]))
                else:
                    future.set_result(found.get("result"))
        for future in self._asked.values():
            if not future.done():
                future.set_exception(PeerError(f"it has ended:\n{self.said[-3000:]}"))

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.said += line.decode(errors="replace")
