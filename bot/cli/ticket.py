"""`linsheng ticket …`: look at a ticket, and put right what is wrong with it."""

import re
from collections.abc import Callable
from typing import Annotated

import sqlalchemy as sa
import typer
from sqlmodel import col

from bot.cli import show
from bot.cli.desk import at_desk
from bot.cli.opened import database, looked_at
from bot.task_view import masked
from config.settings import load_settings
from config.tables import category_name
from handlers import correct, dividing, joining
from handlers.corrected import BadCorrection
from handlers.desk import Desk
from models import suggestion as suggestions_of
from models.suggestion import Suggestion
from models.ticket import Ticket, TicketEvent, TicketMessage

app = typer.Typer(
    no_args_is_help=True, help="Look at a ticket; say that it is of another kind, elsewhere, or no ticket."
)
NUMBER = re.compile(r"(?:LS)?0*(\d{1,15})", re.IGNORECASE)
Number = Annotated[str, typer.Argument(help="LS00042, or 42.")]
By = Annotated[str, typer.Option("--by", help="Who says so: her code, as in people.csv.")]
On = Annotated[bool, typer.Option("--on/--off", help="It is, or it is not.")]


def found(desk: Desk, number: str, field: str = "ticket") -> Ticket:
    """The ticket people call by this number. Raises BadCorrection."""
    match = NUMBER.fullmatch(number.strip())
    ticket = desk.session.get(Ticket, int(match[1])) if match else None
    if ticket is None:
        raise BadCorrection(field, f'there is no ticket "{number}"', "worker_refused")
    return ticket


def _change(number: str, by: str, work: Callable[[Desk, Ticket], Ticket | None]) -> None:
    """Do it, and show the ticket as it is now; what `work` returns, where that is another one."""
    settings = load_settings()

    def run(desk: Desk) -> tuple[str, list[tuple[str, object]]]:
        ticket = found(desk, number)
        shown = work(desk, ticket) or ticket
        desk.session.flush()
        return shown.number, _facts(desk, shown)

    with database(settings) as db:
        title, rows = at_desk(db, settings, by, run)
    show.table(("", ""), rows, title=title)


@app.command("show")
def show_(number: Number) -> None:
    """Facts, the messages with their ids (for `split`), the history. Phone numbers are left out."""
    settings = load_settings()

    def run(desk: Desk) -> tuple[Ticket, list[tuple[str, object]], list[tuple[object, ...]], list[tuple[object, ...]]]:
        ticket = found(desk, number)
        return ticket, _facts(desk, ticket), _messages(desk, ticket), _history(desk, ticket)

    with looked_at(settings) as db:
        ticket, facts, messages, history = at_desk(db, settings, None, run)
    show.table(("", ""), facts, title=ticket.number)
    show.table(("id", "sent", "role", "words"), messages, title="messages")
    show.table(("at", "who", "what", "note"), history, title="history")


@app.command()
def category(number: Number, code: Annotated[str, typer.Argument(help="As in categories.csv.")], by: By) -> None:
    """It is of another kind: tier and deadline follow."""
    _change(number, by, lambda desk, ticket: correct.category(desk, ticket, code, by))


@app.command()
def place(
    number: Number,
    by: By,
    code: Annotated[str | None, typer.Argument(help="The place's code, as in places.csv.")] = None,
    grid: Annotated[str | None, typer.Option(help="Only a grid's code, or another grid than the place's.")] = None,
) -> None:
    """It is somewhere else: who is responsible there gets it."""
    _change(number, by, lambda desk, ticket: correct.place(desk, ticket, by, code=code, grid=grid))


@app.command()
def urgent(number: Number, by: By, on: On = True) -> None:
    """Minutes count, or they do not."""
    _change(number, by, lambda desk, ticket: correct.urgent(desk, ticket, by, on=on))


@app.command()
def sensitive(number: Number, by: By, on: On = True) -> None:
    """Not for the group, or for it again."""
    _change(number, by, lambda desk, ticket: correct.sensitive(desk, ticket, by, on=on))


@app.command()
def dismiss(number: Number, by: By, note: Annotated[str, typer.Option(help="Why.")] = "") -> None:
    """It is no report (非诉求)."""
    _change(number, by, lambda desk, ticket: correct.dismiss(desk, ticket, by, note))


@app.command()
def merge(number: Number, into: Annotated[str, typer.Argument(help="The ticket that goes on.")], by: By) -> None:
    """It is the same matter as another one, which takes it over."""

    def work(desk: Desk, ticket: Ticket) -> Ticket:
        kept = found(desk, into, "into")
        joining.merge(desk, ticket, kept, by)
        return kept

    _change(number, by, work)


