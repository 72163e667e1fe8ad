"""Time limits by tier, from config/tiers.yaml."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.tables import TableError, mapping, once
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


def _limit(name: str, row: object) -> Limit | None:
    if row is None:
        return None
    if not isinstance(row, dict):
        raise TableError(f"tiers.yaml: {name}: must be a mapping with `limit` and `remind`")
    limit = row.get("limit")
    if limit is None:
        return None
    remind = _number(f"{name}.remind", row.get("remind", 0.75))
    if not 0 < remind < 1:
        raise TableError(f"tiers.yaml: {name}.remind: must lie between 0 and 1")
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


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TableError(f"tiers.yaml: {name}: must be a number")
    return float(value)


@once
def limits() -> Limits:
    """Read and check the table. Raises TableError naming what is wrong."""
    table = mapping("tiers.yaml")
    rows = table.get("tiers")
    if not isinstance(rows, dict):
        raise TableError("tiers.yaml: tiers: must be a mapping of tier numbers to limits")
    if wrong := [tier for tier in rows if not isinstance(tier, int)]:
        raise TableError(f"tiers.yaml: tiers.{wrong[0]}: a tier is a whole number")
    urgent = _limit("urgent", table.get("urgent"))
    if urgent is None:
        raise TableError("tiers.yaml: urgent: must have a limit")
    spans = {
        name: _number(name, table.get(name, default))
        for name, default in (("same_day_minimum_minutes", 60), ("close_after_days", 7), ("reopen_within_days", 14))
    }
    return Limits(
        tiers={tier: _limit(f"tiers.{tier}", row) for tier, row in rows.items()},
        urgent=urgent,
        minimum=timedelta(minutes=spans["same_day_minimum_minutes"]),
        close_after=timedelta(days=spans["close_after_days"]),
        reopen_within=timedelta(days=spans["reopen_within_days"]),
    )


def due(received: datetime, limit: Limit, calendar: WorkCalendar) -> datetime:
    """The moment by which a ticket must be settled.

    received: aware, any zone. Returns aware UTC, always later than `received`. A limit in working days counts from the
    day after; make-up days count, holidays do not. The same day ends at 24:00 local, holiday or not, but never sooner
    than the configured minimum after `received`: what is told at 23:50 cannot be settled at midnight.
    """
    if limit.same_day:
        end = calendar.end_of(received.astimezone(calendar.zone).date())
        found = max(end, received.astimezone(UTC) + limits().minimum)
    elif limit.working_days:
        found = calendar.after_workdays(received, limit.working_days)
    else:
        found = received.astimezone(UTC) + timedelta(days=limit.days, minutes=limit.minutes)
    return found.astimezone(UTC)


def reminder(received: datetime, end: datetime, limit: Limit) -> datetime:
    """When to remind: after the configured share of the time there is. Aware UTC."""
    start = received.astimezone(UTC)
    return start + (end - start) * limit.remind
