"""Files that no row names leave the disk; all others stay."""

import os
import time
from pathlib import Path

import pytest
from sqlmodel import Session

from bot import leftovers
from bot.channels import media
from models import files, inbox
from models.database import Database
from models.message import Incoming, Kind, Media
from models.ticket import Attachment, Status, Ticket
from models.webchat import WebMessage
from tests.conftest import START

NAMED = {"heard.jpg", "shown.jpg", "kept.jpg"}
TRY = "SELECT pg_try_advisory_xact_lock(hashtextextended('a.jpg', 0))"


@pytest.fixture
def folder(db: Database, tmp_path: Path) -> Path:
    """Three files that rows name, in each of the places, and one that none does."""
    media = tmp_path / "media"
    media.mkdir()
    for name in (*NAMED, "nobodys.jpg"):
        (media / name).write_bytes(b"x")
        age(media / name)
    heard = Incoming(
        id="m1", channel="web", chat="g", sender="a", sent_at=START, kind=Kind.IMAGE, media=(Media(path="heard.jpg"),)
    )

    def write(session: Session) -> None:
        inbox.receive(session, [heard, heard.model_copy(update={"id": "m2", "media": ()})], START)
        shown = heard.model_copy(update={"media": (Media(path="shown.jpg"),)}).model_dump_json()
        session.add(WebMessage(client_id="c1", chat="g", sender="a", body=shown, at=START))
        ticket = Ticket(
            status=Status.ASSIGNED, category="city.noise", tier=1, channel="web", chat="g", reporter="a",
            opened_at=START, last_message_at=START,
        )  # fmt: skip
        session.add(ticket)
        session.flush()
        session.add(Attachment(ticket=ticket.id or 0, message="m0", kind="image", path="kept.jpg", added_at=START))

    db.tx(write)
    return media


def age(path: Path) -> None:
    then = time.time() - leftovers.GRACE - 60
    os.utime(path, (then, then))


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("lot", [1, 2_000])
def test_what_no_row_names_goes(db: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, lot: int) -> None:
    monkeypatch.setattr(leftovers, "SOME", lot)
    assert leftovers.sweep(db.tx, folder) == 1
    assert there(folder) == NAMED


def test_what_has_just_been_kept_stays(db: Database, folder: Path) -> None:
    name = media.written(folder, b"of a picture", "jpg")
    age(folder / name)
    assert media.written(folder, b"of a picture", "jpg") == name  # somebody sends the same one
    assert leftovers.sweep(db.tx, folder) == 1
    assert there(folder) == NAMED | {name}


def test_who_is_told_to_end_removes_nothing(db: Database, folder: Path) -> None:
    asked = iter([False, True])
    assert leftovers.sweep(db.tx, folder, over=lambda: next(asked)) == 0
    assert there(folder) == NAMED | {"nobodys.jpg"}


def test_where_nothing_was_kept_yet(db: Database, tmp_path: Path) -> None:
    assert leftovers.sweep(db.tx, tmp_path / "media") == 0


def test_a_name_that_leads_elsewhere_removes_nothing(db: Database, folder: Path) -> None:
    outside = folder.parent / "outside.jpg"
    outside.write_bytes(b"x")
    removed = db.tx(
        lambda session: leftovers.remove(session, folder, ["../outside.jpg", "heard.jpg", "nobodys.jpg", ""])
    )
    assert (removed, outside.exists(), there(folder)) == (1, True, NAMED)


def test_a_file_is_held_by_one_transaction_at_a_time(db: Database) -> None:
    """On PostgreSQL by a lock that both take; SQLite has one writer anyway."""
    if db.is_sqlite:
        return

    def held(session: Session) -> bool:
        files.hold(session, ["a.jpg"])
        return db.tx(lambda other: bool(other.connection().exec_driver_sql(TRY).scalar()))

    assert db.tx(held) is False
    assert db.tx(lambda session: bool(session.connection().exec_driver_sql(TRY).scalar()))
