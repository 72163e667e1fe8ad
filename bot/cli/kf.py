"""`linsheng kf …`: the addresses behind the QR codes of 微信客服."""

from typing import Annotated

import typer

from bot.channels.wecom_kf import codes
from bot.cli.opened import NotReady, database
from bot.cli.scenes import asked, signed
from config.settings import Settings, load_settings
from models.database import Database

app = typer.Typer(no_args_is_help=True, help="WeChat customer service (微信客服).")


@app.command("link")
def link(
    scene: Annotated[str, typer.Argument(help="place:CODE of a building, or grid:CODE; codes as in the town pack.")],
    account: Annotated[str, typer.Option(help="open_kfid; unset: the first of the settings.")] = "",
) -> None:
    """Make the address for a QR code in a stairway: it opens the chat, and the bot knows where the code hangs."""
    settings = load_settings()
    kf = settings.wecom_kf
    ready(settings)
    if account and account not in kf.accounts:
        raise NotReady(f"{account!r} is none of the accounts in the settings.")
    with database(settings) as db:
        made = signed(settings, db, scene)
        typer.echo(address(settings, db, made, account))


def address(settings: Settings, db: Database, made: str, account: str = "") -> str:
    """What opens the chat with a scene. Raises NotReady."""
    kf = settings.wecom_kf
    chosen = account or kf.accounts[0]
    return asked(codes.client(kf, db), lambda api: codes.link(api, chosen, made))


def ready(settings: Settings) -> None:
    """Raises NotReady where the channel is off."""
    if not settings.wecom_kf.enabled:
        raise NotReady(f"wecom_kf is off; not set: {', '.join(settings.wecom_kf.missing)}.")
