"""`linsheng patrol`: the check-ins of a day."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.towns import bring_in
from config.settings import DEMO_TOWN
from models import inbox
from models.database import Database
from models.grid import Grid
from models.inbox import Inbox
from models.mark import TOWN, bump
from models.message import Kind
from tests.bot.test_cli import Shell, cells, home_db, shell
from tests.models.letters import letter

__all__ = ["home_db", "shell"]  # fixtures
SQUARE = '{"type":"Polygon","coordinates":[[[120,30],[120.1,30],[120.1,30.1],[120,30.1],[120,30]]]}'


@pytest.fixture
def town(home_db: Database) -> Database:
    bring_in(home_db, DEMO_TOWN)

    def write(session: Session) -> None:
        session.connection().execute(sa.update(Grid).where(col(Grid.code) == "QX-01-01").values(boundary=SQUARE))
        bump(session, TOWN)

    home_db.tx(write)
    return home_db


def check_in(db: Database, number: int, at: datetime) -> None:
    there = letter(number, "d-w01", sender="w01", sent_at=at, kind=Kind.LOCATION, lon=120.05, lat=30.05)

    def write(session: Session) -> None:
        inbox.receive(session, [there], at)
        done = sa.update(Inbox).where(col(Inbox.message) == there.id)
        session.connection().execute(done.values(outcome="patrol", finished_at=at))

    db.tx(write)


def test_first_last_and_where(shell: Shell, town: Database) -> None:
    for number, at in enumerate(
        [datetime(2026, 3, 1, 16, 5, tzinfo=UTC), datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
         datetime(2026, 3, 2, 16, 0, tzinfo=UTC)]
    ):  # fmt: skip
        check_in(town, number, at)
    code, out, _ = shell("patrol", "--day", "2026-03-02")
    assert code == 0
    assert cells(out, "W01")[1:] == ["网格员小顾", "00:05", "17:30", "柳岸花园片区"]
    assert cells(out, "W02")[1:] == ["网格员小裴"]
    assert "120.0" not in out
