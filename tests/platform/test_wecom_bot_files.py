"""Pictures of the AI bot's messages: stored after the message, and put where it belongs, whenever that was handled."""

import io
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image
from sqlmodel import Session

from bot.channels import media
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.fetching import Fetching, place
from models.database import Database
from models.message import Media
from models.ticket import Attachment, Status, Ticket
from tests.conftest import START
from tests.platform.harness import TestPlatform, platform
from tests.platform.wecom_bot import connected, handled, heard, hooked, make, soon


def a_photo() -> bytes:
    made = io.BytesIO()
    picture = Image.new("RGB", (32, 24), "navy")
    exif = Image.Exif()
    exif[0x010E] = "taken at 28.95,118.90"
    picture.save(made, "JPEG", exif=exif)
    return made.getvalue()


def fetching(bot: WecomBot) -> Fetching:
    bot._fetching._watch = 0.02
    return bot._fetching


def attached(db: Database, message: str) -> str:
    """A ticket that the worker made of the message before its picture was there; gives nothing yet."""

    def write(session: Session) -> None:
        ticket = Ticket(
            status=Status.ASSIGNED, category="facility", tier=2, channel="wecom_bot", chat="a", reporter="a",
            opened_at=START, last_message_at=START,
        )  # fmt: skip
        session.add(ticket)
        session.flush()
        session.add(
            Attachment(ticket=ticket.id or 0, message=message, kind="image", platform_id=f"{message}#0", added_at=START)
        )

    db.tx(write)
    return message


def path_of(db: Database) -> str:
    return db.tx(lambda session: session.scalars(sa.select(Attachment.path)).one())  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_picture_is_kept_without_where_it_was_taken(sqlite_db: Database, tmp_path: Path, mode: str) -> None:
    opened = connected if mode == "connection" else hooked
    async with platform() as p, opened(p, sqlite_db, tmp_path) as bot:
        fetching(bot)
        await p.photo(None, "a", a_photo())
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await soon(lambda: heard(sqlite_db)[0].media[0].path)
        (message,) = heard(sqlite_db)
    file = tmp_path / "media" / message.media[0].path
    assert message.media[0].mime == "image/jpeg"
    assert not [key for key in message.platform if key.startswith(("url", "aeskey"))]
    assert b"118.90" not in file.read_bytes()
    with Image.open(file) as picture:
        assert (picture.size, dict(picture.getexif())) == ((32, 24), {})


async def test_a_ticket_that_is_there_already_gets_its_picture(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p, connected(p, sqlite_db, tmp_path) as bot:
        fetching(bot)
        said = await p.photo(None, "a", a_photo())
        attached(sqlite_db, said.id)
        await soon(lambda: heard(sqlite_db))
        await soon(lambda: path_of(sqlite_db))
        # The worker is still at it: it may write another ticket without the picture.
        assert await _places_again(sqlite_db, bot, p)
    assert (tmp_path / "media" / path_of(sqlite_db)).is_file()


async def _places_again(db: Database, bot: WecomBot, p: TestPlatform) -> bool:
    (message,) = heard(db)
    before = db.tx(lambda session: place(session, message, {0: Media(path=path_of(db))}))
    handled(db, p)
    after = db.tx(lambda session: place(session, message, {0: Media(path=path_of(db))}))
    await fetching(bot).drain()
    return (before, after) == (False, True)


async def test_a_process_that_died_is_made_up_for(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform() as p:
        async with connected(p, sqlite_db, tmp_path) as first:
            monkeypatch.setattr(first._fetching, "begin", lambda _message: None)
            await p.photo(None, "a", a_photo())
            await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        assert heard(sqlite_db)[0].media[0].path == ""
        second = make(p, sqlite_db, tmp_path, connect=False)
        await second.start()
        await fetching(second).drain()
        await second.stop()
        assert heard(sqlite_db)[0].media[0].path
        p.clock.forward(minutes=6)
        assert await fetching(second).resume() == 0


async def test_a_file_elsewhere_is_not_asked_for(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bytes:
        raise AssertionError("an address of somebody else's was asked")

    monkeypatch.setattr(media, "_fetch", never)
    async with platform() as p, connected(p, sqlite_db, tmp_path) as bot:
        body = p.bot.head("a", "a", "image") | {"image": {"url": "http://169.254.169.254/latest", "aeskey": "k"}}
        await p.bot.push(body, user="a")
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await fetching(bot).drain()
        assert heard(sqlite_db)[0].media[0].path == ""


async def test_a_wrong_key_costs_the_picture_and_not_the_message(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p, connected(p, sqlite_db, tmp_path) as bot:
        sealed = p.bot._sealed("image", "x.jpg", a_photo()) | {"aeskey": "A" * 43}
        await p.bot.push(p.bot.head("a", "a", "image") | {"image": sealed}, user="a")
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await fetching(bot).drain()
        assert (len(heard(sqlite_db)), heard(sqlite_db)[0].media[0].path) == (1, "")
