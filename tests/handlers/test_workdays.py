"""Working days against a second source, and a deployment's own days."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest

from config.tables import TableError
from handlers.workdays import WorkCalendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = WorkCalendar(SHANGHAI)


def days(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [day for i in range(366) if (day := first + timedelta(days=i)).year == year]


def own(home: Path, text: str) -> None:
    """The deployment's own workdays.yaml."""
    (home / "config").mkdir()
    (home / "config" / "workdays.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("year", [2025, 2026])
def test_every_day_of_the_published_years(year: int) -> None:
    wrong = [day for day in days(year) if CHINA.is_workday(day) != chinese_calendar.is_workday(day)]
    assert wrong == []
    assert CHINA.knows(year)


def test_a_year_nobody_has_published_yet() -> None:
    # Fixed holidays and weekends are known long before the notice; nothing may fail for the rest.
    assert [CHINA.is_workday(day) for day in days(2027)].count(True) > 240
    assert not CHINA.is_workday(date(2027, 10, 1))
    assert not CHINA.knows(2027)


def test_make_up_days_are_worked_and_bridged_days_free() -> None:
    assert CHINA.is_workday(date(2026, 2, 14))  # Saturday before the Spring Festival
    assert CHINA.is_workday(date(2026, 2, 28))  # Saturday after it
    assert not CHINA.is_workday(date(2026, 2, 23))  # its last Monday
    assert not CHINA.is_workday(date(2026, 3, 7))  # a Saturday like any other


def test_the_deployments_own_days_win() -> None:
    calendar = WorkCalendar(
        SHANGHAI, extra_work=frozenset({date(2026, 10, 1)}), extra_free=frozenset({date(2026, 3, 2), date(2026, 10, 1)})
    )
    assert calendar.is_workday(date(2026, 10, 1))
    assert not calendar.is_workday(date(2026, 3, 2))
    assert calendar.version != CHINA.version


def test_configured_reads_the_deployments_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    own(tmp_path, "workdays: [2027-02-06]\nholidays: [2027-02-08, 2027-02-09]\n")
    calendar = WorkCalendar.configured(SHANGHAI)
    assert calendar.is_workday(date(2027, 2, 6))
    assert not calendar.is_workday(date(2027, 2, 9))
    assert calendar.knows(2027)


def test_the_table_that_ships_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    assert WorkCalendar.configured(SHANGHAI) == CHINA


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("workdays: [2027-02-30]\n", "workdays.yaml"),
        ("holidays: [soon]\n", "'soon'"),
        ("workdays: [20270206]\n", "20270206"),
        ("- 2027-02-06\n", "workdays.yaml"),
        ("workdays: 2027-02-06\n", "workdays"),
    ],
    ids=["no such day", "a word", "a number", "a list", "not a list"],
)
def test_a_bad_day_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    own(tmp_path, text)
    with pytest.raises(TableError, match=named):
        WorkCalendar.configured(SHANGHAI)


def test_counting_starts_on_the_day_after() -> None:
    friday = datetime(2026, 3, 6, 9, 0, tzinfo=SHANGHAI)
    assert CHINA.after_workdays(friday, 1) == datetime(2026, 3, 10, tzinfo=SHANGHAI)
    assert CHINA.after_workdays(friday, 0) == datetime(2026, 3, 7, tzinfo=SHANGHAI)


def test_the_local_day_counts() -> None:
    evening = datetime(2026, 3, 5, 16, 30, tzinfo=UTC)  # Friday, half past midnight in Shanghai
    assert CHINA.after_workdays(evening, 1) == datetime(2026, 3, 10, tzinfo=SHANGHAI)
