"""The command line where something outside of it is wrong: one line, and nothing made or changed by who only looks."""

import pytest
import sqlalchemy as sa

from bot.doctor import FAIL, examine
from config.settings import DEMO_TOWN
from models.database import Database
from tests.bot.test_cli import Shell, by_check, cells, home_db, shell

__all__ = ["home_db", "shell"]  # fixtures


def newer(db: Database) -> None:
    """As if a newer version had migrated it."""
    db.tx(lambda session: session.connection().execute(sa.text("UPDATE alembic_version SET version_num = 'newer'")))


@pytest.mark.parametrize(
    "url", ["mysql://clerk:hunter2@db/town", "postgresql+nothing://clerk:hunter2@db/town", "hunter2", "sqlite:/hunter2"]
)
def test_an_address_that_is_none_is_one_line_without_the_password(shell: Shell, url: str) -> None:
    shell.set(DATABASE_URL=url)
    for words in (("outbox", "list"), ("inbox", "retry", "--all")):
        code, _, err = shell(*words)
        assert (code, err.startswith("LINSHENG_DATABASE_URL: "), len(err.splitlines())) == (1, True, 1)
        assert "hunter2" not in err
    assert by_check(examine())["database"].state == FAIL


@pytest.mark.parametrize("content", [b"demo: [", b"- demo", b"home: \xff\xfe", b"hello"])
def test_a_settings_file_that_cannot_be_read_is_named(shell: Shell, content: bytes) -> None:
    shell.home.mkdir()
    (shell.home / "linsheng.yaml").write_bytes(content)
    code, _, err = shell("outbox", "list")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "linsheng.yaml" in err
    assert by_check(examine())["settings"].state == FAIL


LOOKING = [("inbox", "list"), ("outbox", "list"), ("person", "show", "W01")]


@pytest.mark.parametrize("words", LOOKING)
def test_who_only_looks_makes_no_database(shell: Shell, words: tuple[str, ...]) -> None:
    code, _, err = shell(*words)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "linsheng serve" in err
    assert not list(shell.home.rglob("*.db*"))


@pytest.mark.parametrize("words", [*LOOKING, ("town", "check", str(DEMO_TOWN))])
def test_who_only_looks_migrates_nothing(shell: Shell, home_db: Database, words: tuple[str, ...]) -> None:
    newer(home_db)
    code, _, err = shell(*words)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "newer" in err
    assert home_db.tx(lambda session: session.scalar(sa.text("SELECT version_num FROM alembic_version"))) == "newer"
    assert by_check(examine())["database"].state == FAIL


def test_a_database_of_a_newer_version_is_one_line(shell: Shell, home_db: Database) -> None:
    newer(home_db)
    code, _, err = shell("outbox", "retry", "--all")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "not of this version" in err


def test_tables_that_are_missing_are_one_line(shell: Shell, home_db: Database) -> None:
    home_db.tx(lambda session: session.connection().execute(sa.text("DROP TABLE outbox")))
    code, _, err = shell("outbox", "list")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "missing or old" in err


def test_a_pack_is_checked_without_a_database(shell: Shell) -> None:
    code, out, _ = shell("town", "check", str(DEMO_TOWN))
    assert (code, cells(out, "grid")[1]) == (0, "27")
    assert not list(shell.home.rglob("*.db*"))
