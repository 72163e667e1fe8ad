"""The engine for either database, and one whole transaction per thread hop."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlmodel import Session

T = TypeVar("T")
WAL_TRIES, WAL_PAUSE = 600, 0.05  # times, and seconds between two: together as long as the busy_timeout
HOW = "LINSHENG_DATABASE_URL: must be sqlite:///FILE or postgresql://USER@HOST/DATABASE"


class BadAddress(Exception):
    """The address of the database cannot be used. The message holds nothing of it: there may be a password in it."""


def is_there(url: str) -> bool:
    """False for a SQLite file that nobody has made yet: connecting would create it. Raises BadAddress."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    return bool(parsed.database) and Path(parsed.database or "").is_file()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError) as error:
        raise BadAddress(HOW) from error
    if backend not in ("sqlite", "postgres", "postgresql"):
        raise BadAddress(f"{HOW}; there is no {backend} here")
    return parsed


def make_engine(url: str, *, pool: int = 8) -> sa.Engine:
    """An engine with this project's habits.

    url: `sqlite:///path` or `postgresql://user@host/db` (psycopg 3 is put in where no driver is named).
    SQLite runs in WAL mode with full sync, foreign keys on, and BEGIN IMMEDIATE, because a transaction that
    reads first and writes later deadlocks with another one otherwise. Raises BadAddress.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        return sa.create_engine(parsed, pool_size=pool, max_overflow=4, pool_pre_ping=True, pool_recycle=1800)
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:  # a driver that is not installed
        raise BadAddress(f"{HOW}; there is no driver {parsed.drivername} here") from error


def _sqlite(url: URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in ("busy_timeout=30000", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        _write_ahead(connection)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. Where two processes open a new database at once, SQLite tells one of them that it is locked, and
    does not wait as its busy_timeout says."""
    for _ in range(WAL_TRIES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(WAL_PAUSE)
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


class Database:
    """Runs functions in transactions: `run` from async code, `tx` from synchronous code."""

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self.url = url
        self.engine = make_engine(url, pool=threads)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="db")

    def tx(self, work: Callable[[Session], T]) -> T:
        """Call `work` in one transaction: commits what it did, or rolls all of it back and raises."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            return work(session)

    async def run(self, work: Callable[[Session], T]) -> T:
        """`tx` in a thread of its own. A transaction once begun is finished even if the caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.tx, work)

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Any blocking function in one of the database's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def close(self) -> None:
        """Wait for what is running, then drop the connections."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()
