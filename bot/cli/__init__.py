"""The command line: `linsheng …`. A command that fails says why in one line and ends with 1."""

import sys
from importlib.metadata import PackageNotFoundError, version

import typer
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from bot import logs
from bot.cli import (
    alias,
    archive,
    chat,
    history,
    inbox,
    kf,
    nlu,
    outbox,
    patrol,
    person,
    platform,
    review,
    run,
    state,
    ticket,
    town,
    wechat,
)
from bot.cli.desk import Busy
from bot.cli.opened import NotReady
from bot.replay import BadTranscript
from bot.training import NotTrained
from config.settings import SettingsError
from config.tables import TableError
from handlers.corrected import BadCorrection, NotYours
from handlers.workflow import NotAllowed
from models.database import BadAddress
from models.person import BadLeave, NoSuchPerson
from models.townpack import BadPack
from models.whois import BadLink
from nlu.corpus import BadData
from nlu.store import NotPossible

# What is wrong outside of the program; each says so itself.
OUTSIDE = (
    SettingsError, TableError, BadAddress, NotReady, BadTranscript, BadData, NotTrained, NoSuchPerson, BadLeave,
    BadLink, BadCorrection, NotYours, NotAllowed, Busy, NotPossible,
)  # fmt: skip
app = typer.Typer(
    name="linsheng",
    help="邻声: from a line in the neighbours' chat to a ticket, an alert and an answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run.serve)
app.command()(run.worker)
app.command()(run.look)
app.command()(history.replay)
app.command()(nlu.train)
app.command()(state.doctor)
app.command()(platform.platform)
app.command()(patrol.patrol)
app.add_typer(town.app, name="town")
app.add_typer(chat.app, name="chat")
app.add_typer(person.app, name="person")
app.add_typer(ticket.app, name="ticket")
app.add_typer(alias.app, name="alias")
app.add_typer(review.app, name="review")
app.add_typer(nlu.app, name="nlu")
app.add_typer(inbox.app, name="inbox")
app.add_typer(outbox.app, name="outbox")
app.add_typer(wechat.app, name="wechat")
app.add_typer(archive.app, name="archive")
app.add_typer(kf.app, name="kf")


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"linsheng {version('linsheng')}")
        except PackageNotFoundError:
            typer.echo("linsheng, run from its source tree")
        raise typer.Exit


@app.callback()
def before(
    _version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Say the version."),
) -> None:
    """Commands that only ask say little; `serve` and `worker` set up their own logs."""
    logs.configure("warning", json=False)


def main() -> None:
    """The entry point: runs a command, and turns what is wrong outside of the program into a sentence."""
    try:
        app()
    except BadPack as error:
        _fail(str(error))  # a line for each fault
    except OUTSIDE as error:
        _fail(" ".join(str(error).split()))
    except CommandError as error:
        said = " ".join(str(error).split())
        _fail(f"the database's tables are not of this version ({said}): run the version that migrated them.")
    except DBAPIError as error:
        _fail(_of_the_driver(error))
    except OSError as error:
        _fail(str(error))


def _of_the_driver(error: DBAPIError) -> str:
    """The driver's own words only: SQLAlchemy's add the statement and its values."""
    said = next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)
    if isinstance(error, ProgrammingError) or "no such table" in said or "no such column" in said:
        return f"the database's tables are missing or old ({said}): `linsheng serve` makes or migrates them."
    if isinstance(error, OperationalError):
        return f"cannot reach the database: {said}"
    return f"the database refused: {said}"


def _fail(sentence: str) -> None:
    typer.echo(sentence, err=True)
    sys.exit(1)
