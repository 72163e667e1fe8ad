"""`linsheng review …`: a small share of the messages on which the bot stayed silent, looked at by people."""

from collections.abc import Callable
from typing import Annotated

import typer

from bot.cli import show
from bot.cli.desk import at_desk
from bot.cli.opened import database, looked_at
from bot.task_view import masked
from config.settings import load_settings
from handlers import sampling
from handlers.corrected import BadCorrection
from handlers.desk import Desk
from models import sample as samples
from models.sample import Sample

app = typer.Typer(no_args_is_help=True, help="Was silence right? Look at samples of it, and say.")
By = Annotated[
    str, typer.Option("--by", help="Who says so: her code, of the community's, street's or district's staff.")
]


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50) -> None:
    """Those not looked at yet, the oldest first. Phone numbers are left out; who wrote it is not kept."""
    settings = load_settings()

    def run(desk: Desk) -> list[tuple[object, ...]]:
        zone = desk.calendar.zone
        return [
            (
                row.id,
                f"{row.at.astimezone(zone):%Y-%m-%d %H:%M}",
                row.grid or "",
                row.said.get("intents", {}).get("report", 0.0),
                masked(row.text),
            )
            for row in samples.waiting(desk.session, limit)
        ]

    with looked_at(settings) as db:
        rows = at_desk(db, settings, None, run)
    show.table(("id", "sent", "grid", "report", "words"), rows)


@app.command()
def report(
    number: Annotated[int, typer.Argument(help="A number from `review list`.")],
    category: Annotated[str, typer.Argument(help="As in categories.csv.")],
    by: By,
) -> None:
    """It was a report of this kind, and the bot missed it: kept to learn from. No ticket is opened."""
    _each([number], by, lambda desk, row: sampling.missed(desk, row, category, by))
    typer.echo(f"{number}: kept as missed.")


@app.command()
def fine(ids: Annotated[list[int], typer.Argument(help="Numbers from `review list`.")], by: By) -> None:
    """It was talk, and silence was right: kept as such, as long as samples are."""
    _each(ids, by, lambda desk, row: sampling.fine(desk, row, by))
    typer.echo(f"{len(set(ids))} kept as talk.")


def _each(ids: list[int], by: str, work: Callable[[Desk, Sample], object]) -> None:
    """All of them or none."""
    settings = load_settings()

    def run(desk: Desk) -> None:
        for number in sorted(set(ids)):
            row = desk.session.get(Sample, number)
            if row is None:
                raise BadCorrection("sample", f"there is no sample {number}", "worker_not_understood")
            work(desk, row)

    with database(settings) as db:
        at_desk(db, settings, by, run)
