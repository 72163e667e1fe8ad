"""`linsheng alias …`: what residents call places, learned from corrections, and staff's word on it."""

from typing import Annotated

import typer

from bot.cli import show
from bot.cli.desk import at_desk
from bot.cli.opened import database, looked_at
from config.settings import load_settings
from handlers import aliases
from handlers.corrected import BadCorrection, NotYours
from handlers.desk import Desk
from handlers.sampling import may_review
from models import alias as proposals
from models.alias import AliasProposal, AliasState

app = typer.Typer(no_args_is_help=True, help="Nicknames of places that corrections taught: confirm or refuse them.")
Ids = Annotated[list[int], typer.Argument(help="Numbers from `alias list`.")]
By = Annotated[
    str, typer.Option("--by", help="Who says so: her code, of the community's, street's or district's staff.")
]


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50) -> None:
    """Those seen most often first."""
    settings = load_settings()

    def run(desk: Desk) -> list[tuple[object, ...]]:
        names = {code: place.name for code, place in desk.town.places.items()}
        return [
            (row.id, row.words, row.place, names.get(row.place, ""), row.seen)
            for row in proposals.waiting(desk.session, limit)
        ]

    with looked_at(settings) as db:
        rows = at_desk(db, settings, None, run)
    show.table(("id", "words", "place", "name", "seen"), rows)


@app.command()
def confirm(ids: Ids, by: By) -> None:
    """They name the place: added to its aliases; running workers notice by themselves."""
    _decide(ids, by, yes=True)
    typer.echo(f"{len(set(ids))} confirmed.")


@app.command()
def refuse(ids: Ids, by: By) -> None:
    """They do not; they are not proposed again."""
    _decide(ids, by, yes=False)
    typer.echo(f"{len(set(ids))} refused.")


def _decide(ids: list[int], by: str, *, yes: bool) -> None:
    """All of them or none."""
    settings = load_settings()

    def run(desk: Desk) -> None:
        for number in sorted(set(ids)):
            row = desk.session.get(AliasProposal, number)
            if row is None:
                raise BadCorrection("alias", f"there is no proposal {number}", "worker_not_understood")
            place = desk.town.places.get(row.place)
            if not may_review(desk, place.grid if place else None, by):
                raise NotYours(f"{by} has no duty to name {row.place}.")
            if row.state != AliasState.OPEN:
                raise BadCorrection("alias", f"{number} was {row.state.value} before", "worker_decided")
            (aliases.confirm if yes else aliases.refuse)(desk, row, by)

    with database(settings) as db:
        at_desk(db, settings, by, run)
