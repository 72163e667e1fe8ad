"""`linsheng outbox …`: messages that did not leave, and an operator's word on them."""

from enum import StrEnum
from typing import Annotated

import typer

from bot.cli import show
from bot.cli.opened import database, looked_at
from models import outbox
from models.base import utc_now
from models.outbox import DEAD, UNCERTAIN

app = typer.Typer(no_args_is_help=True, help="Look at messages that did not leave, and send them again.")
EVERY = 10_000


class State(StrEnum):
    """How a message ended."""

    DEAD = "dead"
    UNCERTAIN = "uncertain"


@app.command("list")
def list_(
    state: Annotated[State | None, typer.Option(help="Only these; without, both.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """The newest first. The messages' words are not shown."""
    wanted = (state.value,) if state else (DEAD, UNCERTAIN)
    with looked_at() as db:
        rows = db.tx(lambda session: outbox.failed(session, wanted, limit))
    show.table(
        ("id", "state", "channel", "ticket", "written", "tries", "why"),
        [
            (
                row.id,
                row.outcome,
                row.channel,
                row.ticket or "",
                f"{row.created_at:%Y-%m-%d %H:%M}Z",
                row.attempts,
                row.error,
            )
            for row in rows
        ],
    )


@app.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers from `outbox list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are dead. Uncertain ones only by number.")] = False,
) -> None:
    """Send again. A message that is uncertain may arrive twice then."""
    if bool(ids) == every:
        raise typer.BadParameter("give numbers, or --all")
    with database() as db:
        if every:
            rows = db.tx(lambda session: outbox.failed(session, (DEAD,), EVERY))
            ids = [row.id for row in rows if row.id is not None]
        wanted = ids or []
        done = db.tx(lambda session: [row_id for row_id in wanted if outbox.revive(session, row_id, utc_now())])
    typer.echo(f"{len(done)} will be sent again.")
    if missing := sorted(set(wanted) - set(done)):
        typer.echo(f"neither dead nor uncertain: {', '.join(map(str, missing))}", err=True)
        raise typer.Exit(1)
