"""`linsheng wechat …`: the Official Account's menu, and QR codes for buildings and grids."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar
from urllib.parse import quote

import typer

from bot.channels.wechat_mp import OfficialAccount
from bot.cli.opened import NotReady, database
from bot.cli.scenes import asked, signed
from bot.ingest import Ingest
from config.settings import Settings, load_settings
from models.database import Database

app = typer.Typer(no_args_is_help=True, help="The Official Account's menu and QR codes.")
PICTURE = "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket="  # 通过ticket换取二维码
T = TypeVar("T")


@app.command("menu")
def menu() -> None:
    """Put the menu of config/wechat_menu.yaml there. Phones show it within a day."""
    settings = load_settings()
    with database(settings) as db:
        _asked(settings, db, lambda account: account.publish_menu())
    typer.echo("the menu is published.")


@app.command("qr")
def qr(
    scene: Annotated[str, typer.Argument(help="place:CODE of a building, or grid:CODE; codes as in the town pack.")],
) -> None:
    """Make a lasting QR code: whoever scans it follows the account, and the bot knows where the code hangs."""
    settings = load_settings()
    with database(settings) as db:
        made = signed(settings, db, scene)
        typer.echo(picture(settings, db, made))


def picture(settings: Settings, db: Database, made: str, life: timedelta | None = None) -> str:
    """Where the picture of a QR code is and what it holds, in two lines. made, life: see `OfficialAccount.qr_code`.
    Raises NotReady."""
    ticket, address = _asked(settings, db, lambda account: account.qr_code(made, life=life))
    return f"picture: {PICTURE}{quote(ticket, safe='')}\nholds:   {address}"


def ready(settings: Settings) -> None:
    """Raises NotReady where the channel is off."""
    if not settings.wechat_mp.enabled:
        raise NotReady(f"wechat_mp is off; not set: {', '.join(settings.wechat_mp.missing)}.")


def _asked(settings: Settings, db: Database, ask: Callable[[OfficialAccount], Awaitable[T]]) -> T:
    ready(settings)
    return asked(OfficialAccount(settings.wechat_mp, Ingest(db), db=db), ask)
