"""The files of the message archive: nothing is read twice or lost, and a folder is watched."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col
from structlog.testing import capture_logs

from bot.channels.archive import NAME, Archive
from bot.channels.archive import reader as reading
from bot.channels.archive.reader import Reader, Tally, TooLarge
from config.side_channels import ArchiveSettings
from models import outbox
from models.database import Database
from models.mark import Mark
from models.message import Outgoing
from models.outbox import SENT, Outbox
from models.queue import claim, finish
from tests.bot.archived import MS, ROOM, ZONE, kept, line, lines, name_room, record, texts
from tests.conftest import START, HandClock
from tests.onebot.fake import so


@pytest.fixture
def reader(db: Database, clock: HandClock) -> Reader:
    name_room(db)
    return Reader(db, clock, batch=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "2026-03-02.jsonl"


# ---- a file


def test_in_order_once_and_on_from_where_it_ended(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(lines(1, 7))
    assert reader.path(file) == Tally(new=7)
    assert reader.path(file) == Tally()
    with file.open("ab") as opened:
        opened.write(lines(8, 9))
    assert reader.path(file) == Tally(new=2)
    assert texts(db) == [f"第{number}句" for number in range(1, 10)]


def test_a_line_without_its_end_waits(reader: Reader, db: Database, file: Path) -> None:
    whole = lines(1, 2)
    file.write_bytes(whole[:-1])
    first = reader.path(file)
    assert (first.new, first.left) == (1, len(line(record(2, "第2句"))) - 1)
    file.write_bytes(whole)
    assert reader.path(file) == Tally(new=1)
    assert texts(db) == ["第1句", "第2句"]


def test_a_first_line_without_its_end_waits(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(lines(1, 1)[:-1])
    assert reader.path(file).new == 0
    file.write_bytes(lines(1, 2))
    assert reader.path(file) == Tally(new=2)


def test_broken_lines_stop_nothing_and_are_named_without_their_words(
    reader: Reader, db: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES", 400)
    bad = [
        b"{\n", b"\xff\xfe\n", b"[" * 300 + b"\n", line({"roomid": ROOM, "text": "秘密"}),
        line(record(9, "秘密" * 200)), b"\n",
    ]  # fmt: skip
    file.write_bytes(lines(1, 1) + b"".join(bad) + lines(2, 2))
    with capture_logs() as logs:
        tally = reader.path(file)
    assert (tally.new, tally.broken) == (2, 5)
    assert texts(db) == ["第1句", "第2句"]
    refused = [entry for entry in logs if entry["event"] == "archive.refused"]
    assert next(entry["byte"] for entry in refused) == len(lines(1, 1))
    assert "秘密" not in str(logs)


def test_nul_and_a_byte_order_mark(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + line(record(1, "灯\x00坏了")))
    assert reader.path(file) == Tally(new=1)
    assert texts(db) == ["灯坏了"]


def test_a_renamed_and_an_exported_again_file_tell_nothing_twice(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(lines(1, 4))
    reader.path(file)
    assert reader.path(file.rename(file.with_name("other.jsonl"))) == Tally(known=4)
    file.write_bytes(lines(3, 6))
    assert reader.path(file) == Tally(new=2, known=2)
    assert len(texts(db)) == 6


def test_a_file_that_was_replaced_is_read_anew(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(lines(1, 5))
    reader.path(file)
    file.write_bytes(lines(1, 1) + lines(7, 7))
    assert reader.path(file) == Tally(new=1, known=1)
    file.write_bytes(lines(1, 1) + line(record(8, "八" * 50)) + lines(9, 12))
    assert reader.path(file).new == 5
    assert len(texts(db)) == 11


def test_a_crash_in_the_middle_loses_and_doubles_nothing(
    reader: Reader, db: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(lines(1, 8))
    real, turns = reading._advance, iter((False, True))

    def dies(session: Session, part: Any) -> None:
        real(session, part)
        session.flush()
        if next(turns, False):
            raise KeyboardInterrupt  # after the rows and the cursor were written, before the commit

    monkeypatch.setattr(reading, "_advance", dies)
    with pytest.raises(KeyboardInterrupt):
        reader.path(file)
    assert len(texts(db)) == 3
    monkeypatch.setattr(reading, "_advance", real)
    assert reader.path(file) == Tally(new=5)
    assert texts(db) == [f"第{number}句" for number in range(1, 9)]


def test_several_readers_of_one_file(reader: Reader, db: Database, clock: HandClock, file: Path) -> None:
    file.write_bytes(lines(1, 60))
    tallies: list[Tally] = []

    def run() -> None:
        tallies.append(Reader(db, clock, batch=2).path(file))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.new for tally in tallies) == 60
    assert sum(tally.known for tally in tallies) == 0
    assert texts(db) == [f"第{number}句" for number in range(1, 61)]


def test_other_rooms_and_old_records_are_left_alone(reader: Reader, db: Database, file: Path, clock: HandClock) -> None:
    clock.forward(days=7, seconds=5)
    fresh = record(2, msgtime=MS + 86_400_000)
    file.write_bytes(line(record(1)) + line(fresh) + line(fresh | {"roomid": "wrElse", "msgid": "x"}))
    assert reader.path(file) == Tally(new=1, old=1, elsewhere=1)
    assert [message.chat for message in kept(db)] == [ROOM]


def test_a_folder_by_name(reader: Reader, db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.jsonl").write_bytes(lines(3, 4))
    (folder / "a.jsonl").write_bytes(lines(1, 2))
    (folder / "a.jsonl.part").write_bytes(lines(5, 6))
    (folder / "c.jsonl").mkdir()
    assert reader.path(folder) == Tally(new=4)
    assert texts(db) == ["第1句", "第2句", "第3句", "第4句"]


def test_a_file_too_large_for_a_cursor(reader: Reader, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FILE_BYTES", 100)
    file.write_bytes(lines(1, 2))
    with pytest.raises(TooLarge, match="split"):
        reader.path(file)


def test_cursors_fit_their_column(reader: Reader, db: Database, file: Path) -> None:
    file.write_bytes(lines(1, 1))
    reader.path(file)
    names = db.tx(lambda session: session.scalars(sa.select(col(Mark.name))).all())
    assert max(map(len, names)) <= 32


# ---- watching


async def test_the_folder_is_watched(db: Database, clock: HandClock, tmp_path: Path) -> None:
    name_room(db)
    woken: list[int] = []
    settings = ArchiveSettings.model_validate({"folder": tmp_path})
    channel = Archive(settings, db, clock, zone=ZONE, wake=lambda: woken.append(1))
    (tmp_path / "a.jsonl").write_bytes(lines(1, 2))
    assert [await channel.look(tmp_path), await channel.look(tmp_path)] == [2, 0]
    with (tmp_path / "a.jsonl").open("ab") as opened:
        opened.write(lines(3, 3))
    await channel.start()
    await so(lambda: bool(woken))
    await channel.stop()
    assert texts(db) == ["第1句", "第2句", "第3句"]


async def test_a_folder_that_is_away_is_looked_for_again(sqlite_db: Database, clock: HandClock, tmp_path: Path) -> None:
    name_room(sqlite_db)
    settings = ArchiveSettings.model_validate({"folder": tmp_path / "later", "poll_seconds": 0.01})
    woken: list[int] = []
    channel = Archive(settings, sqlite_db, clock, zone=ZONE, wake=lambda: woken.append(1))
    await channel.start()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.jsonl").write_bytes(lines(1, 1))
    await so(lambda: bool(woken))
    await channel.stop()
    assert texts(sqlite_db) == ["第1句"]


def test_our_own_words_posted_by_the_leader_are_not_heard(
    reader: Reader, db: Database, file: Path, clock: HandClock
) -> None:
    said = Outgoing(channel=NAME, chat=ROOM, text="收到，已登记 LS00001：灯坏了")
    db.tx(lambda session: outbox.put(session, [("k1", said)], clock()))
    posted = record(1, "收到，已登记  LS00001：灯坏了\n") | {"from": "leader"}
    file.write_bytes(line(posted) + line(record(2, "收到")))
    assert reader.path(file) == Tally(new=1, silent=1)
    assert texts(db) == ["收到"]


@pytest.mark.parametrize(("days", "heard"), [(6.9, 0), (7.1, 1)])
def test_our_own_words_come_late_and_masked(
    reader: Reader, db: Database, file: Path, clock: HandClock, days: float, heard: int
) -> None:
    """Put on Monday, in a notice of Tuesday, and posted by the group's owner when she finds the time."""
    said = Outgoing(channel=NAME, chat=ROOM, text="LS00001 已接单，电话 13800001111，@all 12幢302室")
    news = said.model_copy(update={"chat": f"notice:{ROOM}"})
    for key, out in (("k1", said), ("k1>carried", news)):
        db.tx(lambda session, key=key, out=out: outbox.put(session, [(key, out)], clock()))  # type: ignore[misc]
        if out is news:
            clock.forward(hours=34)
        (row,) = db.tx(lambda session: claim(session, Outbox, now=clock(), lease=timedelta(minutes=1), limit=9))
        db.tx(lambda session, row=row: finish(session, Outbox, row, now=clock(), outcome=SENT))  # type: ignore[misc]
    clock.forward(days=days)
    posted = "邻里事务今日进展：\n· LS00001 已接单，电话 138****1111，＠all 12幢***室\n· LS00002 已办结"
    file.write_bytes(line(record(1, posted, msgtime=int(clock().timestamp() * 1000))))
    assert reader.path(file).new == heard