@app.command()
def split(
    number: Number,
    by: By,
    messages: Annotated[list[int], typer.Option("--message", "-m", help="An id from `ticket show`; may be repeated.")],
    category: Annotated[str | None, typer.Option(help="Of the new ticket; without, the same.")] = None,
    place: Annotated[str | None, typer.Option(help="Of the new ticket; without, the same.")] = None,
) -> None:
    """Some messages are about something else: they become a ticket of their own, which is shown."""
    _change(
        number, by, lambda desk, ticket: dividing.split(desk, ticket, messages, by, category=category, place=place)
    )  # fmt: skip


@app.command()
def suggestions(
    refuse: Annotated[int | None, typer.Option(help="The number of one whose tickets are two matters.")] = None,
    accept: Annotated[int | None, typer.Option(help="The number of one to merge.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who says so: her code.")] = None,
) -> None:
    """Open tickets that are perhaps the same as an earlier one, newest first."""
    settings = load_settings()
    number = accept if accept is not None else refuse
    if (accept is not None and refuse is not None) or (number is None) != (by is None):
        raise typer.BadParameter("give --accept N or --refuse N, with --by; or nothing, for the list")

    def decide(desk: Desk) -> None:
        row = desk.session.get(Suggestion, number)
        if row is None:
            raise BadCorrection("suggestion", f"there is no suggestion {number}", "worker_not_understood")
        if refuse is not None:
            joining.keep_apart(desk, row, by or "")
        else:
            gone, kept = (desk.session.get_one(Ticket, one) for one in (row.ticket, row.other))
            joining.merge(desk, gone, kept, by or "")

    if number is not None:
        with database(settings) as db:
            at_desk(db, settings, by, decide)
    with looked_at(settings) as db:
        rows = at_desk(db, settings, None, _suggested)
    show.table(("id", "ticket", "perhaps the same as", "points", "words", "the other's words"), rows)


def _suggested(desk: Desk) -> list[tuple[object, ...]]:
    return [
        (row.id, one.number, other.number, row.points, masked(one.summary), masked(other.summary))
        for row, one, other in suggestions_of.waiting(desk.session)
    ]


def _facts(desk: Desk, ticket: Ticket) -> list[tuple[str, object]]:
    reading = ticket.reading
    kinds = "  ".join(f"{code} {share:.2f}" for code, share in reading.get("categories", [])[:3])
    into = desk.session.get(Ticket, ticket.merged_into) if ticket.merged_into else None
    grid, place = desk.town.grids.get(ticket.grid or ""), desk.town.places.get(ticket.place or "")
    return [
        ("status", ticket.status.value + (f", into {into.number}" if into else "")),
        ("category", f"{ticket.category} {category_name(ticket.category)}, tier {ticket.tier}"),
        ("place", f"{place.code} {place.name}{ticket.spot}" if place else "not known"),
        ("grid", f"{grid.code} {grid.name}" if grid else "not known"),
        ("why there", masked(" | ".join(ticket.evidence)) or "not kept"),
        ("urgent", "yes" if ticket.urgent else "no"),
        ("sensitive", "yes" if ticket.sensitive else "no"),
        ("due", desk.due_text(ticket)),
        ("worker", ticket.worker or "nobody"),
        ("people", f"{desk.supporters(ticket)}"),
        ("the engine said", f"{kinds}  ({reading['engine']})" if reading.get("engine") else "not kept"),
    ]


def _messages(desk: Desk, ticket: Ticket) -> list[tuple[object, ...]]:
    zone = desk.calendar.zone
    rows = sa.select(TicketMessage).where(col(TicketMessage.ticket) == ticket.id).order_by(col(TicketMessage.id))
    return [
        (row.id, f"{row.sent_at.astimezone(zone):%Y-%m-%d %H:%M}", row.role, masked(row.text) or f"[{row.kind}]")
        for row in desk.session.scalars(rows)
    ]


def _history(desk: Desk, ticket: Ticket) -> list[tuple[object, ...]]:
    zone = desk.calendar.zone
    rows = sa.select(TicketEvent).where(col(TicketEvent.ticket) == ticket.id).order_by(col(TicketEvent.id))
    return [
        (f"{row.at.astimezone(zone):%Y-%m-%d %H:%M}", row.actor, row.what, masked(row.note))
        for row in desk.session.scalars(rows)
    ]
