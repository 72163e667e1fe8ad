"""`linsheng patrol`: which gridworkers checked in on their rounds (巡查打卡) on a day, and in which grids."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated

import typer
from sqlmodel import Session

from bot.cli import show
from bot.cli.opened import looked_at
from config.settings import load_settings
from handlers.patrol import check_ins
from handlers.town import load
from models.base import utc_now
from models.person import Role

Row = tuple[str, str, str, str, str]


def patrol(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Local: 2026-03-02. Without, today.")
    ] = None,
) -> None:  # fmt: skip
    """Each gridworker's check-ins of a day. Points are not shown, only grids; kept as long as messages are."""
    settings = load_settings()
    zone = settings.zone
    local = day.date() if day else utc_now().astimezone(zone).date()
    since = datetime.combine(local, time.min, zone).astimezone(UTC)

    def rows(session: Session) -> list[Row]:
        town = load(session)
        found: list[Row] = []
        for code, person in sorted(town.people.items()):
            addresses = tuple((one.channel, one.user) for one in town.addresses(code))
            if Role.GRIDWORKER not in town.roles(code) or not addresses:
                continue
            seen = [one for one in check_ins(session, town, addresses, since) if one[0] < since + timedelta(days=1)]
            times = [at.astimezone(zone).strftime("%H:%M") for at, _ in seen]
            grids = "、".join(dict.fromkeys(town.grids[grid].name for _, grid in seen))
            found.append((code, person.name, times[0] if times else "", times[-1] if times else "", grids))
        return found

    with looked_at(settings) as db:
        show.table(("code", "name", "first", "last", "grids"), db.tx(rows), title=f"{local}")
