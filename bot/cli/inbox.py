"""`linsheng inbox …`: messages that could not be handled, and an operator's word on them."""

from typing import Annotated

import typer

from bot.cli import show
from bot.cli.opened import database, looked_at
from models import inbox
from models.base import utc_now

app = typer.Typer(no_args_is_help=True, help="Look at messages that could not be handled, and try them again.")
EVERY = 10_000


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50) -> None:
    """The newest first. The messages' words are not shown."""
    with looked_at() as db:
        rows = db.tx(lambda session: inbox.dead(session, limit))
    show.table(
        ("id", "channel", "chat", "kind", "received", "tries", "why"),
        [
            (row.id, row.channel, row.chat, row.kind, f"{row.received_at:%Y-%m-%d %H:%M}Z", row.attempts, row.error)
            for row in rows
        ],
    )


@app.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers from `inbox list`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
) -> None:
    """Handle again, as if it had just come in, by the time at which it was sent."""
    if bool(ids) == every:
        raise typer.BadParameter("give numbers, or --all")
    with database() as db:
        if every:
            rows = db.tx(lambda session: inbox.dead(session, EVERY))
            ids = [row.id for row in rows if row.id is not None]
        wanted = ids or []
        done = db.tx(lambda session: [row_id for row_id in wanted if inbox.revive(session, row_id, utc_now())])
    typer.echo(f"{len(done)} will be handled again.")
    if missing := sorted(set(wanted) - set(done)):
        typer.echo(f"not dead: {', '.join(map(str, missing))}", err=True)
        raise typer.Exit(1)
