"""`linsheng chat …`: groups that were heard, and by which code the platform calls them."""

import json
from typing import Annotated

import typer

from bot.cli import show
from bot.cli.opened import looked_at
from models import heard
from models.heard import HeardGroup

app = typer.Typer(no_args_is_help=True, help="Look at the groups that were heard.")


@app.callback()
def group() -> None:
    """With this, `list` stays a word of its own while it is the only one."""


@app.command("list")
def list_(
    unlisted: Annotated[bool, typer.Option("--unlisted", help="Only those that chats.csv does not name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program: a list of objects.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """What chats.csv calls `channel` and `code`, the last heard first. No direct chats: those are people."""
    with looked_at() as db:
        groups = db.tx(lambda session: heard.groups(session, unlisted=unlisted, limit=limit))
    if as_json:
        typer.echo(json.dumps([_told(one) for one in groups], ensure_ascii=False, indent=1))
        return
    show.table(
        ("channel", "chat", "messages", "last heard", "listed"),
        [(one.channel, one.chat, one.messages, f"{one.last:%Y-%m-%d %H:%M}Z", "yes" if one.listed else "no")
         for one in groups],
    )  # fmt: skip


def _told(one: HeardGroup) -> dict[str, object]:
    return one._asdict() | {"last": one.last.isoformat()}
