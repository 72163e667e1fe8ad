"""`linsheng kf …`: the addresses behind the QR codes of 微信客服."""

import asyncio
from typing import Annotated

import typer

from bot.channels.base import SendFailed, Uncertain
from bot.channels.wecom_kf import codes
from bot.cli.opened import NotReady, database
from bot.links import secret_of
from bot.scenes import BadScene, Scenes, there
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
    if not kf.enabled:
        raise NotReady(f"wecom_kf is off; not set: {', '.join(kf.missing)}.")
    if account and account not in kf.accounts:
        raise NotReady(f"{account!r} is none of the accounts in the settings.")
    secret = secret_of(settings)
    if not secret:
        raise NotReady("scenes are signed: set LINSHENG_SECRET_KEY.")
    with database(settings) as db:
        if not db.tx(lambda session: there(session, scene)):
            raise NotReady(f"the town has no {scene!r}: it must be place:CODE or grid:CODE.")
        try:
            made = Scenes(secret).make(scene)
        except BadScene as error:
            raise NotReady(str(error)) from error
        typer.echo(_address(settings, db, account or kf.accounts[0], made))


def _address(settings: Settings, db: Database, account: str, scene: str) -> str:
    async def run() -> str:
        api = codes.client(settings.wecom_kf, db)
        await api.start()
        try:
            return await codes.link(api, account, scene)
        finally:
            await api.stop()

    try:
        return asyncio.run(run())
    except (SendFailed, Uncertain) as error:
        raise NotReady(f"the platform: {error}") from error
