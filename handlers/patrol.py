"""巡查打卡: a gridworker opens the app on her round, and the platform says where that is.

Channels hand over only where staff are, and only where the deployment has switched that on. The check-in is the message
itself, kept and forgotten as all messages are; only the first one of a day in a grid is answered.
"""

from datetime import datetime, time

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from handlers.context import Context
from handlers.router import Router
from handlers.town import Town
from models import inbox
from models.inbox import Inbox
from models.whois import hers

patrol = Router("patrol")
PATROL, OUTCOME, ELSEWHERE = "patrol", "patrol", "patrol_elsewhere"


@patrol.on(lambda ctx: ctx.direct and PATROL in ctx.message.platform)
def checked_in(ctx: Context) -> str:
    """Where her duties are it is a check-in; elsewhere nothing is made of it."""
    m = ctx.message
    grid = on_round(ctx.town, ctx.person.code, m.lon, m.lat) if ctx.person and ctx.is_worker else None
    if grid is None:
        return ELSEWHERE
    local = ctx.message.sent_at.astimezone(ctx.calendar.zone)
    since = datetime.combine(local.date(), time.min, ctx.calendar.zone)
    if grid not in {found for _, found in check_ins(ctx.session, ctx.town, ctx.addresses, since)}:
        ctx.say("patrol_in", time=f"{local:%H:%M}", where=ctx.town.grids[grid].name)
    return OUTCOME


def on_round(town: Town, person: str, lon: float | None, lat: float | None) -> str | None:
    """The grid of that point, if she has a duty there."""
    grid = _grid(town, lon, lat)
    return grid if grid and any(town.within(grid, duty.grid) for duty in town.duties.get(person, ())) else None


def check_ins(
    session: Session, town: Town, addresses: tuple[tuple[str, str], ...], since: datetime
) -> list[tuple[datetime, str]]:  # fmt: skip
    """(when, grid) of somebody's check-ins since then, oldest first. addresses: her user ids."""
    rows = session.scalars(
        sa.select(Inbox)
        .where(hers(col(Inbox.channel), col(Inbox.sender), addresses))
        .where(col(Inbox.outcome) == OUTCOME, col(Inbox.sent_at) >= since)
        .order_by(col(Inbox.sent_at))
    )
    found = []
    for row in rows:
        try:
            message = inbox.read(row)
        except ValidationError:
            continue
        grid = _grid(town, message.lon, message.lat)
        if grid is not None:
            found.append((row.sent_at, grid))
    return found


def _grid(town: Town, lon: float | None, lat: float | None) -> str | None:
    return town.at(lon, lat) if lon is not None and lat is not None else None
