"""The engine of a process. Where it is not trained yet a child process trains it, so that one can give up waiting; and
one that is promoted later takes its place within a minute."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from config.tables import leaves
from models.database import Database
from nlu import artefact, store
from nlu.embedded import EmbeddedEngine
from nlu.reader.run import SecondReader
from nlu.types import Names, Understanding, Utterance

log = structlog.get_logger(__name__)
LOOK = 30.0  # seconds between two looks at what is in force


class NotTrained(Exception):
    """The training ended without an engine; the message is what the child process said about it."""


def folder_of(home: Path, known: Sequence[str]) -> Path:
    """Where the artefact in force lies in the data folder. known: the categories a ticket may have."""
    return store.running(home, known)


def is_trained(home: Path, known: Sequence[str]) -> bool:
    """Whether the artefact is there. Its JSON file is written last, so half of one does not count."""
    return (folder_of(home, known) / "heads.json").is_file()


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One training at a time in a data folder: the others wait, and find the artefact. A process that dies lets go."""
    (home / "nlu").mkdir(parents=True, exist_ok=True)
    with (home / "nlu" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def engine(home: Path, db: Database, second: SecondReader | None = None) -> EmbeddedEngine:
    """The engine for the data and code as they are. Cancelled while it is trained, the child is ended first.

    home: the data folder. db: lends a thread for the loading. second: what it asks beside. Raises NotTrained.
    """
    if not await db.call(is_trained, home, leaves()):
        log.info("engine.training", seconds="half a minute to two, once")
        await _train(home)
        log.info("engine.trained")
    return await db.call(lambda: EmbeddedEngine.ready(home, leaves(), second=second))


class Following:
    """The engine in force, also when another one is promoted or taken back while this one runs: a batch that has begun
    ends with the old one."""

    name = EmbeddedEngine.name

    def __init__(
        self, home: Path, known: Sequence[str], engine: EmbeddedEngine, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        """engine: what is in force now. clock: seconds."""
        self._home, self._known, self._clock = home, known, clock
        self._engine = engine
        data = str(engine.heads.facts["data"])
        self._promoted = data if data in store.candidates(home) else store.SHIPPED
        self._reading = artefact.reading(known)
        self._next = clock() + LOOK

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """See `nlu.types.Engine`. What cannot be read is not taken: the old engine goes on."""
        if self._clock() >= self._next:
            self._next = self._clock() + LOOK
            try:
                self._look()
            except Exception as error:
                log.exception("engine.not_taken", error=type(error).__name__)
        return self._engine.parse(batch, names)

    def again(self, words: Utterance, names: Names) -> Understanding:
        """See `nlu.types.Engine`."""
        return self._engine.again(words, names)

    def _look(self) -> None:
        promoted = store.promoted(self._home)
        if promoted == self._promoted:
            return
        if artefact.reading(self._known) != self._reading or not is_trained(self._home, self._known):
            # Other code lies on the disk than runs here; or it were to be trained first, and the leases would run out.
            log.warning("engine.not_taken", todo="restart this process")
        else:
            self._engine = EmbeddedEngine.ready(self._home, self._known, second=self._engine.second)
            log.info("engine.taken", artefact=self._engine.heads.facts["data"])
        self._promoted = promoted


async def _train(home: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bot.cli", "train", env=_environment(home),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl+C in a terminal is for us; we end the child
    )  # fmt: skip
    try:
        _, said = await child.communicate()
    finally:
        if child.returncode is None:
            # Its own session: the processes that it learns the folds in are ended with it. Else they would live on, and
            # hold its pipe open.
            os.killpg(child.pid, signal.SIGTERM)
            await child.wait()
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise NotTrained(f"the engine could not be trained: {lines[-1] if lines else f'ended by {child.returncode}'}")


def _environment(home: Path) -> dict[str, str]:
    """The same code and tables as here, whatever folder we were started in and whoever said where `home` is."""
    path = os.pathsep.join(filter(None, sys.path))
    return os.environ | {"LINSHENG_HOME": str(home.resolve()), "PYTHONPATH": path}
