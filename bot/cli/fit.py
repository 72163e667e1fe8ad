"""`linsheng nlu fit …`: the small models that stand in tables, fitted again on the training towns."""

from typing import Annotated

import typer

from bot import fitting
from bot.cli import show
from config.decisions import decisions
from config.settings import load_settings
from config.tables import leaves
from nlu import corpus

app = typer.Typer(
    no_args_is_help=True, help="Fit what stands in config/place.yaml, config/link.yaml and nlu/cuts.json."
)
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
    both, grid = (sum(row[1] * share for row, share in zip(rows, shares, strict=True)) / count
                  for shares in ([row[2] for row in rows], [row[3] for row in rows]))  # fmt: skip
    rows.append(("all", count, both, grid))
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


@app.command()
def link(write: Write = False) -> None:
    """The signs that tell that a message belongs to a ticket. Takes many minutes: it trains, and replays every town."""
    from bot import linkfit  # noqa: PLC0415 - imports scikit-learn

    settings = load_settings()
    with show.bar("towns") as bar:
        found = linkfit.unseen(leaves(), settings.zone, progress=bar.share)
    rows = list(linkfit.left_out(found, decisions().link.enough))
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows), sum(row[3] for row in rows)))
    show.table(("town", "linked rightly", "wrongly", "missed"), rows)
    if write:
        linkfit.write(linkfit.fit(found))
