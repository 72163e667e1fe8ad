"""`linsheng person …`: who is away, and who stands in for her."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import typer
from sqlmodel import Session, col

from bot.cli import show, who
from bot.cli.opened import database, looked_at
from config.settings import load_settings
from handlers.workdays import WorkCalendar
from models import person as people
from models.base import utc_now
from models.grid import Grid
from models.person import BadLeave, Duty, Identity, Person
from models.ticket import OPEN, Ticket

app = typer.Typer(no_args_is_help=True, help="See what somebody is in charge of; say that she is away, or back.")
who.register(app)
Code = Annotated[str, typer.Argument(help="Her code, as in people.csv.")]


@app.command()
def away(
    code: Code,
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day, local: 2026-03-10.")],
    deputy: Annotated[
        str | None, typer.Option(help="The code of who stands in; without, the next one on duty does.")
    ] = None,
) -> None:
    """Somebody is away to the end of a day: new tickets go to her deputy. Running workers notice by themselves."""
    settings = load_settings()
    end = WorkCalendar(settings.zone).end_of(until.date()).astimezone(UTC)
    if end <= utc_now():
        raise BadLeave(f"--until {until:%Y-%m-%d}: that day is over.")
    with database(settings) as db:
        rows = db.tx(lambda session: _facts(session, people.leave(session, code, end, deputy), settings.zone))
    show.table(("", ""), rows, title=code)


@app.command()
def back(code: Code) -> None:
    """Somebody is there again: she gets her tickets herself."""
    settings = load_settings()
    with database(settings) as db:
        rows = db.tx(lambda session: _facts(session, people.back(session, code), settings.zone))
    show.table(("", ""), rows, title=code)


@app.command("show")
def show_(code: Code) -> None:
    """Her duties, whether channels reach her, her leave. Neither her home nor whole user ids are shown."""
    settings = load_settings()
    with looked_at(settings) as db:
        rows = db.tx(lambda session: _facts(session, people.get(session, code), settings.zone))
    show.table(("", ""), rows, title=code)


def _facts(session: Session, person: Person, zone: ZoneInfo) -> list[tuple[str, object]]:
    duties = session.execute(
        sa.select(Duty, Grid)
        .join(Grid, col(Grid.code) == col(Duty.grid))
        .where(col(Duty.person) == person.code)
        .order_by(col(Duty.id))
    )
    identities = session.scalars(sa.select(Identity).where(col(Identity.person) == person.code))
    mine = sa.select(sa.func.count()).select_from(Ticket)
    mine = mine.where(col(Ticket.worker) == person.code, col(Ticket.status).in_(OPEN))
    reached = [f"{identity.channel} {_masked(identity.user)}" for identity in identities]
    return [
        ("name", person.name),
        *(
            ("duty", " ".join(filter(None, (duty.role.value, grid.code, grid.name, duty.department))))
            for duty, grid in duties
        ),
        ("reached on", ", ".join(reached) or "no channel"),
        ("away", _leave(person, zone)),
        ("deputy", _deputy(session, person, zone)),
        ("open tickets", f"{session.scalar(mine) or 0}"),
    ]


def _deputy(session: Session, person: Person, zone: ZoneInfo) -> str:
    if person.deputy is None:
        return "none"
    deputy = people.get(session, person.deputy)
    gone = _leave(deputy, zone)
    return f"{deputy.code} {deputy.name}" + (f", away herself {gone}" if gone != "no" else "")


def _leave(person: Person, zone: ZoneInfo) -> str:
    """Until when in local time; midnight is the end of a day."""
    if person.away_until is None or person.away_until <= utc_now():
        return "no"
    local = person.away_until.astimezone(zone)
    if local.time() == time.min:
        return f"until {local - timedelta(days=1):%Y-%m-%d} 24:00"
    return f"until {local:%Y-%m-%d %H:%M}"


def _masked(user: str) -> str:
    """Enough to tell two ids apart, too little to write to anybody."""
    return f"{user[:2]}…{user[-2:]}" if len(user) > 8 else f"{user[:1]}…"
