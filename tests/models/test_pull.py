"""How far pullers have come, and that one of them pulls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from models import pull
from models.database import Database
from models.pull import Pull
from models.queue import LeaseLost
from tests.conftest import HandClock

LEASE = timedelta(minutes=2)


def do(db: Database, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return db.tx(lambda session: function(session, *args, **more))


def seized(db: Database, clock: HandClock) -> Pull:
    row = do(db, pull.seize, "kf:1", now=clock(), lease=LEASE)
    assert isinstance(row, Pull)
    return row


def due(db: Database, clock: HandClock) -> list[str]:
    found: list[str] = do(db, pull.due, ["kf:1", "kf:2"], clock() - timedelta(minutes=10))
    return found


def test_what_is_asked_while_it_is_pulled_is_pulled_again(db: Database, clock: HandClock) -> None:
    do(db, pull.ask, "kf:1", hint="a", until=clock() + LEASE)
    row = seized(db, clock)
    assert (row.hint, row.asked) == ("a", 1)
    do(db, pull.ask, "kf:1", hint="b", until=clock() + LEASE)
    do(db, pull.finish, row, now=clock())
    assert "kf:1" in due(db, clock)
    row = seized(db, clock)
    assert row.hint == "b"
    do(db, pull.finish, row, now=clock())
    assert due(db, clock) == ["kf:2"]  # which nobody has ever pulled
    clock.forward(minutes=11)
    assert due(db, clock) == ["kf:1", "kf:2"]


def test_of_many_at_once_one_pulls(db: Database, clock: HandClock) -> None:
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: do(db, pull.seize, "kf:1", now=clock(), lease=LEASE), range(12)))
    assert sum(row is not None for row in got) == 1


def test_a_lease_ends(db: Database, clock: HandClock) -> None:
    first = seized(db, clock)
    do(db, pull.move, first, "c1", now=clock(), lease=LEASE)
    clock.forward(minutes=1, seconds=59)
    assert do(db, pull.seize, "kf:1", now=clock(), lease=LEASE) is None
    clock.forward(seconds=1)
    second = seized(db, clock)
    assert second.cursor == "c1"
    with pytest.raises(LeaseLost):
        do(db, pull.move, first, "c2", now=clock(), lease=LEASE)
    with pytest.raises(LeaseLost):
        do(db, pull.finish, first, now=clock())
    do(db, pull.release, first)
    assert do(db, pull.seize, "kf:1", now=clock(), lease=LEASE) is None, "what is not mine I cannot give back"
    do(db, pull.release, second)
    assert seized(db, clock).cursor == "c1"
