"""Who holds what there may be one of: two would-be holders on one database, as two processes have it."""

import os
from collections.abc import Iterator

import pytest

from bot.channels.holder import Holder
from models.database import Database

NAME = "wecom_bot:BOTID"


@pytest.fixture
def another(db: Database, db_url: str) -> Iterator[Database]:
    """The same database, as another process opens it."""
    made = Database(db_url)
    yield made
    made.close()


async def test_one_holds_it_until_it_lets_go(db: Database, another: Database) -> None:
    first, second = Holder(db, NAME), Holder(another, NAME)
    assert [await first.take(), await second.take()] == [True, False]
    assert [await first.still(), await second.take()] == [True, False]
    await first.let_go()
    assert [await second.take(), await first.take()] == [True, False]
    assert await second.still()
    await second.let_go()


async def test_what_is_held_has_a_name(db: Database, another: Database) -> None:
    first, second = Holder(db, NAME), Holder(another, "wecom_bot:ANOTHER")
    assert [await first.take(), await second.take()] == [True, True]
    await first.let_go()
    assert await second.still(), "each lets go of its own"
    await second.let_go()


async def test_letting_go_of_nothing_takes_it_from_nobody(db: Database, another: Database) -> None:
    first, second, third = Holder(db, NAME), Holder(another, NAME), Holder(another, NAME)
    assert await first.take()
    assert not await second.take()
    await second.let_go()
    assert not await third.take()
    await first.let_go()
    await first.let_go()
    assert await third.take()
    await third.let_go()


async def test_a_process_that_is_gone_holds_nothing(db: Database, db_url: str) -> None:
    gone = Database(db_url)
    first, second = Holder(gone, NAME), Holder(db, NAME)
    assert await first.take()
    # What the end of a process does: its sessions with the database and its files are closed, without a word.
    if first._connection is not None:
        first._connection.invalidate()
    if first._handle is not None:
        os.close(first._handle)
    gone.close()
    assert await second.take()
    await second.let_go()
