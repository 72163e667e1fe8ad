"""Pictures as evidence for the place: read once, aside, and believed only where nobody has said the place."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.seeing import RapidEye, Seeing
from handlers.seen import kept, numbers
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models import pictures
from models.database import Database
from models.message import Purpose
from models.outbox import Outbox
from models.outbox import read as read_out
from models.ticket import Attachment, Status, Ticket, TicketEvent
from tests.conftest import HandClock
from tests.models.letters import open_ticket
from tests.scenario.chat import ZONE

SOUTH, CHAT = "QX-01-01-01", "g-QX-01-01-01"
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)
PLATE = "柳岸花园\n3幢2单元"
LIFT = "电梯使用标志\n设备注册代码：31103302062015010023\n使用登记证编号 梯11浙B12345(20)\n电梯编号：DT-07"


class Eye:
    """Sees the same in every picture; or raises it."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def see(self, path: Path) -> str:
        """The answer."""
        self.asked.append(path.name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """The media folder, with a picture in it."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def ticket(db: Database, clock: HandClock, path: str = "a.jpg", **fields: object) -> int:
    """A ticket of the south group with one picture."""
    told: dict[str, object] = {
        "status": Status.ASSIGNED, "chat": CHAT, "grid": SOUTH, "worker": "W01", "reporter": "u01",
    }  # fmt: skip

    def write(session: Session) -> int:
        row = open_ticket(session, clock(), **(told | fields))
        session.add(Attachment(ticket=row.id or 0, message="m1", kind="image", path=path, added_at=clock()))
        return row.id or 0

    return db.tx(write)


def seeing(db: Database, clock: HandClock, eye: Eye, media: Path) -> Seeing:
    return Seeing(db, eye, media, WorkCalendar.configured(ZONE), clock=clock)


def row(db: Database, number: int) -> Ticket:
    return db.tx(lambda session: session.get_one(Ticket, number))


def alerts(db: Database) -> list[tuple[str | None, str]]:
    rows = db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(col(Outbox.id))).all())
    return [(out.to_person, out.why) for out in map(read_out, rows) if out.purpose == Purpose.ALERT]


def pictures_of(db: Database) -> list[Attachment]:
    return db.tx(lambda session: list(session.scalars(sa.select(Attachment).order_by(col(Attachment.id)))))


async def test_a_door_plate_places_a_ticket_that_nobody_has_placed(
    town_db: Database, clock: HandClock, media: Path
) -> None:
    number = ticket(town_db, clock)
    eye = Eye(PLATE)
    there = seeing(town_db, clock, eye, media)
    assert [await there.step(), await there.step()] == [1, 0]
    found = row(town_db, number)
    assert (found.place, found.spot, found.evidence) == ("P-LA-B03", "2单元", ["photo: P-LA-B03"])
    assert alerts(town_db) == [("W01", "seen in a picture")]
    assert [picture.read_text for picture in pictures_of(town_db)] == [PLATE]
    events = town_db.tx(lambda session: session.scalars(sa.select(TicketEvent)).all())
    assert [(event.what, event.note) for event in events] == [("seen", "P-LA-B03")]
    assert (await seeing(town_db, clock, eye, media).step(), len(eye.asked)) == (0, 1)


async def test_what_disagrees_is_evidence_only(town_db: Database, clock: HandClock, media: Path) -> None:
    number = ticket(town_db, clock, place="P-LA-B01")
    await seeing(town_db, clock, Eye(PLATE), media).step()
    found = row(town_db, number)
    assert (found.place, found.evidence) == ("P-LA-B01", ["photo disagrees: P-LA-B03"])
    assert alerts(town_db) == []


@pytest.mark.parametrize("place", ["P-LA-B03", "P-LAS", "P-LA"])
async def test_what_agrees_is_evidence_too(town_db: Database, clock: HandClock, media: Path, place: str) -> None:
    number = ticket(town_db, clock, place=place)
    await seeing(town_db, clock, Eye(PLATE), media).step()
    assert (row(town_db, number).place, row(town_db, number).evidence) == (place, ["photo: P-LA-B03"])


@pytest.mark.parametrize("text", ["", "今日特价 鸡蛋五元", "欢迎光临", "小心地滑"])
async def test_a_picture_that_names_no_place_changes_nothing(
    town_db: Database, clock: HandClock, media: Path, text: str
) -> None:
    number = ticket(town_db, clock)
    await seeing(town_db, clock, Eye(text), media).step()
    assert (row(town_db, number).place, row(town_db, number).evidence) == (None, [])
    assert [picture.read_text for picture in pictures_of(town_db)] == [text]


async def test_a_place_in_another_part_of_town_is_evidence_only(
    town_db: Database, clock: HandClock, media: Path
) -> None:
    number = ticket(town_db, clock)
    await seeing(town_db, clock, Eye("白石新苑"), media).step()
    assert row(town_db, number).place is None
    assert [line.startswith("photo: P-BS") for line in row(town_db, number).evidence] == [True]


async def test_a_lift_says_its_numbers(town_db: Database, clock: HandClock, media: Path) -> None:
    number = ticket(town_db, clock, place="P-LA-B01")
    await seeing(town_db, clock, Eye(LIFT), media).step()
    assert row(town_db, number).evidence == [
        "photo, lift 31103302062015010023", "photo, lift 梯11浙B12345(20)", "photo, lift DT-07",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("电能表 No.00123456789", [("meter", "00123456789")]),
        ("水表编号：3301 2345 67", [("meter", "3301234567")]),
        ("配电箱编号 AL-12", [("box", "AL-12")]),
        ("电梯编号：请勿倚靠", []),
        ("请保管好您的手表 13800001234", []),
        ("注册代码 123", []),
    ],
)
def test_numbers_of_plates(text: str, found: list[tuple[str, str]]) -> None:
    assert list(numbers(text)) == found


def test_peoples_numbers_are_not_kept() -> None:
    assert kept("电话13800001234") == "电话00000000000"
    assert kept("330106199001011234") == "0" * 18
    assert kept("注册代码31103302062015010023") == "注册代码31103302062015010023"


async def test_one_that_cannot_be_read_is_left_after_three_tries(
    town_db: Database, clock: HandClock, media: Path
) -> None:
    ticket(town_db, clock)
    eye = Eye(RuntimeError("no memory"))
    there = seeing(town_db, clock, eye, media)
    for _ in range(5):
        await there.step()
        assert await there.step() == 0  # leased
        clock.forward(minutes=3)
    assert (len(eye.asked), pictures_of(town_db)[0].looks) == (3, 3)


async def test_a_process_that_was_too_slow_has_no_say(town_db: Database, clock: HandClock, media: Path) -> None:
    number = ticket(town_db, clock)
    since, lease = clock() - timedelta(days=1), timedelta(minutes=2)
    slow = town_db.tx(lambda s: pictures.take(s, now=clock(), since=since, lease=lease))
    assert slow is not None
    clock.forward(minutes=3)
    assert await seeing(town_db, clock, Eye("欢迎光临"), media).step() == 1
    assert town_db.tx(lambda s: pictures.settle(s, slow, PLATE)) is None
    assert row(town_db, number).place is None


async def test_one_taken_back_meanwhile_leaves_nothing(town_db: Database, clock: HandClock, media: Path) -> None:
    number = ticket(town_db, clock)

    class Slow(Eye):
        async def see(self, path: Path) -> str:
            await town_db.run(lambda session: session.connection().execute(sa.delete(Attachment)))
            return await super().see(path)

    assert await seeing(town_db, clock, Slow(PLATE), media).step() == 1
    assert (row(town_db, number).place, row(town_db, number).evidence) == (None, [])


@pytest.mark.parametrize("path", ["missing.jpg", "../secret.jpg"])
async def test_a_file_that_is_not_in_the_folder_is_not_opened(
    town_db: Database, clock: HandClock, media: Path, path: str
) -> None:
    (media.parent / "secret.jpg").write_bytes(b"\xff\xd8\xff")
    ticket(town_db, clock, path)
    eye = Eye(PLATE)
    assert (await seeing(town_db, clock, eye, media).step(), eye.asked) == (1, [])


async def test_photos_of_long_ago_are_not_read(town_db: Database, clock: HandClock, media: Path) -> None:
    ticket(town_db, clock)
    clock.forward(hours=25)
    assert await seeing(town_db, clock, Eye(PLATE), media).step() == 0


# --- the real eye ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eye() -> RapidEye:
    """rapidocr, where the extra is installed."""
    pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed")
    return RapidEye()


def draw(path: Path, text: str) -> Path:
    """Black on white, as on a plate."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - comes with the extra

    font = next((one for one in FONTS if Path(one).is_file()), None)
    if font is None:
        pytest.skip("no font with Chinese characters here")
    lines = text.split("\n")
    picture = Image.new("RGB", (900, 80 * len(lines) + 60), "white")
    for number, line in enumerate(lines):
        place = (40, 30 + 80 * number)
        ImageDraw.Draw(picture).text(place, line, font=ImageFont.truetype(font, 48), fill="black")
    picture.save(path)
    return path


async def test_the_real_eye_reads_plates(eye: RapidEye, tmp_path: Path, shared_town: Town) -> None:
    assert (await eye.see(draw(tmp_path / "a.png", PLATE))).replace(" ", "") == PLATE
    lift = await eye.see(draw(tmp_path / "b.png", LIFT))
    assert [no for _, no in numbers(lift)][:2] == ["31103302062015010023", "梯11浙B12345(20)"]


async def test_the_real_eye_and_what_is_no_picture(eye: RapidEye, tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert await eye.see(tmp_path / "no.jpg") == ""
    draw(tmp_path / "blank.png", " ")
    assert await eye.see(tmp_path / "blank.png") == ""
