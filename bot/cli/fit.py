"""`linsheng nlu fit …`: the small models that stand in tables, fitted again on the training towns."""

from typing import Annotated

import typer

from bot import fitting
from bot.cli import show
from config.tables import leaves
from nlu import corpus

app = typer.Typer(no_args_is_help=True, help="Fit what stands in config/place.yaml and nlu/cuts.json.")
Write = Annotated[bool, typer.Option("--write", help="Put the result into the table; else only show it.")]


@app.command()
def place(write: Write = False) -> None:
    """The points of the signs that tell a place; shows how often they are right on towns left out."""
    found = []
    folders = corpus.towns()
    with show.bar("towns") as bar:
        for number, folder in enumerate(folders):
            bar.share(folder.name, number / len(folders))
            found += list(fitting.samples(folder))
        bar.share("each left out in turn", 1.0)
        rows = list(fitting.left_out(found))
    count = sum(row[1] for row in rows)
    rows.append(("all", count, *(sum(row[1] * row[i] for row in rows) / count for i in (2, 3))))
    show.table(("town", "matters", "place and grid", "grid"), rows)
    if write:
        fitting.write(fitting.fit(found))


@app.command()
def cuts(write: Write = False) -> None:
    """The signs that one message tells of several matters. Takes minutes: it trains on four parts of the towns."""
    from nlu import cutfit  # noqa: PLC0415 - imports scikit-learn

    with show.bar("towns") as bar:
        found = cutfit.unseen(leaves(), progress=bar.share)
    many, right, wrong = cutfit.left_out(found)
    show.table(("messages", "of several matters", "cut", "cut wrongly"), [(len(found), many, right, wrong)])
    if write:
        cutfit.write(cutfit.fit(found))
