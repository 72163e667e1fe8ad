"""What several commands open: settings, and the database, with its tables up to date or only to look at."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from config.settings import Settings, load_settings
from models.database import Database, is_there
from models.schema import current, known, upgrade


class NotReady(Exception):
    """The database is not there, or its tables are not those of this version; the message says what to do."""


@contextmanager
def database(settings: Settings | None = None) -> Iterator[Database]:
    """The deployment's database, migrated. Raises SettingsError, and OperationalError when it is not there."""
    db = Database((settings or load_settings()).url)
    try:
        upgrade(db)
        yield db
    finally:
        db.close()


@contextmanager
def looked_at(settings: Settings | None = None) -> Iterator[Database]:
    """The deployment's database as it is: nothing is created or migrated. Raises NotReady, and OperationalError."""
    url = (settings or load_settings()).url
    if not is_there(url):
        raise NotReady("there is no database yet: `linsheng serve` or `linsheng town import DIR` makes it.")
    db = Database(url)
    try:
        here, newest = current(db)
        if here is None:
            raise NotReady("the database has no tables yet: `linsheng serve` or `linsheng town import DIR` makes them.")
        if not known(here):
            raise NotReady(f"the database is at {here}, which this version does not know: run the version it is of.")
        if here != newest:
            raise NotReady(f"the database is at {here}, the newest is {newest}: `linsheng serve` migrates it.")
        yield db
    finally:
        db.close()


def is_filled(settings: Settings) -> bool:
    """Whether there is a database with tables, of whatever version. Raises OperationalError."""
    if not is_there(settings.url):
        return False
    db = Database(settings.url)
    try:
        return current(db)[0] is not None
    finally:
        db.close()


@contextmanager
def passing() -> Iterator[Database]:
    """An empty database with all tables that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="linsheng-") as folder:
        db = Database(f"sqlite:///{folder}/empty.db")
        try:
            upgrade(db)
            yield db
        finally:
            db.close()
