"""Working days as China counts them: holidays free, make-up days (调休) worked. Source: the State Council's notices.

`holidays` knows them as published; config/workdays.yaml adds what a deployment knows earlier.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from zoneinfo import ZoneInfo

import holidays

from config.tables import TableError, mapping

SATURDAY = 5


@dataclass(frozen=True)
class WorkCalendar:
    """China's working days. extra_work, extra_free: local days from workdays.yaml, which win."""

    zone: ZoneInfo
    extra_work: frozenset[date] = field(default=frozenset())
    extra_free: frozenset[date] = field(default=frozenset())

    @classmethod
    def configured(cls, zone: ZoneInfo) -> "WorkCalendar":
        """With the deployment's own days. Raises TableError naming a day that is none."""
        table = mapping("workdays.yaml")
        days = {}
        for name in ("workdays", "holidays"):
            listed = table.get(name) or []
            if not isinstance(listed, list):
                raise TableError(f"workdays.yaml: {name}: must be a list of dates")
            wrong = [day for day in listed if not isinstance(day, date)]
            if wrong:
                raise TableError(f"workdays.yaml: {name}: {wrong[0]!r} is no date (YYYY-MM-DD)")
            days[name] = frozenset(listed)
        return cls(zone, days["workdays"], days["holidays"])

    @cached_property
    def _china(self) -> holidays.HolidayBase:
        return holidays.country_holidays("CN")

    @cached_property
    def version(self) -> str:
        """Which calendar a deadline was counted with."""
        days = [f"+{day}" for day in sorted(self.extra_work)] + [f"-{day}" for day in sorted(self.extra_free)]
        own = sha256(",".join(days).encode()).hexdigest()[:8] if days else "0"
        return f"holidays-{version('holidays')}+{own}"

    def is_workday(self, day: date) -> bool:
        """Whether offices work on a local day."""
        if day in self.extra_work:
            return True
        if day in self.extra_free:
            return False
        return bool(self._china.is_working_day(day))

    def knows(self, year: int) -> bool:
        """Whether the notice for a year is in the data: a year without a single make-up day is not published yet."""
        first = date(year, 1, 1)
        days = (first + timedelta(days=i) for i in range(366))
        return any(day.weekday() >= SATURDAY and self.is_workday(day) for day in days if day.year == year)

    def after_workdays(self, start: datetime, count: int) -> datetime:
        """The end (24:00 local) of the `count`-th working day after the local day of `start`; aware, in the zone."""
        day = start.astimezone(self.zone).date()
        while count > 0:
            day += timedelta(days=1)
            count -= self.is_workday(day)
        return self.end_of(day)

    def end_of(self, day: date) -> datetime:
        """24:00 of a local day."""
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=self.zone)
