"""Eyes for pictures: the text in them is evidence for the place. Off unless `LINSHENG_OCR` is set; never in a worker's
way: `linsheng look` is a process of its own, because reading a photo takes two seconds and 750 MB.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from config.settings import SettingsError
from handlers.desk import Desk, Linker, no_link
from handlers.seen import kept, seen
from handlers.town import Town, load
from handlers.workdays import WorkCalendar
from models import mark, outbox, pictures
from models.base import Clock, utc_now
from models.database import Database
from models.pictures import Unread
from models.ticket import Ticket

log = structlog.get_logger(__name__)
LEASE = timedelta(minutes=2)
FRESH = timedelta(hours=24)  # whoever switches it on does not read the photos of years
SURE = 0.6  # of a line, as the model says; below it are leaves and shadows
PIXELS = 50_000_000  # more is no photo of a phone
LONGEST_SIDE = 1_600  # pixels
LONGEST = 4_000  # characters kept of one picture
CONFLICTS = 4


class Eye(Protocol):
    """Something that reads what stands in a picture."""

    async def see(self, path: Path) -> str:
        """The text, one line each, top to bottom; "" when there is none, or it is no picture."""
        ...


class RapidEye:
    """rapidocr (PP-OCR on onnxruntime); its models are in the wheel, nothing is fetched. One picture at a time."""

    def __init__(self, *, threads: int = 1) -> None:
        """Raises SettingsError when the extra is not installed. Loading takes a second or two."""
        try:
            from rapidocr import RapidOCR  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise SettingsError(f"LINSHENG_OCR: install linsheng[ocr] ({error.name} is not there)") from error
        told = {
            "Global.log_level": "warning",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # Photos are made smaller, none larger: rapidocr's own way takes 1.3 GB for a long strip.
            "Det.limit_type": "max",
            "Det.limit_side_len": LONGEST_SIDE,
        }
        self._model = RapidOCR(params=told)

    async def see(self, path: Path) -> str:
        """See `Eye.see`."""
        return await asyncio.to_thread(self._see, path)

    def _see(self, path: Path) -> str:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - comes with the extra

        try:
            with Image.open(path) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            return ""
        if width * height > PIXELS:
            return ""
        found: Any = self._model(path)  # rapidocr answers with one of four types, by what was asked of it
        pairs = zip(found.txts or (), found.scores or (), strict=True)
        return "\n".join(line for line, score in pairs if score >= SURE)


class Seeing:
    """Reads pictures of tickets that nobody has read. Any number may run on one database."""

    def __init__(
        self, db: Database, eye: Eye, media: Path, calendar: WorkCalendar, *, clock: Clock = utc_now,
        link: Linker = no_link, wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """media: the folder of the pictures. wake: called once there is something to send."""
        self._db = db
        self._eye = eye
        self._media = media
        self._calendar = calendar
        self._clock = clock
        self._link = link
        self._wake = wake
        self._town: Town | None = None

    async def step(self) -> int:
        """Read one picture. Returns 1, or 0 when there is none."""
        now = self._clock()
        picture = await self._db.run(lambda s: pictures.take(s, now=now, since=now - FRESH, lease=LEASE))
        if picture is None:
            return 0
        text = await self._text(picture)
        if text is None:
            return 1  # tried again when the lease is over
        outcome = await self._db.call(self._keep, picture, text)
        log.info("picture.read", attachment=picture.id, outcome=outcome, characters=len(text))
        self._wake()
        return 1

    async def _text(self, picture: Unread) -> str | None:
        path = (self._media / picture.path).resolve()
        if not path.is_relative_to(self._media.resolve()) or not path.is_file():
            return ""
        try:
            return await self._eye.see(path)
        except Exception as error:  # one picture that cannot be read must not keep the others waiting
            log.exception("picture.failed", attachment=picture.id, error=type(error).__name__)
            return None

    def _keep(self, picture: Unread, text: str) -> str:
        """`_settle` in a transaction; again at once where a worker changed the ticket meanwhile."""
        for _ in range(CONFLICTS):
            try:
                return self._db.tx(lambda session: self._settle(session, picture, text))
            except StaleDataError:
                log.info("picture.conflict", attachment=picture.id)
        return self._db.tx(lambda session: self._settle(session, picture, text))

    def _settle(self, session: Session, picture: Unread, text: str) -> str:
        """The text, what it says of the place, and who hears of it, in one transaction."""
        if self._town is None or self._town.version != mark.value(session, mark.TOWN):
            self._town = load(session)  # first: it lets go of everything else in the session
        row = pictures.settle(session, picture, kept(text.replace("\x00", ""))[:LONGEST])
        if row is None:
            return "gone"
        desk = Desk(session, self._town, self._clock(), self._calendar, f"seen:{picture.id}", self._link)
        outcome = seen(desk, session.get_one(Ticket, row.ticket), row)
        session.flush()
        outbox.put(session, desk.take(), self._clock())
        return outcome
