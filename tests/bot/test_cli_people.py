"""The command line where an operator speaks for people: leave and deputies, and messages that could not be handled."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from bot.towns import bring_in
from config.settings import DEMO_TOWN
from models import inbox, mark
from models.base import utc_now
from models.database import Database
from models.inbox import Inbox
from models.person import Person
from tests.bot.test_cli import Shell, cells, home_db, shell
from tests.models.letters import letter, open_ticket

__all__ = ["home_db", "shell"]  # fixtures
AWAY = datetime(2999, 3, 10, 16, 0, tzinfo=UTC)  # the end of that day in Shanghai


def one(db: Database, code: str) -> Person:
    return db.tx(lambda session: session.scalars(sa.select(Person).where(Person.code == code)).one())  # type: ignore[arg-type]


def version(db: Database) -> int:
    return db.tx(lambda session: mark.value(session, mark.TOWN))


@pytest.fixture
def town(home_db: Database) -> Database:
    bring_in(home_db, DEMO_TOWN)
    return home_db


def test_away_to_the_end_of_a_local_day_and_back(shell: Shell, town: Database) -> None:
    before = version(town)
    code, out, _ = shell("person", "away", "W01", "--until", "2999-03-10", "--deputy", "W02")
    assert code == 0
    assert cells(out, "away")[1] == "until 2999-03-10 24:00"
    assert cells(out, "deputy")[1].startswith("W02 ")
    assert (one(town, "W01").away_until, one(town, "W01").deputy) == (AWAY, "W02")
    assert version(town) == before + 1

    code, out, _ = shell("person", "back", "W01")
    assert (code, cells(out, "away")[1], cells(out, "deputy")[1]) == (0, "no", "none")
    assert (one(town, "W01").away_until, one(town, "W01").deputy) == (None, None)
    assert version(town) == before + 2


def test_the_day_ends_in_the_deployments_zone(shell: Shell, town: Database) -> None:
    shell.set(TIMEZONE="UTC")
    assert shell("person", "away", "W01", "--until", "2999-03-10")[0] == 0
    assert one(town, "W01").away_until == datetime(2999, 3, 11, tzinfo=UTC)


def test_a_deputy_of_an_earlier_leave_does_not_stay(shell: Shell, town: Database) -> None:
    shell("person", "away", "W01", "--until", "2999-03-10", "--deputy", "W02")
    shell("person", "away", "W01", "--until", "2999-03-12")
    assert one(town, "W01").deputy is None


def test_a_deputy_who_is_away_herself_is_told(shell: Shell, town: Database) -> None:
    shell("person", "away", "W02", "--until", "2999-03-09")
    _, out, _ = shell("person", "away", "W01", "--until", "2999-03-10", "--deputy", "W02")
    assert cells(out, "deputy")[1].endswith("away herself until 2999-03-09 24:00")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "W0l"), 'there is no person "W0l". Did you mean "W01"?'),
        (("show", "somebody-else"), 'there is no person "somebody-else".'),
        (("back", "w01x"), 'there is no person "w01x".'),
        (("away", "W01", "--until", "2999-03-10", "--deputy", "W0Z"), 'there is no person "W0Z". Did you mean "W0'),
        (("away", "W01", "--until", "2999-03-10", "--deputy", "W01"), '"W01" cannot stand in for herself.'),
        (("away", "W01", "--until", "2020-03-10"), "--until 2020-03-10: that day is over."),
    ],
)
def test_what_cannot_be_is_one_line(shell: Shell, town: Database, words: tuple[str, ...], said: str) -> None:
    before = version(town)
    code, out, err = shell("person", *words)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith(said)
    assert (one(town, "W01").away_until, version(town)) == (None, before)


def test_show_tells_duties_and_leave_and_no_home_or_whole_id(shell: Shell, town: Database) -> None:
    town.tx(lambda session: open_ticket(session, utc_now(), worker="L01"))
    code, out, _ = shell("person", "show", "L01")
    assert (code, cells(out, "name")[1], cells(out, "open tickets")[1]) == (0, "秀英姐", "1")
    assert cells(out, "duty")[1].startswith("leader QX-01-01-01 ")
    assert cells(out, "reached on")[1] == "web l…"
    assert "P-LA-B02" not in out
    assert "l01" not in out


# --- inbox ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def buried(home_db: Database) -> Callable[[], dict[int, str]]:
    """Three messages, two of them dead. Gives the outcomes as they are now."""
    now = utc_now()

    def write() -> None:
        letters = [letter(n, chat=f"c{n}", text="王阿姨家暴") for n in (1, 2, 3)]
        home_db.tx(lambda session: inbox.receive(session, letters, now))
        dead = {"outcome": "dead", "error": "KeyError [x]", "finished_at": now, "attempts": 9, "lease": "abc"}
        ended = sa.update(Inbox).where(Inbox.id.in_([1, 2])).values(dead)  # type: ignore[union-attr]
        home_db.tx(lambda session: session.connection().execute(ended))

    def outcomes() -> dict[int, str]:
        rows = home_db.tx(lambda session: session.scalars(sa.select(Inbox)).all())
        return {row.id or 0: row.outcome for row in rows if row.finished_at is not None}

    write()
    return outcomes


def test_an_operator_sees_what_was_not_handled_and_no_words(shell: Shell, buried: Callable[[], dict[int, str]]) -> None:
    _, out, _ = shell("inbox", "list")
    found = cells(out, "1")
    assert (found[1:4], found[5:]) == (["web", "c1", "text"], ["9", "KeyError [x]"])
    assert "王阿姨" not in out
    with pytest.raises(AssertionError, match="no line '3'"):
        cells(out, "3")
    assert cells(shell("inbox", "list", "--limit", "1")[1], "2")


def test_it_is_tried_again_by_number_or_all(
    shell: Shell, home_db: Database, buried: Callable[[], dict[int, str]]
) -> None:
    code, out, err = shell("inbox", "retry", "1", "3", "77")
    assert (code, out, err) == (1, "1 will be handled again.\n", "not dead: 3, 77\n")
    assert buried() == {2: "dead"}
    assert shell("inbox", "retry", "--all")[1] == "1 will be handled again.\n"
    assert buried() == {}
    row = home_db.tx(lambda session: session.get_one(Inbox, 1))
    assert (row.attempts, row.error, row.lease) == (0, "", None)
    assert shell("inbox", "retry")[0] == 2
    assert shell("inbox", "retry", "1", "--all")[0] == 2