@pytest.mark.parametrize(
    ("posted", "left"),
    [
        ("这是一条引用/回复消息：\n“网格助手：请问具体在哪里？”\n------\n3幢", "3幢"),
        ("这是一条引用/回复消息：\n“网格助手：请问具体在哪里？”\n------\n", None),
        ("请问具体在哪里？ 是3幢的", "是3幢的"),
        ("“请问具体\n在哪里？” 我们3幢也停水了", "我们3幢也停水了"),
        ("· 请问具体在哪里？", None),
        ("请问在哪里？3幢", "请问在哪里？3幢"),
    ],
)
def test_what_is_said_beside_our_own_words_is_heard(
    reader: Reader, db: Database, file: Path, clock: HandClock, posted: str, left: str | None
) -> None:
    said = Outgoing(channel=NAME, chat=ROOM, text="请问具体在哪里？")
    db.tx(lambda session: outbox.put(session, [("k1", said)], clock()))
    file.write_bytes(line(record(1, posted)))
    assert reader.path(file) == (Tally(new=1) if left else Tally(silent=1))
    assert texts(db) == ([left] if left else [])


async def test_a_file_that_cannot_be_read_holds_up_no_other(
    sqlite_db: Database, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_room(sqlite_db)
    monkeypatch.setattr("bot.channels.archive.reader.FILE_BYTES", 1_000)
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.jsonl").write_bytes(lines(1, 20))
    (tmp_path / "c.jsonl").write_bytes(lines(21, 21))
    channel = Archive(ArchiveSettings.model_validate({"folder": tmp_path}), sqlite_db, clock, zone=ZONE)
    with capture_logs() as log:
        assert [await channel.look(tmp_path) for _ in range(2)] == [1, 0]
    told = [(one["file"], one["error"]) for one in log if one["event"] == "archive.file_not_read"]
    assert told == [("a.jsonl", "FileNotFoundError"), ("b.jsonl", "TooLarge")]
    assert texts(sqlite_db) == ["第21句"]


async def test_its_state_says_whether_all_is_read(sqlite_db: Database, clock: HandClock, tmp_path: Path) -> None:
    settings = ArchiveSettings.model_validate({"folder": tmp_path, "poll_seconds": 0.02})
    channel = Archive(settings, sqlite_db, clock, zone=ZONE)
    assert (channel.state, Archive(ArchiveSettings(), sqlite_db, clock, zone=ZONE).state) == ("waiting", "")
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "nowhere")
    await channel.start()
    await so(lambda: channel.state == "failing")
    (tmp_path / "a.jsonl").unlink()
    await so(lambda: channel.state == "up")
    await channel.stop()


def test_settings() -> None:
    assert ArchiveSettings().enabled is False
    assert ArchiveSettings.model_validate({"answers": "notice"}).missing == ["corp_id", "secret", "owners"]
    assert ArchiveSettings.model_validate({"api_base": "https://wx.example.cn/"}).api_base == "https://wx.example.cn"
    with pytest.raises(ValidationError, match="must be an address"):
        ArchiveSettings.model_validate({"api_base": "qyapi.weixin.qq.com"})
    assert datetime.fromtimestamp(MS / 1000, UTC) == START
