"""The engine of a process: trained once, by a child that goes when its parent is told to."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from bot import training
from bot.training import NotTrained, folder_of, is_trained
from config.tables import leaves
from models.database import Database
from nlu.embedded import EmbeddedEngine
from tests.trained import trained_home

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def children(home: Path) -> list[int]:
    """Processes that were given this data folder, and are not ours."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            given = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if f"LINSHENG_HOME={home}".encode() in given:
            found.append(int(folder.name))
    return found


async def test_an_artefact_that_is_there_needs_no_child(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, leaves())
    folder.mkdir(parents=True)
    (folder / "heads.json").touch()

    def no_child(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a child was started")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_child)
    monkeypatch.setattr(EmbeddedEngine, "ready", lambda home, known, **_: (home, known))
    assert await training.engine(tmp_path, sqlite_db) == (tmp_path, leaves())  # type: ignore[comparison-overlap]


def test_half_an_artefact_does_not_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, leaves())
    folder.mkdir(parents=True)
    (folder / "heads.npz").touch()
    assert not is_trained(tmp_path, leaves())


async def test_a_child_that_fails_says_why(sqlite_db: Database, tmp_path: Path) -> None:
    # The child reads the tables of the folder it is given, not those of the environment.
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "categories.csv").write_text("code,parent,name,tier,covers\na.b,,x,many,\n", "utf-8")
    with pytest.raises(NotTrained, match=r"could not be trained: categories\.csv:2"):
        await training._train(tmp_path)


async def test_who_waits_for_anothers_training_takes_what_came_of_it(sqlite_db: Database, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, leaves())
    with training.alone(tmp_path):  # somebody else trains
        both = asyncio.gather(training.engine(tmp_path, sqlite_db), training.engine(tmp_path, sqlite_db))
        async with asyncio.timeout(60):
            while sum(waits_for(pid, tmp_path / "nlu" / "lock") for pid in children(tmp_path)) < 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.1)
        shutil.copytree(folder_of(trained_home(), leaves()), folder)
        written = (folder / "heads.json").stat().st_ctime
    engines = await both
    assert {engine.heads.facts["data"] for engine in engines} == {folder.name}
    assert sorted(file.name for file in folder.iterdir()) == ["heads.json", "heads.npz", "spans.crf"]
    assert (folder / "heads.json").stat().st_ctime == written, "it was trained again"


def waits_for(pid: int, file: Path) -> bool:
    """The process has the file open."""
    try:
        return any(link.resolve() == file for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.slow
def learns_a_fold(pid: int) -> bool:
    """One of the processes that the training has begun."""
    try:
        return b"loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # ended meanwhile


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)], ids=["serve", "worker"])
async def test_sigterm_while_it_trains(tmp_path: Path, command: tuple[str, ...]) -> None:
    environment = os.environ | {"LINSHENG_HOME": str(tmp_path), "LINSHENG_DEMO": "true"}
    environment |= {"LINSHENG_LOG_LEVEL": "info", "LINSHENG_LOG_JSON": "true"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *command, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).decode() == "Training the engine (half a minute to a minute).\n"
            while b"engine.training" not in await process.stderr.readline():
                pass
        async with asyncio.timeout(90):
            while not any(learns_a_fold(pid) for pid in children(tmp_path)):  # noqa: ASYNC110 - nobody tells us of it
                await asyncio.sleep(0.1)  # into the training itself
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert "Traceback" not in errors.decode()
    assert "process.not_closed" not in errors.decode()
    assert children(tmp_path) == []
    assert list((tmp_path / "nlu").glob("*/*")) == []
