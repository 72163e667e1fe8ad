"""What several commands open: settings, and the database with its tables up to date."""

from collections.abc import Iterator
from contextlib import contextmanager

from config.settings import Settings, load_settings
from models.database import Database
from models.schema import upgrade


@contextmanager
def database(settings: Settings | None = None) -> Iterator[Database]:
    """The deployment's database, migrated. Raises SettingsError, and OperationalError when it is not there."""
    db = Database((settings or load_settings()).url)
    try:
        upgrade(db)
        yield db
    finally:
        db.close()
