"""What the commands that make QR codes share: a signed scene, and a question to the platform."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from bot.channels.base import SendFailed, Uncertain
from bot.cli.opened import NotReady
from bot.links import secret_of
from bot.scenes import BadScene, Scenes, there
from config.settings import Settings
from models.database import Database

T = TypeVar("T")


class Client(Protocol):
    """What is opened for one question."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


C = TypeVar("C", bound=Client)


def signed(settings: Settings, db: Database, scene: str) -> str:
    """The scene as it stands in a QR code that hangs somewhere. scene: place:CODE or grid:CODE. Raises NotReady."""
    if scene.startswith("code:"):
        raise NotReady("a one-time code is one person's: `linsheng person code PERSON --by STAFF --qr …` makes its QR.")
    secret_for(settings)
    if not db.tx(lambda session: there(session, scene)):
        raise NotReady(f"the town has no {scene!r}: it must be place:CODE or grid:CODE.")
    return sealed(settings, scene)


def secret_for(settings: Settings) -> str:
    """What scenes are signed with. Raises NotReady."""
    if not (secret := secret_of(settings)):
        raise NotReady("scenes are signed: set LINSHENG_SECRET_KEY.")
    return secret


def sealed(settings: Settings, scene: str) -> str:
    """The same of any scene, whether the town has it or not. Raises NotReady."""
    try:
        return Scenes(secret_for(settings)).make(scene)
    except BadScene as error:
        raise NotReady(str(error)) from error


def asked(client: C, ask: Callable[[C], Awaitable[T]]) -> T:
    """The platform's answer to one question. Raises NotReady with what the platform said."""

    async def run() -> T:
        await client.start()
        try:
            return await ask(client)
        finally:
            await client.stop()

    try:
        return asyncio.run(run())
    except (SendFailed, Uncertain) as error:
        raise NotReady(f"the platform: {error}") from error
