"""`linsheng doctor`: whether this deployment can do its work, and what to do where it cannot."""

import typer

from bot.cli import show
from bot.doctor import FAIL, examine


def doctor() -> None:
    """Look at everything a deployment needs; ends with 1 when something must be mended."""
    found = examine()
    show.table(("check", "", "what is the case"), [(one.check, one.state, one.said) for one in found])
    if any(one.state == FAIL for one in found):
        raise typer.Exit(1)
