"""Time limits by tier."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.tables import TableError
from handlers.limits import Limit, due, limits, reminder
from handlers.workdays import WorkCalendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = WorkCalendar(SHANGHAI)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, so that the tables are those that ship until a test writes one."""
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    limits.cache_clear()
    yield tmp_path
    limits.cache_clear()


def own(home: Path, text: str) -> None:
    (home / "config").mkdir()
    (home / "config" / "tiers.yaml").write_text(text, encoding="utf-8")


def by_tier(tier: int, received: str) -> datetime:
    limit = limits().tiers[tier]
    assert limit is not None
    end = due(local(received), limit, CHINA)
    assert end.utcoffset() == timedelta(0)
    return end


@pytest.mark.parametrize(
    ("received", "end"),
    [
        ("2026-03-02 08:00", "2026-03-03 00:00"),
        ("2026-03-02 00:00", "2026-03-03 00:00"),
        ("2026-03-02 23:00", "2026-03-03 00:00"),
        ("2026-03-02 23:50", "2026-03-03 00:50"),
        ("2026-02-17 10:00", "2026-02-18 00:00"),
        ("2026-10-01 23:59", "2026-10-02 00:59"),
    ],
    ids=["morning", "midnight", "an hour left", "ten minutes left", "Spring Festival", "National Day, last minute"],
)
def test_tier_1_ends_the_same_day_holiday_or_not(received: str, end: str) -> None:
    assert by_tier(1, received) == local(end)


def test_tier_2_counts_plain_days() -> None:
    assert by_tier(2, "2026-02-16 10:15") == local("2026-02-19 10:15")


@pytest.mark.parametrize(
    ("received", "end"),
    [
        ("2026-03-02 10:00", "2026-03-10 00:00"),  # Tue Wed Thu Fri, Mon
        ("2026-02-13 10:00", "2026-02-28 00:00"),  # the worked Saturday 14th, then 24th to 27th
        ("2026-02-17 10:00", "2026-03-01 00:00"),  # 24th to 27th and the worked Saturday 28th
        ("2026-02-23 23:59", "2026-03-01 00:00"),
    ],
)
def test_tier_3_across_the_spring_festival(received: str, end: str) -> None:
    assert by_tier(3, received) == local(end)


def test_tier_3_into_a_year_that_nobody_has_published() -> None:
    # 1 January is free whatever the notice will say; 31 December and 4 to 7 January are the five days at the soonest.
    assert by_tier(3, "2026-12-30 10:00") >= local("2027-01-08 00:00")


def test_an_urgent_matter_has_minutes() -> None:
    assert due(local("2026-02-17 03:00"), limits().urgent, CHINA) == local("2026-02-17 05:00")


UNITS = st.one_of(
    st.just(Limit(same_day=True)),
    st.integers(1, 10_000).map(lambda n: Limit(minutes=n)),
    st.integers(1, 60).map(lambda n: Limit(days=n)),
    st.integers(1, 60).map(lambda n: Limit(working_days=n)),
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.timezones())  # noqa: DTZ001


@given(received=MOMENTS, limit=UNITS, remind=st.floats(0.01, 0.99))
def test_always_later_than_received(received: datetime, limit: Limit, remind: float) -> None:
    end = due(received, limit, CHINA)
    assert end > received
    assert end == due(received.astimezone(UTC), limit, CHINA)
    assert received < reminder(received, end, Limit(remind=remind)) < end


@given(received=MOMENTS, count=st.integers(1, 30))
def test_more_working_days_are_never_sooner(received: datetime, count: int) -> None:
    ends = [due(received, Limit(working_days=n), CHINA) for n in (count, count + 1)]
    assert ends[1] - ends[0] >= timedelta(days=1)


def test_a_tier_without_a_limit(home: Path) -> None:
    own(home, "tiers:\n  1: {limit: same_day}\n  4: {limit: null}\n  5: {}\nurgent: {limit: {minutes: 30}}\n")
    assert limits().tiers == {1: Limit(same_day=True), 4: None, 5: None}
    assert limits().minimum == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tiers: {1: {limit: tomorrow}}\nurgent: {limit: same_day}\n", r"tiers\.1"),
        ("tiers: {2: {limit: {weeks: 1}}}\nurgent: {limit: same_day}\n", r"tiers\.2"),
        ("tiers: {2: {limit: {days: 0}}}\nurgent: {limit: same_day}\n", r"tiers\.2"),
        ("tiers: {2: {limit: {days: 3, minutes: 1}}}\nurgent: {limit: same_day}\n", r"tiers\.2"),
        ("tiers: {3: {limit: same_day, remind: 1}}\nurgent: {limit: same_day}\n", r"tiers\.3.*remind"),
        ("tiers: {3: {limit: same_day, remind: soon}}\nurgent: {limit: same_day}\n", r"tiers\.3.*remind"),
        ("tiers: {1: {limit: same_day}}\n", "urgent"),
        ("tiers: {1: {limit: same_day}}\nurgent: {limit: {minutes: many}}\n", "urgent"),
        ("urgent: {limit: same_day}\n", "tiers"),
        ("tiers: {first: {limit: same_day}}\nurgent: {limit: same_day}\n", "first"),
        ("tiers: {}\nurgent: {limit: same_day}\nclose_after_days: week\n", "close_after_days"),
        ("tiers: {1: same_day}\nurgent: {limit: same_day}\n", r"tiers\.1"),
    ],
)
def test_a_bad_table_names_its_key(home: Path, text: str, named: str) -> None:
    own(home, text)
    with pytest.raises(TableError, match=named):
        limits()
