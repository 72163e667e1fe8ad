"""Which process of a deployment has what there may be one of, such as a long connection: one, and another as soon as
that one is gone.

On PostgreSQL an advisory lock, which ends with the session that took it; on SQLite, which is one machine, a lock on a
file beside the database. Neither needs a clock, and neither outlives its process.
"""

import fcntl
import hashlib
import os
from contextlib import suppress

import sqlalchemy as sa

from models import standing
from models.database import Database


class Holder:
    """One would-be holder."""

    def __init__(self, db: Database, name: str) -> None:
        """name: what is held, such as `wecom_bot:BOTID`."""
        self._db = db
        self._name = name[:200]
        digest = hashlib.sha256(name.encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._file = f".{name.partition(':')[0]}-{digest.hex()[:12]}.lock"  # behind the database's own name
        self._connection: sa.Connection | None = None
        self._handle: int | None = None

    async def take(self) -> bool:
        """Hold it, if nobody does. Raises what the database raises."""
        return await self._db.call(self._take)

    async def still(self) -> bool:
        """Whether it is still ours: a lost session to the database has lost it."""
        return await self._db.call(self._still)

    async def let_go(self) -> None:
        """Let the others have it."""
        await self._db.call(self._let_go)

    async def note(self, state: str, why: str) -> None:
        """How what is held is, for those who do not hold it. Raises what the database raises."""
        await self._db.run(lambda session: standing.note(session, self._name, state, why[:200]))

    async def noted(self) -> tuple[str, str]:
        """(state, why) as the holder wrote it last; empty where it has not yet, or the tables do not know of it."""
        try:
            return await self._db.run(lambda session: standing.look(session, self._name)) or ("", "")
        except sa.exc.SQLAlchemyError:
            return "", ""

    def _take(self) -> bool:
        if self._db.is_sqlite:
            return self._lock_file()
        connection = self._db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            got = bool(connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}))
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        if got:
            self._connection = connection
        else:
            connection.close()
        return got

    def _lock_file(self) -> bool:
        database = self._db.engine.url.database
        if not database or database == ":memory:":
            return True  # nobody else can be in it
        handle = os.open(f"{database}{self._file}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def _still(self) -> bool:
        if self._db.is_sqlite:
            return True
        if self._connection is None:
            return False
        try:
            self._connection.scalar(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            self._let_go()
            return False
        return True

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sa.exc.SQLAlchemyError):  # a session that is lost has lost its lock
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
            connection.invalidate()  # ends the session, and whatever it still holds, a little later
            connection.close()
