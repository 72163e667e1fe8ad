"""What platforms still take, counted over processes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from models import quota
from models.database import Database
from models.quota import Quota
from tests.conftest import HandClock

MINUTE, DAYS = timedelta(minutes=1), timedelta(hours=48)


def taking(db: Database, clock: HandClock) -> Callable[[], bool]:
    return lambda: db.tx(lambda s: quota.take(s, "robot", limit=20, per=MINUTE, now=clock()))


def do(db: Database, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return db.tx(lambda session: function(session, *args, **more))


def test_no_minute_ever_holds_more_than_twenty(db: Database, clock: HandClock) -> None:
    take = taking(db, clock)
    taken = []
    for _ in range(400):  # five minutes, more than one a second
        if take():
            taken.append(clock())
        clock.forward(seconds=0.75)
    for start in taken:
        assert sum(start <= at < start + MINUTE for at in taken) <= 20
    assert len(taken) >= 85, "the platform's pace is used, and not half of it"


def test_the_next_one_is_told(db: Database, clock: HandClock) -> None:
    take = taking(db, clock)
    assert do(db, quota.free_at, "robot", limit=20, per=MINUTE, now=clock()) == clock()
    assert [take() for _ in range(21)] == [True] * 20 + [False]
    opens = do(db, quota.free_at, "robot", limit=20, per=MINUTE, now=clock())
    assert MINUTE <= opens - clock() <= timedelta(seconds=66)
    clock.set(opens - timedelta(seconds=1))
    assert not take()
    clock.set(opens)
    assert take()


def test_processes_at_once_share_one_bucket(db: Database, clock: HandClock) -> None:
    take = taking(db, clock)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: take(), range(40))) == 20


def test_of_two_buckets_both_give_or_none(db: Database, clock: HandClock) -> None:
    buckets = {"m": (2, MINUTE), "h": (3, timedelta(hours=1))}
    taken = [do(db, quota.take_all, buckets, clock()) for _ in range(20)]
    assert taken == [True] * 2 + [False] * 18
    clock.forward(minutes=2)
    assert [do(db, quota.take_all, buckets, clock()) for _ in range(2)] == [True, False]
    assert do(db, quota.take, "m", limit=2, per=MINUTE, now=clock()), "the full hour took nothing of the minute"


def test_buckets_are_apart(db: Database, clock: HandClock) -> None:
    assert do(db, quota.take, "a", limit=1, per=MINUTE, now=clock())
    assert do(db, quota.take, "b", limit=1, per=MINUTE, now=clock())
    assert not do(db, quota.take, "a", limit=1, per=MINUTE, now=clock())


def test_a_message_entitles_to_five_within_two_days(db: Database, clock: HandClock) -> None:
    assert do(db, quota.spend, "o1", clock()) == ""
    do(db, quota.grant, "o1", count=5, per=DAYS, at=clock())
    for left in (5, 4, 3, 2, 1):
        assert do(db, quota.left, "o1", clock()) == left
        assert do(db, quota.spend, "o1", clock()) == quota.MESSAGE
    assert do(db, quota.spend, "o1", clock()) == ""
    clock.forward(hours=1)
    do(db, quota.grant, "o1", count=5, per=DAYS, at=clock())
    clock.forward(hours=48)
    assert do(db, quota.spend, "o1", clock()) == ""


def test_the_same_message_entitles_once(db: Database, clock: HandClock) -> None:
    at = clock()
    for _ in range(3):
        do(db, quota.grant, "o1", count=2, per=DAYS, at=at)
        do(db, quota.spend, "o1", clock())
    do(db, quota.grant, "o1", count=2, per=DAYS, at=at - timedelta(hours=1))
    assert do(db, quota.spend, "o1", clock()) == ""


def test_what_ends_first_is_spent_first_and_given_back_where_it_came_from(db: Database, clock: HandClock) -> None:
    do(db, quota.grant, "o1", count=5, per=DAYS, at=clock())
    do(db, quota.grant, "o1", count=3, per=MINUTE, at=clock(), kind="menu")
    assert do(db, quota.spend, "o1", clock()) == "menu"
    do(db, quota.refund, "o1", "menu")
    assert do(db, quota.left, "o1", clock()) == 8
    clock.forward(minutes=2)
    assert do(db, quota.spend, "o1", clock()) == quota.MESSAGE
    assert do(db, quota.left, "o1", clock()) == 4


def test_agreements_add_up(db: Database, clock: HandClock) -> None:
    for _ in range(3):
        do(db, quota.grant, "o1", count=1, per=DAYS, at=clock(), kind="notice", add=True)
        clock.forward(seconds=1)
    assert do(db, quota.left, "o1", clock()) == 3


def test_the_platforms_word_counts(db: Database, clock: HandClock) -> None:
    do(db, quota.grant, "o1", count=5, per=DAYS, at=clock())
    do(db, quota.exhaust, "o1", clock())
    assert do(db, quota.spend, "o1", clock()) == ""


def test_what_was_granted_since_is_not_what_the_platform_spoke_of(db: Database, clock: HandClock) -> None:
    do(db, quota.grant, "o1", count=3, per=MINUTE, at=clock(), kind="moment")
    asked = clock()
    clock.forward(seconds=1)
    do(db, quota.grant, "o1", count=5, per=DAYS, at=clock())
    do(db, quota.exhaust, "o1", asked)
    assert do(db, quota.left, "o1", clock()) == 5


def test_the_latest_grant_comes_first(db: Database, clock: HandClock) -> None:
    for key, count in (("old", 5), ("over", 5), ("new", 1)):
        do(db, quota.grant, key, count=count, per=MINUTE if key == "over" else DAYS, at=clock())
        clock.forward(minutes=1)
    do(db, quota.grant, "moved", count=3, per=DAYS, at=clock(), kind="moment")
    do(db, quota.spend, "new", clock())
    keys = ("old", "over", "new", "moved", "nobody")
    assert do(db, quota.granted, keys, clock()) == [("new", 0), ("over", 0), ("old", 5)]


def test_what_is_over_is_forgotten(db: Database, clock: HandClock) -> None:
    do(db, quota.grant, "old", count=5, per=MINUTE, at=clock())
    do(db, quota.grant, "new", count=5, per=DAYS, at=clock())
    assert do(db, quota.forget, clock() + timedelta(hours=1), 100) == 1

    def keys(session: Session) -> list[str]:
        return list(session.scalars(sa.select(Quota.key)))  # type: ignore[call-overload]

    assert db.tx(keys) == ["new"]
