"""The files of one message: each comes, waits or is gone by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.media import NotFetched
from bot.fetching import PAUSES, Fetcher
from handlers.workdays import WorkCalendar
from models import fetching, inbox
from models.database import Database
from models.fetching import Fetching
from models.inbox import receive
from models.message import Incoming, Kind, Media
from models.ticket import Attachment, Status, Ticket, TicketMessage
from tests.conftest import HandClock

NAME = "wechat_mp"


class Shelf:
    """A platform that keeps files. wrong: by file, what it raises instead of giving it."""

    name = NAME

    def __init__(self) -> None:
        self.wrong: dict[str, Exception] = {}
        self.asked: list[str] = []

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        self.asked.append(wanted.platform_id)
        if (error := self.wrong.get(wanted.platform_id)) is not None:
            raise error
        name = f"{wanted.platform_id}.jpg"
        (folder / name).write_bytes(b"of a picture")
        return Media(path=name)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def fetcher(db: Database, shelf: Shelf, clock: HandClock, tmp_path: Path) -> Fetcher:
    message = Incoming(
        id="m1", channel=NAME, chat="o1", sender="o1", sent_at=clock(), kind=Kind.IMAGE, direct=True,
        media=tuple(Media(platform_id=one) for one in ("a", "b", "c")),
    )  # fmt: skip

    def write(session: Session) -> None:
        fetching.put(session, [message], clock())
        receive(session, [message], clock())
        ticket = Ticket(
            status=Status.ASSIGNED, category="city.noise", tier=1, channel=NAME, chat="o1", reporter="o1",
            opened_at=clock(), last_message_at=clock(),
        )  # fmt: skip
        session.add(ticket)
        session.flush()
        told: dict[str, Any] = {"message": "m1", "ticket": ticket.id or 0}
        session.add(
            TicketMessage(**told, channel=NAME, chat="o1", sender="o1", kind="image", role="report", sent_at=clock())
        )
        for one in message.media:
            session.add(Attachment(**told, kind="image", platform_id=one.platform_id, added_at=clock()))

    db.tx(write)
    return Fetcher(db, {NAME: shelf}, tmp_path, WorkCalendar.configured(ZoneInfo("Asia/Shanghai")), clock=clock)


def paths(db: Database) -> tuple[list[str], list[str]]:
    """Where the files are, as the message has it, and as its ticket has it."""

    def read(session: Session) -> tuple[list[str], list[str]]:
        row = inbox.find(session, NAME, "o1", "m1")
        assert row is not None
        mine = session.scalars(sa.select(Attachment.path).order_by(Attachment.platform_id)).all()  # type: ignore[call-overload]
        return [one.path for one in inbox.read(row).media], list(mine)

    return db.tx(read)


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jpg"))


def state(db: Database) -> tuple[str, int]:
    row = db.tx(lambda session: session.scalars(sa.select(Fetching)).one())
    return row.outcome, row.attempts


async def test_one_that_fails_for_now_does_not_hold_up_the_others(
    fetcher: Fetcher, shelf: Shelf, db: Database, clock: HandClock
) -> None:
    shelf.wrong["b"] = NotFetched("no answer", again=True)
    await fetcher.step()
    there = ["a.jpg", "", "c.jpg"]
    assert paths(db) == (there, there)
    assert state(db) == ("", 1)

    shelf.wrong.clear()
    clock.forward(seconds=PAUSES[0] + 1)
    await fetcher.step()
    there = ["a.jpg", "b.jpg", "c.jpg"]
    assert paths(db) == (there, there)
    assert (state(db), shelf.asked) == (("fetched", 2), ["a", "b", "c", "b"])


async def test_one_that_is_gone_does_not_take_the_others_with_it(
    fetcher: Fetcher, shelf: Shelf, db: Database, clock: HandClock
) -> None:
    shelf.wrong["a"] = NotFetched("the platform has forgotten it")
    await fetcher.step()
    assert paths(db)[0] == ["", "b.jpg", "c.jpg"]
    assert state(db) == ("gone", 1)
    clock.forward(days=1)
    assert await fetcher.step() == 0


async def test_one_that_nobody_can_read_does_not_either(
    fetcher: Fetcher, shelf: Shelf, db: Database, clock: HandClock
) -> None:
    shelf.wrong = {"a": RuntimeError("https://secret.example"), "c": NotFetched("the platform has forgotten it")}
    await fetcher.step()
    assert paths(db)[1] == ["", "b.jpg", ""]
    assert state(db) == ("", 1)
    row = db.tx(lambda session: session.scalars(sa.select(Fetching)).one())
    assert "secret" not in row.error

    for pause in PAUSES:
        clock.forward(seconds=pause + 1)
        await fetcher.step()
    assert paths(db)[1] == ["", "b.jpg", ""]
    assert state(db) == ("gone", len(PAUSES) + 1)
    assert shelf.asked.count("b") == 1


class Meanwhile(Shelf):
    """Something happens while a file is on its way."""

    def __init__(self, db: Database, happens: Callable[[Session], object]) -> None:
        super().__init__()
        self._db = db
        self._happens = happens

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        found = await super().fetch(wanted, folder)
        if wanted.platform_id == "c":
            self._db.tx(self._happens)
        return found


def taken_back(session: Session) -> None:
    """As `handlers.matters.forget` does."""
    row = inbox.find(session, NAME, "o1", "m1")
    assert row is not None
    row.payload = inbox.read(row).emptied.model_dump_json(exclude_defaults=True)
    session.execute(sa.delete(Attachment))


async def test_what_was_taken_back_on_its_way_does_not_stay(fetcher: Fetcher, db: Database, tmp_path: Path) -> None:
    fetcher._channels = {NAME: Meanwhile(db, taken_back)}
    await fetcher.step()
    assert (state(db)[0], kept(tmp_path)) == ("fetched", [])


async def test_what_was_deleted_on_its_way_does_not_stay(fetcher: Fetcher, db: Database, tmp_path: Path) -> None:
    def erased(session: Session) -> None:
        taken_back(session)
        session.execute(sa.delete(Fetching))

    fetcher._channels = {NAME: Meanwhile(db, erased)}
    await fetcher.step()
    assert kept(tmp_path) == []


async def test_the_same_photo_of_somebody_else_stays(
    fetcher: Fetcher, db: Database, clock: HandClock, tmp_path: Path
) -> None:
    another = Incoming(
        id="m2", channel="web", chat="g", sender="b", sent_at=clock(), kind=Kind.IMAGE, media=(Media(path="b.jpg"),)
    )
    db.tx(lambda session: receive(session, [another], clock()))
    fetcher._channels = {NAME: Meanwhile(db, taken_back)}
    await fetcher.step()
    assert kept(tmp_path) == ["b.jpg"]


async def test_one_that_somebody_removed_meanwhile_is_fetched_again(
    fetcher: Fetcher, shelf: Shelf, db: Database, clock: HandClock, tmp_path: Path
) -> None:
    fetcher._channels = {NAME: Meanwhile(db, lambda _: (tmp_path / "a.jpg").unlink())}
    await fetcher.step()
    assert (paths(db)[0], state(db)[0]) == (["", "", ""], "")
    fetcher._channels = {NAME: shelf}
    clock.forward(seconds=PAUSES[0] + 1)
    await fetcher.step()
    assert paths(db)[0] == ["a.jpg", "b.jpg", "c.jpg"]


async def test_a_ticket_that_goes_on_gets_its_picture_when_the_message_is_bare(
    fetcher: Fetcher, db: Database, tmp_path: Path
) -> None:
    """Her data were deleted, and the worker still needs what she showed (docs/adr/0028)."""

    def bare(session: Session) -> None:
        row = inbox.find(session, NAME, "o1", "m1")
        assert row is not None
        row.payload = inbox.read(row).emptied.model_dump_json(exclude_defaults=True)

    db.tx(bare)
    await fetcher.step()
    assert paths(db) == ([], ["a.jpg", "b.jpg", "c.jpg"])
    assert kept(tmp_path) == ["a.jpg", "b.jpg", "c.jpg"]


async def test_what_somebody_else_has_meanwhile_is_not_written(fetcher: Fetcher, db: Database, shelf: Shelf) -> None:
    class Slow(Shelf):
        async def fetch(self, wanted: Media, folder: Path) -> Media:
            db.tx(lambda session: session.execute(sa.update(Fetching).values(lease="another")))
            if wanted.platform_id == "b":
                raise NotFetched("no answer", again=True)
            return await super().fetch(wanted, folder)

    fetcher._channels = {NAME: Slow()}
    await fetcher.step()
    assert paths(db) == (["", "", ""], ["", "", ""])
