"""Pictures of the message archive: put beside the records by whoever runs the SDK, taken up at once or within a day."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from PIL import Image

from bot.channels.archive import NAME, Archive
from bot.channels.archive.files import name_of
from bot.channels.archive.records import read
from bot.fetching import Fetcher, that_fetch
from config.side_channels import ArchiveSettings
from handlers.workdays import WorkCalendar
from models import inbox
from models.database import Database
from models.fetching import FETCHED, GONE, Fetching
from models.inbox import Inbox
from models.message import Media
from tests.bot.archived import line, name_room, record
from tests.conftest import HandClock

ZONE = ZoneInfo("Asia/Shanghai")


def photo() -> bytes:
    """A picture that says where it was taken."""
    made, told = io.BytesIO(), Image.Exif()
    told.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (32, 24), "red").save(made, "JPEG", exif=told)
    return made.getvalue()


DATA = photo()
SUM = hashlib.md5(DATA).hexdigest()  # noqa: S324 - the platform's own sum
SDK = "CtYBMzA2OTAy" * 60


class Here:
    """A folder of records, the channel that reads it, and who fetches for it."""

    def __init__(self, db: Database, clock: HandClock, home: Path, **settings: Any) -> None:
        self.db, self.clock = db, clock
        self.records, self.media = home / "in", home / "media"
        self.records.mkdir()
        told = ArchiveSettings.model_validate({"folder": self.records} | settings)
        self.channel = Archive(told, db, clock, zone=ZONE)
        self.fetcher = Fetcher(db, that_fetch([self.channel]), self.media, WorkCalendar.configured(ZONE), clock=clock)
        name_room(db)

    async def told(self, **body: Any) -> None:
        """A record of a picture is read."""
        image = {"sdkfileid": SDK, "md5sum": SUM, "filesize": len(DATA)} | body
        (self.records / "a.jsonl").write_bytes(line(record(msgtype="image", image=image)))
        await self.channel.look(self.records)

    @property
    def picture(self) -> Media:
        """As the message has it."""
        (row,) = self.db.tx(lambda session: session.scalars(sa.select(Inbox)).all())
        return inbox.read(row).media[0]

    @property
    def outcomes(self) -> list[str]:
        """Of what was to be fetched."""
        return [row.outcome for row in self.db.tx(lambda session: session.scalars(sa.select(Fetching)).all())]


@pytest.mark.parametrize(
    ("by", "name"),
    [("md5sum", SUM), ("md5sum", f"{SUM}.jpg"), ("sdkfileid", f"{hashlib.sha256(SDK.encode()).hexdigest()}.dat")],
)
async def test_a_picture_that_is_there(db: Database, clock: HandClock, tmp_path: Path, by: str, name: str) -> None:
    here = Here(db, clock, tmp_path, files_by=by)
    (here.records / name).write_bytes(DATA)
    await here.told()
    await here.fetcher.step()
    assert here.outcomes == [FETCHED]
    kept = (here.media / here.picture.path).read_bytes()
    assert kept.startswith(b"\xff\xd8\xff")
    with Image.open(io.BytesIO(kept)) as opened:
        assert dict(opened.getexif()) == {}


async def test_one_that_comes_later(db: Database, clock: HandClock, tmp_path: Path) -> None:
    here = Here(db, clock, tmp_path, files=tmp_path)
    await here.told()
    (here.records / SUM).write_bytes(DATA)  # not where it is looked for
    (tmp_path / SUM).write_bytes(DATA[:-9])  # half of it
    for _ in range(15):
        await here.fetcher.step()
        clock.forward(hours=1, seconds=1)
    assert (here.outcomes, here.picture.path) == ([""], "")
    (tmp_path / SUM).write_bytes(DATA)
    await here.fetcher.step()
    assert here.outcomes == [FETCHED]
    assert here.picture.path


async def test_one_that_never_comes(db: Database, clock: HandClock, tmp_path: Path) -> None:
    here = Here(db, clock, tmp_path)
    await here.told()
    hours = 0
    while here.outcomes == [""] and hours < 100:
        await here.fetcher.step()
        clock.forward(hours=1, seconds=1)
        hours += 1
    assert here.outcomes == [GONE]
    assert hours >= 24


async def test_where_nobody_brings_files_nobody_waits(db: Database, clock: HandClock, tmp_path: Path) -> None:
    here = Here(db, clock, tmp_path, folder=None, on=True)
    await here.told()
    assert (here.outcomes, here.picture) == ([], Media())


@pytest.mark.parametrize("told", ["", "x", "../../etc/passwd", "a" * 31, None, 7])
def test_only_a_sum_is_a_name(told: object) -> None:
    assert name_of({"md5sum": told}, "md5sum") == ""
    assert name_of({}, "sdkfileid") == ""


def test_pictures_among_words() -> None:
    inner = json.dumps({"md5sum": SUM.upper(), "sdkfileid": SDK})
    told = record() | {"msgtype": "mixed", "mixed": {"item": [{"type": "image", "content": inner}]}}
    message = read(told, "md5sum")
    assert message is not None
    assert (message.channel, [one.platform_id for one in message.media]) == (NAME, [SUM])
