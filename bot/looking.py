"""The process beside the workers: reads pictures and hears voices, as far as the settings switch them on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bot.hearing import Listening, SherpaEar
from bot.links import Links, linker, secret_of
from bot.process import Signals
from bot.seeing import RapidEye, Seeing
from bot.worker import wait_any
from config.settings import Settings, SettingsError
from handlers.workdays import WorkCalendar
from models.database import Database
from models.schema import upgrade

log = structlog.get_logger(__name__)
POLL = 2.0  # seconds between two looks at the database when there was nothing
PAUSE = 30.0  # after it did not answer
Step = Callable[[], Awaitable[int]]


def steps(settings: Settings, db: Database) -> list[Step]:
    """One step for each thing that is switched on. Raises SettingsError when it cannot be done, or when nothing is."""
    if not settings.ocr and settings.asr_model is None:
        raise SettingsError("nothing to do: set LINSHENG_OCR=true or LINSHENG_ASR_MODEL")
    calendar = WorkCalendar.configured(settings.zone)
    found: list[Step] = []
    if settings.asr_model is not None:
        found.append(Listening(db, SherpaEar(settings.asr_model), settings.media, calendar).step)
    if settings.ocr:
        secret = secret_of(settings)
        link = linker(settings, Links(secret) if secret else None)
        found.append(Seeing(db, RapidEye(), settings.media, calendar, link=link).step)
    return found


async def look(settings: Settings, *, ready: Callable[[], None] = lambda: None) -> None:
    """Until SIGTERM or SIGINT; what has begun is finished. Raises SettingsError, and OperationalError at the start."""
    with Signals() as signals:
        db = Database(settings.url, threads=2)
        try:
            await db.call(upgrade, db)
            doing = await asyncio.to_thread(steps, settings, db)
            ready()
            await run(doing, signals.told)
        finally:
            await asyncio.to_thread(db.close)


async def run(doing: Sequence[Step], stop: asyncio.Event, poll: float = POLL) -> None:
    """Take turns until `stop`: a voice, a picture, a voice …"""
    while not stop.is_set():
        pause = poll
        try:
            done = sum([await step() for step in doing])
        except Exception as error:  # the database is away: nothing is lost, the rows wait
            log.exception("look.failed", error=type(error).__name__)
            done, pause = 0, PAUSE
        if not done and not stop.is_set():
            await wait_any(pause, stop)
