"""The command line where staff say who is who."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from bot.towns import bring_in
from config.settings import DEMO_TOWN
from models import binding
from models.base import utc_now
from models.binding import Said
from models.database import Database
from models.person import Identity, Person
from models.privacy import Erasure
from tests.bot.test_cli import Shell, home_db, shell

__all__ = ["home_db", "shell"]  # fixtures


@pytest.fixture
def town(home_db: Database) -> Database:
    bring_in(home_db, DEMO_TOWN)
    return home_db


def owners(db: Database) -> dict[tuple[str, str], str]:
    return {(row.channel, row.user): row.person for row in db.tx(lambda s: list(s.scalars(sa.select(Identity))))}


def test_link_merge_and_split(shell: Shell, town: Database) -> None:
    assert shell("person", "link", "U05", "wechat_mp", "o-1", "--by", "C01")[0] == 0
    assert owners(town)["wechat_mp", "o-1"] == "U05"
    assert shell("person", "merge", "U01", "U05", "--by", "C01")[0] == 0
    assert owners(town)["web", "u01"] == "U05"
    code, out, _ = shell("person", "split", "U05", "web", "u01", "--by", "C01", "--to", "U01")
    assert (code, owners(town)["web", "u01"]) == (0, "U01")
    assert "u01" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("link", "U05", "web", "u01", "--by", "C01"), "U01's: merge the two"),
        (("link", "U05", "wechat_mp", "o-1", "--by", "U01"), "only staff say who is who"),
        (("link", "U05", "wechat_mp", "o-1", "--by", "W01"), "only staff say who is who"),
        (("link", "U05", "wechat_mq", "o-1", "--by", "C01"), "no channel 'wechat_mq'"),
        (("link", "U05", "group_robot", "o-1", "--by", "C01"), "no channel 'group_robot'"),
        (("link", "U05", "wechat_mp", " ", "--by", "C01"), "the user id is empty"),
        (("code", "U05", "--by", "C01", "--qr", "wechat_mp"), "LINSHENG_SECRET_KEY"),
        (("merge", "U05", "U05", "--by", "C01"), "one person already"),
        (("split", "U05", "web", "u01", "--by", "C01"), "no such user id"),
        (("code", "U0S", "--by", "C01"), "there is no person"),
        (("link", "U05", "wechat_mp", "o-1", "--by", "C0l"), "there is no person"),
    ],
)
def test_what_is_refused_changes_nothing(shell: Shell, town: Database, words: tuple[str, ...], said: str) -> None:
    before = owners(town)
    code, _, err = shell("person", *words)
    assert (code, owners(town)) == (1, before)
    assert said in err


def test_a_code_to_give_to_somebody(shell: Shell, town: Database) -> None:
    code, out, _ = shell("person", "code", "U05", "--by", "C01")
    found = re.fullmatch(r"绑定 (\d{4}) (\d{4})\s*", out)
    assert code == 0
    assert found is not None
    said, row = town.tx(lambda s: binding.say(s, found[1] + found[2], "wechat_mp", "o-1", utc_now()))
    assert said == Said.RIGHT
    assert row is not None
    assert row.person == "U05"


def test_deletions_are_listed_without_names(shell: Shell, town: Database) -> None:
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def write(session: sa.orm.Session) -> None:
        session.add(Erasure(at=at, tickets=3, held=1, messages=7))
        session.execute(sa.update(Person).where(Person.code == "U05").values(erased_at=at))  # type: ignore[arg-type]

    town.tx(write)
    code, out, _ = shell("person", "erasures")
    assert code == 0
    assert "2026-03-02 08:00" in out
    assert "not yet" in out
    assert "take out of people.csv: U05" in out
    assert "春芽" not in out
