"""Migrations on both databases, and what comes back out of the columns."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from sqlmodel import Session

from models import correction as corrections
from models import schema
from models.database import Database
from models.tables import Correction, CorrectionKind, Person, Status, Ticket, metadata
from tests.conftest import HandClock
from tests.models.letters import open_ticket

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def bare(bare_url: str) -> Iterator[Database]:
    """A database without any table."""
    database = Database(bare_url)
    yield database
    database.close()


def tables(db: Database) -> set[str]:
    return set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_upgrade_from_empty(bare: Database) -> None:
    assert schema.current(bare)[0] is None
    schema.upgrade(bare)
    here, newest = schema.current(bare)
    assert here == newest is not None
    assert tables(bare) == set(metadata.tables)


def test_upgrade_twice_changes_nothing(bare: Database) -> None:
    schema.upgrade(bare)
    bare.tx(lambda session: session.add(Person(code="U01", name="小满")))
    schema.upgrade(bare)
    assert bare.tx(lambda session: session.scalars(sa.select(Person.code)).all()) == ["U01"]  # type: ignore[call-overload]


def test_the_tables_are_what_the_migrations_make(db: Database) -> None:
    schema.check(db)


def test_check_sees_a_difference(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE person ADD COLUMN nickname VARCHAR(9)"))
    with pytest.raises(CommandError, match="nickname"):
        schema.check(db)


def test_tickets_from_before_corrections_are_kept(bare: Database) -> None:
    """0002 adds columns to a table that others refer to: on SQLite it must not be written anew."""
    schema._locked(bare, lambda config: command.upgrade(config, "0001"))
    old = "2026-03-02 00:00:00+00"
    with bare.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO ticket (id, status, category, tier, from_home, spot, evidence, summary, urgent, sensitive,"
                " quiet, confidence, channel, chat, reporter, opened_at, last_message_at, version) VALUES (7, 'closed',"
                " 'city.noise', 1, false, '', '[]', '吵', false, false, false, 1, 'web', 'g1', 'u01', :at, :at, 3)"
            ),
            {"at": old},
        )
        connection.execute(
            sa.text(
                "INSERT INTO ticketevent (ticket, at, actor, what, status, note)"
                " VALUES (7, :at, 'x', 'opened', 'closed', '')"
            ),
            {"at": old},
        )
    schema.upgrade(bare)
    schema.check(bare)
    ticket = bare.tx(lambda session: session.get_one(Ticket, 7))
    assert (ticket.number, ticket.reading, ticket.merged_into, ticket.version) == ("LS00007", {}, None, 3)
    schema._locked(bare, lambda config: command.downgrade(config, "0001"))
    with bare.engine.begin() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM ticket, ticketevent")).scalar_one() == 1


def test_down_to_nothing_and_up_again(bare: Database) -> None:
    schema.upgrade(bare)
    schema._locked(bare, lambda config: command.downgrade(config, "base"))
    assert tables(bare) == set()
    schema.upgrade(bare)
    schema.check(bare)


def test_processes_that_upgrade_at_once(bare_url: str) -> None:
    line = "import sys; from models import schema, database; schema.upgrade(database.Database(sys.argv[1]))"
    running = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-W", "error", "-c", line, bare_url], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    db = Database(bare_url)
    assert tables(db) == set(metadata.tables)
    db.close()


def test_enums_are_stored_by_value(db: Database, clock: HandClock) -> None:
    db.tx(lambda session: open_ticket(session, clock(), status=Status.ASSIGNED))
    with db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT status FROM ticket")).scalar_one() == "assigned"
    read = db.tx(lambda session: session.scalars(sa.select(Ticket)).one())
    assert read.status is Status.ASSIGNED


def test_a_correction_comes_back_as_it_was_written(db: Database, clock: HandClock) -> None:
    words = [{"channel": "web", "chat": "g1", "message": "m/%_1", "role": "report", "text": "灯不亮"}]

    def write(session: Session) -> None:
        session.add(Person(code="C01", name="余"))
        session.flush()
        ticket = open_ticket(session, clock(), reading={"engine": "e:1", "context": {"own_ticket": 2.5}})
        for message in ("m/%_1", "m/xy1"):
            session.add(
                Correction(
                    at=clock(), by="C01", ticket=ticket.id, kind=CorrectionKind.CATEGORY, engine="e:1",
                    words=[words[0] | {"message": message}], context={"own_ticket": 2.5}, before={"tier": 1}, after={},
                )
            )  # fmt: skip

    db.tx(write)
    first, second = db.tx(lambda session: list(corrections.since(session, 0, 10)))
    assert (first.kind, first.words, first.context) == (CorrectionKind.CATEGORY, words, {"own_ticket": 2.5})
    db.tx(lambda session: corrections.take_back(session, "web", "g2", "m/%_1"))
    db.tx(lambda session: corrections.take_back(session, "web", "g1", "m/%_1"))
    first, second = db.tx(lambda session: list(corrections.since(session, 0, 10)))
    assert (first.words[0]["text"], second.words[0]["text"], first.before) == ("", "灯不亮", {"tier": 1})


@pytest.mark.parametrize("offset", [0, 8, -5])
def test_times_come_back_aware_in_utc(db: Database, offset: int) -> None:
    told = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC) + timedelta(hours=offset)
    local = told.astimezone(datetime.now(UTC).astimezone().tzinfo)

    def write(session: Session) -> int:
        return open_ticket(session, local).id or 0

    number = db.tx(write)
    read = db.tx(lambda session: session.get_one(Ticket, number))
    assert read.opened_at == told
    assert read.opened_at.utcoffset() == timedelta(0)


def test_a_time_without_offset_is_not_stored(db: Database) -> None:
    naive = datetime(2026, 3, 2, 8, 30)  # noqa: DTZ001 - what must be refused
    with pytest.raises(sa.exc.StatementError):
        db.tx(lambda session: open_ticket(session, naive))


def test_references_hold(db: Database, clock: HandClock) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        db.tx(lambda session: open_ticket(session, clock(), grid="nowhere"))


def test_a_transaction_that_fails_leaves_nothing(db: Database, clock: HandClock) -> None:
    def fail(session: Session) -> None:
        open_ticket(session, clock())
        raise LookupError

    with pytest.raises(LookupError):
        db.tx(fail)
    assert db.tx(lambda session: session.scalars(sa.select(Ticket)).all()) == []


async def test_run_is_one_transaction_in_a_thread(db: Database, clock: HandClock) -> None:
    ticket = await db.run(lambda session: open_ticket(session, clock()))
    found = await db.run(lambda session: session.get_one(Ticket, ticket.id))
    assert found.number == ticket.number == f"LS{ticket.id:05d}"
