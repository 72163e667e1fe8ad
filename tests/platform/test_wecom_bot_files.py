"""Pictures of the AI bot's messages: fetched while their addresses live, and put where the messages have gone."""

import io
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image
from structlog.testing import capture_logs

from bot.channels import media
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.letters import NAME
from bot.fetching import Fetcher, that_fetch
from bot.sender import Sender
from handlers.workdays import WorkCalendar
from models.database import Database
from models.fetching import Fetching
from models.inbox import Inbox
from models.outbox import SENT
from tests.platform.harness import TestPlatform, platform
from tests.platform.mp import ZONE
from tests.platform.wecom_bot import connected, handled, heard, hooked, make, put, row, soon


def a_photo() -> bytes:
    made = io.BytesIO()
    picture = Image.new("RGB", (32, 24), "navy")
    exif = Image.Exif()
    exif[0x010E] = "taken at 28.95,118.90"
    picture.save(made, "JPEG", exif=exif)
    return made.getvalue()


def fetcher(bot: WecomBot, db: Database, p: TestPlatform, folder: Path) -> Fetcher:
    return Fetcher(db, that_fetch([bot]), folder / "media", WorkCalendar.configured(ZONE), clock=p.clock)


def outcome(db: Database) -> str:
    return db.tx(lambda session: session.scalars(sa.select(Fetching)).one().outcome)


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_picture_is_kept_without_where_it_was_taken(db: Database, tmp_path: Path, mode: str) -> None:
    opened = connected if mode == "connection" else hooked
    async with platform() as p, opened(p, db) as bot:
        await p.photo(None, "a", a_photo())
        await soon(lambda: heard(db))
        handled(db, p)
        assert await fetcher(bot, db, p, tmp_path).step() == 1
        (message,) = heard(db)
    file = tmp_path / "media" / message.media[0].path
    assert message.media[0].mime == "image/jpeg"
    assert b"118.90" not in file.read_bytes()
    with Image.open(file) as picture:
        assert (picture.size, dict(picture.getexif())) == ((32, 24), {})


async def test_only_the_fetcher_knows_address_and_key(sqlite_db: Database) -> None:
    async with platform() as p, connected(p, sqlite_db):
        await p.photo(None, "a", a_photo())
        await soon(lambda: heard(sqlite_db))

    def payloads(table: type[Inbox] | type[Fetching]) -> str:
        return sqlite_db.tx(lambda session: session.scalars(sa.select(table)).one().payload)

    assert p.base in payloads(Fetching)
    assert '"key":"' in payloads(Fetching)
    assert p.base not in payloads(Inbox)
    assert '"key"' not in payloads(Inbox)


async def test_a_process_that_died_is_made_up_for(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p:
        async with connected(p, sqlite_db):
            await p.photo(None, "a", a_photo())
            await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        second = make(p, sqlite_db, connect=False)
        assert await fetcher(second, sqlite_db, p, tmp_path).step() == 1
        assert heard(sqlite_db)[0].media[0].path


async def test_an_address_that_is_dead_is_not_asked_for_ever(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        await p.photo(None, "a", a_photo())
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        p.clock.forward(minutes=6)
        await fetcher(bot, sqlite_db, p, tmp_path).step()
        assert outcome(sqlite_db) == "gone"


async def test_a_file_elsewhere_is_not_asked_for(
    sqlite_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bytes:
        raise AssertionError("an address of somebody else's was asked")

    monkeypatch.setattr(media, "_fetch", never)
    async with platform() as p, connected(p, sqlite_db) as bot:
        body = p.bot.head("a", "a", "image") | {"image": {"url": "http://169.254.169.254/latest", "aeskey": "k"}}
        await p.bot.push(body, user="a")
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await fetcher(bot, sqlite_db, p, tmp_path).step()
        assert (heard(sqlite_db)[0].media[0].path, outcome(sqlite_db)) == ("", "gone")


async def test_a_wrong_key_costs_the_picture_and_not_the_message(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p, connected(p, sqlite_db) as bot:
        sealed = p.bot._sealed("image", "x.jpg", a_photo()) | {"aeskey": "A" * 43}
        await p.bot.push(p.bot.head("a", "a", "image") | {"image": sealed}, user="a")
        await soon(lambda: heard(sqlite_db))
        handled(sqlite_db, p)
        await fetcher(bot, sqlite_db, p, tmp_path).step()
        assert (len(heard(sqlite_db)), heard(sqlite_db)[0].media[0].path) == (1, "")


@pytest.mark.parametrize(("in_groups", "shown"), [(False, ["a"]), (True, ["a", "g"])])
async def test_the_photo_of_the_work_done_is_shown_after_the_words(
    sqlite_db: Database, tmp_path: Path, *, in_groups: bool, shown: list[str]
) -> None:
    name = media.keep(tmp_path, a_photo()).path
    async with platform() as p, connected(p, sqlite_db, pictures=tmp_path, photos_in_groups=in_groups) as bot:
        group = p.group("g", "a")
        await p.say(group, "a", "@邻声 3幢灯坏了")
        await p.say(None, "a", "在吗")
        await soon(lambda: len(heard(sqlite_db)) == 2)
        for chat in ("a", group):
            put(sqlite_db, p, chat, "已办结 LS00001", key=chat, picture=name)
        assert await Sender(sqlite_db, {NAME: bot}, p.clock).step() == 2
        for chat, label in (("a", "a"), (group, "g")):
            ours = [(bubble.kind, bubble.text) for bubble in p.seen(chat) if not bubble.by]
            assert ours[0][1] == "已办结 LS00001"
            assert ours[1:] == ([("image", f"[{name}]")] if label in shown else [])
            assert row(sqlite_db, chat).outcome == SENT
        assert p.complaints == []


async def test_a_photo_that_is_gone_does_not_cost_the_words(sqlite_db: Database, tmp_path: Path) -> None:
    async with platform() as p, connected(p, sqlite_db, pictures=tmp_path) as bot:
        await p.say(None, "a", "在吗")
        await soon(lambda: heard(sqlite_db))
        put(sqlite_db, p, "a", "已办结 LS00001", picture="gone.jpg")
        with capture_logs() as logs:
            assert await Sender(sqlite_db, {NAME: bot}, p.clock).step() == 1
        assert (row(sqlite_db).outcome, row(sqlite_db).attempts) == (SENT, 1)
        assert [line["event"] for line in logs].count("picture.not_shown") == 1
        assert len([bubble for bubble in p.seen("a") if not bubble.by]) == 1
