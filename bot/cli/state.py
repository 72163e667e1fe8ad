"""`linsheng doctor`: whether this deployment can do its work, and what to do where it cannot."""

from typing import Annotated

import typer

from bot.cli import show
from bot.doctor import FAIL, examine, examine_channel


def doctor(
    channel: Annotated[
        str | None,
        typer.Option(help="Prove one channel against its platform: credentials, callback address. Like `wechat_mp`."),
    ] = None,
) -> None:
    """Look at everything a deployment needs; ends with 1 when something must be mended."""
    found = examine() if channel is None else examine_channel(channel)
    show.table(("check", "", "what is the case"), [(one.check, one.state, one.said) for one in found])
    if any(one.state == FAIL for one in found):
        raise typer.Exit(1)
