"""The four callback addresses, each served alone: for tests that ask the same of all of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from bot.platform.push import Push
from tests.platform import kf, mp, wecom_app
from tests.platform.harness import TestPlatform
from tests.platform.wecom_bot import hooked

Serving = Callable[..., AbstractAsyncContextManager[Any]]
# The account's name in `TestPlatform` → how its channel is served: platform, database, folder of files, settings.
DOORS: Mapping[str, Serving] = {
    "bot": lambda p, db, _media, **settings: hooked(p, db, **settings),
    "app": lambda p, db, _media, **settings: wecom_app.serving(p, db, **settings),
    "mp": mp.serving,
    "kf": kf.serving,
}


async def says(p: TestPlatform, name: str, text: str) -> Push:
    """Somebody writes to the account."""
    account: Any = getattr(p, name)
    await account.say(*((None, "a") if name == "bot" else ("a",)), text)
    return p.pushes[-1]
