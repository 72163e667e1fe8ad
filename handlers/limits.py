"""Time limits by tier, from config/tiers.yaml."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from config.tables import TableError, mapping
from handlers.workdays import WorkCalendar


@dataclass(frozen=True)
class Limit:
    """One limit: the same day, some minutes, some days, or some working days; and when to remind, as a share of it."""

    same_day: bool = False
    minutes: int = 0
    days: int = 0
    working_days: int = 0
    remind: float = 0.75


@dataclass(frozen=True)
class Limits:
    """All limits. None for a tier whose limit the deployment has not set."""

    tiers: dict[int, Limit | None]
    urgent: Limit
    minimum: timedelta
    close_after: timedelta
    reopen_within: timedelta


def _limit(name: str, row: dict[str, Any] | None) -> Limit | None:
    if not row or row.get("limit") is None:
        return None
    limit, remind = row["limit"], float(row.get("remind", 0.75))
    if not 0 < remind < 1:
        raise TableError(f"tiers.yaml: {name}: remind must lie between 0 and 1")
    if limit == "same_day":
        return Limit(same_day=True, remind=remind)
    amount = next(iter(limit.values()), None) if isinstance(limit, dict) and len(limit) == 1 else None
    if isinstance(amount, int) and amount > 0:
        if "minutes" in limit:
            return Limit(minutes=amount, remind=remind)
        if "days" in limit:
            return Limit(days=amount, remind=remind)
        if "working_days" in limit:
            return Limit(working_days=amount, remind=remind)
    raise TableError(f"tiers.yaml: {name}: limit must be same_day, or one of minutes, days, working_days with a number")


@lru_cache(maxsize=1)
def limits() -> Limits:
    """Read and check the table. Raises TableError naming what is wrong."""
    table = mapping("tiers.yaml")
    urgent = _limit("urgent", table.get("urgent"))
    if urgent is None:
        raise TableError("tiers.yaml: urgent: must have a limit")
    return Limits(
        tiers={int(tier): _limit(f"tiers.{tier}", row) for tier, row in table["tiers"].items()},
        urgent=urgent,
        minimum=timedelta(minutes=int(table.get("same_day_minimum_minutes", 60))),
        close_after=timedelta(days=int(table.get("close_after_days", 7))),
        reopen_within=timedelta(days=int(table.get("reopen_within_days", 14))),
    )


def due(received: datetime, limit: Limit, calendar: WorkCalendar) -> datetime:
    """The moment by which a ticket must be settled.

    received: aware, any zone. Returns aware UTC, always later than `received`. A limit in working days counts from the
    day after; make-up days count, holidays do not. The same day ends at 24:00 local, holiday or not, but never sooner
    than the configured minimum after `received`: what is told at 23:50 cannot be settled at midnight.
    """
    if limit.same_day:
        end = calendar.end_of(received.astimezone(calendar.zone).date())
        found = max(end, received + limits().minimum)
    elif limit.working_days:
        found = calendar.after_workdays(received, limit.working_days)
    else:
        found = received + timedelta(days=limit.days, minutes=limit.minutes)
    return found.astimezone(UTC)


def reminder(received: datetime, end: datetime, limit: Limit) -> datetime:
    """When to remind: after the configured share of the time there is. Aware UTC."""
    return (received + (end - received) * limit.remind).astimezone(UTC)
