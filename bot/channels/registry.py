"""Which channels a deployment has: the one place where they are listed."""

from collections.abc import Callable

from bot.channels.archive import Archive
from bot.channels.base import Channel
from bot.channels.group_robot import GroupRobot
from bot.channels.onebot import OneBot
from bot.channels.resident_report import ResidentReport
from bot.channels.web import WebChannel
from bot.channels.wechat_mp import OfficialAccount
from bot.channels.wecom_app import WecomApp
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_kf import WecomKf
from bot.ingest import Ingest
from bot.links import secret_of
from bot.scenes import Scenes
from bot.wakeup import Bell
from config.settings import Settings
from models.base import Clock, utc_now
from models.database import Database


def channels(
    settings: Settings, db: Database, ingest: Ingest, *, wake: Callable[[], None], clock: Clock = utc_now,
    working: bool = True, decided: Bell | None = None,
) -> list[Channel]:  # fmt: skip
    """Those that the settings switch on. wake: called when a channel has stored a message by itself. working: a worker
    runs in this process; without one it opens no connection that a process with a worker could have. decided: rings
    when that worker has handled something."""
    found: list[Channel] = []
    if settings.demo:
        found.append(WebChannel(db, settings.media, wake=wake, clock=clock, zone=settings.timezone))
    if settings.wechat_mp.enabled:
        secret = secret_of(settings)
        found.append(
            OfficialAccount(
                settings.wechat_mp, ingest, clock, settings.ingest.body_bytes, db=db, zone=settings.zone,
                scenes=Scenes(secret) if secret else None,
            )
        )  # fmt: skip
    if settings.wecom_bot.enabled:
        bot = settings.wecom_bot
        if not working and "connect" not in bot.model_fields_set:
            bot = bot.model_copy(update={"connect": False})
        found.append(
            WecomBot(
                bot, db, ingest, clock=clock, body_bytes=settings.ingest.body_bytes, decided=decided,
                pictures=settings.media,
            )
        )  # fmt: skip
    if settings.wecom_app.enabled:
        found.append(
            WecomApp(
                settings.wecom_app, db, ingest, zone=settings.zone, clock=clock,
                body_bytes=settings.ingest.body_bytes, decided=decided,
            )
        )  # fmt: skip
    if settings.wecom_kf.enabled:
        secret = secret_of(settings)
        found.append(
            WecomKf(
                settings.wecom_kf, db, clock=clock, scenes=Scenes(secret) if secret else None, wake=wake,
                body_bytes=settings.ingest.body_bytes,
            )
        )  # fmt: skip
    if settings.group_robot.enabled:
        found.append(GroupRobot(settings.group_robot, db, clock, zone=settings.zone))
    if settings.onebot.enabled:
        found.append(OneBot(settings.onebot, ingest, db, clock))
    speaking = frozenset(channel.name for channel in found)  # the last two only read, and hand on to these
    if settings.archive.enabled:
        found.append(Archive(settings.archive, db, clock, zone=settings.zone, wake=wake, on=speaking))
    if settings.resident_report.enabled:
        found.append(ResidentReport(settings.resident_report, ingest, db, clock, on=speaking))
    return found
