"""Which channels a deployment has: the one place where they are listed."""

from collections.abc import Callable

from bot.channels.base import Channel
from bot.channels.web import WebChannel
from bot.channels.wechat_mp import OfficialAccount
from bot.ingest import Ingest
from config.settings import Settings
from models.base import Clock, utc_now
from models.database import Database


def channels(
    settings: Settings, db: Database, ingest: Ingest, *, wake: Callable[[], None], clock: Clock = utc_now
) -> list[Channel]:
    """Those that the settings switch on. wake: called when a channel has stored a message by itself."""
    found: list[Channel] = []
    if settings.demo:
        found.append(WebChannel(db, settings.media, wake=wake, clock=clock, zone=settings.timezone))
    if settings.wechat_mp.enabled:
        found.append(OfficialAccount(settings.wechat_mp, ingest, clock, settings.ingest.body_bytes))
    return found
