"""`linsheng kf …`: the addresses behind the QR codes of 微信客服."""

from typing import Annotated

import typer

from bot.channels.wecom_kf import codes
from bot.cli.opened import NotReady, database
from bot.cli.scenes import asked, signed
from config.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="WeChat customer service (微信客服).")


@app.command("link")
def link(
    scene: Annotated[str, typer.Argument(help="place:CODE of a building, or grid:CODE; codes as in the town pack.")],
    account: Annotated[str, typer.Option(help="open_kfid; unset: the first of the settings.")] = "",
) -> None:
    """Make the address for a QR code in a stairway: it opens the chat, and the bot knows where the code hangs."""
    settings = load_settings()
    kf = settings.wecom_kf
    if not kf.enabled:
        raise NotReady(f"wecom_kf is off; not set: {', '.join(kf.missing)}.")
    if account and account not in kf.accounts:
        raise NotReady(f"{account!r} is none of the accounts in the settings.")
    with database(settings) as db:
        made = signed(settings, db, scene)
        chosen = account or kf.accounts[0]
        typer.echo(asked(codes.client(kf, db), lambda api: codes.link(api, chosen, made)))
