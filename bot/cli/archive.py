"""`linsheng archive …`: groups that are read from files of decrypted message-archive records."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bot.channels.archive.reader import Reader
from bot.cli import show
from bot.cli.opened import NotReady, database
from config.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Read groups from the message archive (会话内容存档).")
MEANING = {
    "new": "kept; the workers deal with them",
    "known": "kept before",
    "elsewhere": "of groups that chats.csv does not name for the channel `archive`",
    "old": "older than LINSHENG_ARCHIVE__DAYS",
    "silent": "of robots, direct chats and kinds that say nothing; our own words, posted for us",
    "broken": "cannot be read; the log names file and byte",
}


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(exists=True, help="A file of JSON lines, or a folder of *.jsonl.")],
) -> None:
    """Read records into the inbox, each once, from where the last import of the same file ended."""
    settings = load_settings()
    if not settings.archive.enabled:
        raise NotReady("the archive is off, nobody would carry the answers: set LINSHENG_ARCHIVE__ON=true.")
    with database(settings) as db:
        tally = Reader.of(settings.archive, db).path(path)
    counts = asdict(tally)
    show.table(("lines", "", ""), [(name, counts[name], meaning) for name, meaning in MEANING.items()])
    if tally.left:
        typer.echo(f"{tally.left} bytes at the end have no line's end yet; import again when the file is whole.")
