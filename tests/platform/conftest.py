"""The platform, and foreign peers. A peer that is not to be had is a skip; with CI=true it is a failure."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bot.channels import pressed
from models.database import Database
from tests.platform.harness import TestPlatform, platform
from tests.platform.peers import HERE, NoPeer, Peer, environment
from tests.platform.wecom_bot import hooked
from tests.platform.wecom_bot_hook import Scene

KINDS = ("node", "python")
StartPeer = Callable[..., Awaitable[Peer]]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install the foreign packages that the collected tests want, before any test's time runs."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    for kind in KINDS:
        if f"{kind}_packages" in wanted:
            with suppress(NoPeer):  # the fixture says so
                environment(kind)


@pytest.fixture
async def p() -> AsyncIterator[TestPlatform]:
    """A platform of this test's own."""
    async with platform() as made:
        yield made


@pytest.fixture
async def scene(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """The AI bot by its webhook; its sender turns to the response_url after 0.15 s without a poll."""
    monkeypatch.setattr(pressed, "SECONDS", 0.6)
    async with platform() as p, hooked(p, sqlite_db) as bot:
        bot._replying._polled, bot._replying._look = 0.15, 0.02
        yield Scene(p, bot, sqlite_db)


@pytest.fixture
def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: a press is not waited for."""
    monkeypatch.setattr(pressed, "SECONDS", 0.1)


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """The folder with `node_modules`."""
    return packages_or_skip("node")


@pytest.fixture(scope="session")
def python_packages() -> Path:
    """The virtual environment of the Python peers."""
    return packages_or_skip("python")


@pytest.fixture
async def node(node_packages: Path) -> AsyncIterator[StartPeer]:
    """Starts `node/NAME.js`; keywords become its environment."""
    started: list[Peer] = []

    async def start(name: str, **env: str) -> Peer:
        peer = await Peer.start(
            ["node", "--no-deprecation", HERE / "node" / f"{name}.js"], {"PEERS": str(node_packages), **env}
        )
        started.append(peer)
        return peer

    yield start
    for peer in started:
        await peer.stop()


@pytest.fixture
async def python(python_packages: Path) -> AsyncIterator[StartPeer]:
    """Starts `python/NAME.py` with the peers' own Python; keywords become its environment."""
    started: list[Peer] = []

    async def start(name: str, **env: str) -> Peer:
        script = HERE / "python" / f"{name}.py"
        peer = await Peer.start([python_packages / "bin" / "python", "-P", script], env)
        started.append(peer)
        return peer

    yield start
    for peer in started:
        await peer.stop()


def packages_or_skip(kind: str) -> Path:
    """The folder of the pinned packages. Skips without them, and fails with CI=true."""
    try:
        return environment(kind)
    except NoPeer as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why), pytrace=False)
        pytest.skip(str(why))
