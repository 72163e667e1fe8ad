"""`linsheng town …`: what the deployment knows about itself."""

from pathlib import Path
from typing import Annotated

import typer

from bot import towns
from bot.cli import show
from bot.cli.opened import database, is_filled, looked_at, passing
from config.settings import load_settings
from models.townimport import Summary, rows_table

app = typer.Typer(no_args_is_help=True, help="Import or check a town pack.")
Folder = Annotated[Path, typer.Argument(help="The folder with grids.csv, places.csv, people.csv and so on.")]


def _show(summary: Summary) -> None:
    show.table(("table", "added", "changed", "unchanged", "removed", "kept"), rows_table(summary))


@app.command("import")
def import_(folder: Folder) -> None:
    """Make the database say what the pack says; running workers notice by themselves."""
    with database() as db:
        _show(towns.bring_in(db, folder))


@app.command()
def check(folder: Folder) -> None:
    """Say what an import would do, and change nothing."""
    settings = load_settings()
    filled = is_filled(settings)
    with looked_at(settings) if filled else passing() as db:
        _show(towns.try_out(db, folder))
    if not filled:
        typer.echo("There is no database yet: the pack was checked by itself.")
    typer.echo("Nothing was changed.")
