"""Real processes of the product, `linsheng serve` and `linsheng worker`, that can be killed and stopped short.

They are forked from a server that has imported everything beforehand: a process is there in a second, so that a test
can afford to kill twenty of them. What runs in them is the command line as it ships.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from bot.cli import main
from tests.chaos.letters import APP, KEY, SECRET, TOKEN

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
STARTED = b"process.started"


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def listening(port: int, seconds: float = 15.0) -> None:
    """Wait until somebody listens there: a process says that it has started before it opens its door."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def environment(url: str, home: Path, town: Path, api: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Settings of a deployment with the Official Account. api: where the fake platform listens."""
    return {
        "LINSHENG_HOME": str(home), "LINSHENG_DATABASE_URL": url, "LINSHENG_TOWN": str(town),
        "LINSHENG_DEMO": "false", "LINSHENG_LOG_LEVEL": "info", "LINSHENG_LOG_JSON": "true",
        "LINSHENG_WECHAT_MP__TOKEN": TOKEN, "LINSHENG_WECHAT_MP__AES_KEY": KEY, "LINSHENG_WECHAT_MP__APP_ID": APP,
        "LINSHENG_WECHAT_MP__APP_SECRET": SECRET, "LINSHENG_WECHAT_MP__API_BASE": api,
        "LINSHENG_WECHAT_MP__RATE": "1000", "LINSHENG_WECHAT_MP__MENUS": "false",  # words can be told apart
    }  # fmt: skip


def _run(arguments: Sequence[str], settings: Mapping[str, str], log: str) -> None:
    """In the new process: become `linsheng ARGUMENTS`, with everything it says in `log`."""
    os.environ.update(settings)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.argv = ["linsheng", *arguments]
    main()


class Member:
    """One place in a deployment, and the process that fills it now."""

    def __init__(self, name: str, arguments: Sequence[str], settings: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.starts = 0
        self._arguments = tuple(arguments)
        self._settings = dict(settings)
        self._folder = folder
        self._process: BaseProcess | None = None

    @property
    def log(self) -> Path:
        """What the process now running has said."""
        return self._folder / f"{self.name}-{self.starts}.log"

    @property
    def ready(self) -> bool:
        """It says that it has started, and has not ended since."""
        alive = self._process is not None and self._process.is_alive()
        return alive and self.log.exists() and STARTED in self.log.read_bytes()

    def start(self) -> None:
        """Start a process here."""
        self.starts += 1
        arguments = (self._arguments, self._settings, str(self.log))
        self._process = CONTEXT.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is somebody to get it."""
        if self._process is not None and self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)

    async def stop(self, seconds: float = 15.0) -> int | None:
        """SIGTERM; returns the exit code, None if it had to be killed after all."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        process = self._process
        if process is None:
            return 0
        await asyncio.to_thread(process.join, seconds)
        if process.exitcode is None:
            self.kill()
            return None
        return process.exitcode

    async def until_ready(self, seconds: float = 60.0) -> None:
        """Raises TimeoutError, or RuntimeError with its last words when it ended by itself."""
        async with asyncio.timeout(seconds):
            while not self.ready:
                if self._process is not None and not self._process.is_alive():
                    raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
                await asyncio.sleep(0.02)
