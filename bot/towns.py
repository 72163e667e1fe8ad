"""Town packs into the database: on command, and by itself when the database has no town yet."""

from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlmodel import Session

from config.settings import DEMO_TOWN, Settings
from handlers.town import load
from models import mark
from models.database import Database
from models.grid import Grid
from models.townimport import Summary, import_pack
from models.townpack import Pack, read_pack
from nlu.gazetteer import Gazetteer

log = structlog.get_logger(__name__)
# One number for all processes of a deployment: only one writes a town at a time.
LOCK = 5_420_020


def bring_in(db: Database, folder: Path) -> Summary:
    """Import a pack and tell the workers. Raises BadPack with every fault; nothing is written then."""
    pack = read_pack(folder)
    return db.tx(lambda session: _write(session, pack))


def try_out(db: Database, folder: Path) -> Summary:
    """What `bring_in` would do; nothing is kept. Raises BadPack."""
    pack = read_pack(folder)
    with Session(db.engine) as session:
        summary = import_pack(session, pack)
        session.rollback()
    return summary


def first_town(db: Database, settings: Settings) -> bool:
    """Fill an empty database: with the town of the settings, in the demo with the demo town. True when it did.

    Raises BadPack. A database that has a town is left alone: `linsheng town import` is how one is changed.
    """
    folder = settings.town or (DEMO_TOWN if settings.demo else None)
    if folder is None:
        return False

    def work(session: Session) -> bool:
        _alone(session)
        if session.scalar(sa.select(sa.func.count()).select_from(Grid)):
            return False
        _write(session, read_pack(folder))
        return True

    written = db.tx(work)
    if written:
        log.info("town.imported", folder=folder.name)
    return written


def _write(session: Session, pack: Pack) -> Summary:
    _alone(session)
    summary = import_pack(session, pack)
    if any(count.added or count.changed or count.removed for count in summary.tables.values()):
        mark.bump(session, mark.TOWN)
    return summary


def _alone(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def names_of(db: Database) -> Gazetteer | None:
    """The names of the deployment's town; None when there is no database, or no town in it, yet."""
    try:
        town = db.tx(load)
    except sa.exc.DatabaseError:
        return None
    return town.names if town.grids else None
