"""Bring a database to the newest tables, or say that it is not."""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from models.database import Database

# One number for all processes of a deployment: only one migrates at a time, the others wait and find it done.
LOCK = 5_420_019


MIGRATIONS = str(Path(__file__).parent / "migrations")


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _locked(db: Database, work: Callable[[Config], None]) -> None:
    with db.engine.begin() as connection:
        if not db.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        work(_config(connection))


def upgrade(db: Database) -> None:
    """Create or migrate the tables. Safe to call from several processes at once."""
    _locked(db, lambda config: command.upgrade(config, "head"))


def check(db: Database) -> None:
    """Raises alembic.util.CommandError when the tables and the migrations differ."""
    _locked(db, command.check)


def current(db: Database) -> tuple[str | None, str | None]:
    """The revision the database is at, and the newest one there is."""
    with db.engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_revision()
        newest = ScriptDirectory.from_config(_config(connection)).get_current_head()
    return here, newest


def known(revision: str) -> bool:
    """Whether this version has a migration of that name; a database that a newer one migrated is at one it has not."""
    return any(one.revision == revision for one in ScriptDirectory(MIGRATIONS).walk_revisions())
