"""`linsheng doctor --channel NAME`: whether one channel is set whole, and what it can prove against its platform.

Which platform that is stands in the channel's own settings (`api_base`, `ws_url`): the real one, or the test platform.
"""

import asyncio
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from bot.channels import checks
from bot.channels.base import Channel, Proof
from bot.channels.proofs import FAIL, OK, WARN
from bot.channels.registry import channels
from bot.ingest import Ingest
from config.callbacks import CallbackKeys
from config.names import PREFIX
from config.settings import Settings, SettingsError
from models.base import Clock, utc_now
from models.database import Database, is_there

# Those that are on when all they need is set, and those of `bot.channels.checks`.
PLATFORMS = ("wechat_mp", "wecom_bot", "wecom_app", "wecom_kf", "resident_report")
SIDE = ("group_robot", "onebot", "archive")
NOWHERE = "sqlite://"  # in memory
SECONDS = 60.0  # for all that one channel proves


def switches(settings: Settings) -> Iterator[Proof]:
    """Of every platform's channel: on, off, or set in part, with what is missing. Opens nothing."""
    for name in PLATFORMS:
        yield switch(name, settings)


def switch(name: str, settings: Settings) -> Proof:
    """The same of one of them."""
    given = getattr(settings, name)
    missing = [f"{PREFIX}{name.upper()}__{field.upper()}" for field in given.missing]
    if not missing and isinstance(given, CallbackKeys) and given.old_keys:
        old = f"{PREFIX}{name.upper()}__OLD_TOKEN and __OLD_AES_KEY"
        return Proof(
            name, WARN, f"on, and takes the keys before these, too: unset {old} once its page has the new ones."
        )
    if not missing:
        return Proof(name, OK, "on")
    if _begun(given):
        return Proof(name, FAIL, f"set in part, so it is off; still missing: {', '.join(missing)}.")
    return Proof(name, OK, "off")


def _begun(given: BaseModel) -> bool:
    """Somebody has set a secret, or one of those fields without which the channel is off."""
    needed = set(type(given)().missing)  # type: ignore[attr-defined]
    told = {field: getattr(given, field) for field in given.model_fields_set}
    return any(value and (field in needed or isinstance(value, SecretStr)) for field, value in told.items())


def prove(name: str, settings: Settings, clock: Clock = utc_now) -> list[Proof]:
    """Everything about one channel; that it is off is a fault here, for whoever asks wants it.

    Raises SettingsError when there is no channel of this name.
    """
    if name not in PLATFORMS + SIDE:
        raise SettingsError(f"--channel {name}: there is none; choose from {', '.join(PLATFORMS + SIDE)}")
    if name in SIDE:
        found = [Proof(*one) for one in checks.side_channels(settings) if one[0] == name]
    else:
        found = [switch(name, settings)]
    if not getattr(settings, name).enabled:
        needed = ", ".join(f"{PREFIX}{name.upper()}__{field.upper()}" for field in getattr(settings, name).missing)
        off = f"off. It needs {needed}." if needed else "off."
        return [Proof(name, FAIL, off) if one.said == "off" else one for one in found]
    return found + asyncio.run(_asked(name, settings, clock))


async def _asked(name: str, settings: Settings, clock: Clock) -> list[Proof]:
    # Before the first start there is no database, and a proof makes none.
    db = Database(settings.url if is_there(settings.url) else NOWHERE, threads=1)
    try:
        made = channels(settings, db, Ingest(db, clock=clock), wake=lambda: None, clock=clock)
        channel: Channel = next(one for one in made if one.name == name)
        async with asyncio.timeout(SECONDS):
            return list(await channel.prove(settings.public_url))
    except TimeoutError:
        return [Proof(name, FAIL, f"proved nothing within {SECONDS:g} s.")]
    finally:
        db.close()
