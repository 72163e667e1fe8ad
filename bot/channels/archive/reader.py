"""Files of records into the inbox, line by line, with a cursor that is moved in the same transaction.

A cursor is a `Mark`: how many bytes of a file are done. A file is known by its name and first line, so one that grows
is read on, and one that was replaced is read anew. Two readers of one file do not step on each other: only one of them
can move the cursor from where both found it. What a cursor does not know (a file that was renamed, or exported twice)
the inbox does: a message is kept once.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot import metrics
from bot.channels.archive.files import By
from bot.channels.archive.ours import our_words, without_ours
from bot.channels.archive.records import NAME, Record, read, room
from bot.channels.known import Known
from bot.channels.security import Refused, refusing
from config.side_channels import ArchiveSettings
from models import fetching
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import receive
from models.mark import Mark, value
from models.message import Incoming

log = structlog.get_logger(__name__)

LINE_BYTES = 256 * 1024
FILE_BYTES = 2**31 - 1  # what a cursor can count on PostgreSQL


class TooLarge(Exception):
    """A file is longer than a cursor can count; the message says what to do."""


class _Moved(Exception):
    """Somebody else has read this part."""


@dataclass
class Tally:
    """Lines by what became of them. left: bytes of a last line that has no end yet."""

    new: int = 0
    known: int = 0
    elsewhere: int = 0
    old: int = 0
    silent: int = 0
    broken: int = 0
    left: int = 0

    def add(self, other: "Tally") -> None:
        """Count these too."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True)
class _Part:
    """Some lines of a file. found: where the cursor stood; end: where it will; left: bytes behind that."""

    cursor: str
    found: int
    end: int
    lines: list[tuple[int, bytes | None]]
    left: int


class Reader:
    """Reads files of JSON lines. Everything here blocks: call it in a thread."""

    def __init__(
        self, db: Database, clock: Clock = utc_now, *, batch: int = 500, days: float = 7.0, files_by: By | None = None
    ) -> None:  # fmt: skip
        """batch: lines of one transaction. days: older records are left alone. files_by: see `records.read`."""
        self._db = db
        self._known = Known(db)
        self._clock = clock
        self._batch = batch
        self._age = timedelta(days=days)
        self._files_by = files_by

    @classmethod
    def of(cls, settings: ArchiveSettings, db: Database, clock: Clock = utc_now) -> "Reader":
        """As the settings say."""
        by: By | None = settings.files_by if settings.files_folder is not None else None
        return cls(db, clock, batch=settings.batch, days=settings.days, files_by=by)

    def path(self, path: Path) -> Tally:
        """A file, or all `*.jsonl` of a folder, by name. Raises OSError, TooLarge."""
        total = Tally()
        for one in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
            if one.is_file():
                total.add(self.file(one))
        return total

    def file(self, path: Path) -> Tally:
        """From the cursor to the last whole line. Raises OSError, TooLarge."""
        total = Tally()
        with path.open("rb") as opened:
            while True:
                part = self._part(path, opened)
                if part is None or not part.lines:
                    total.left = part.left if part is not None else path.stat().st_size
                    return total
                try:
                    total.add(self._db.tx(lambda session, part=part: self._keep(session, path, part)))  # type: ignore[misc]
                except _Moved:
                    log.info("archive.moved", file=path.name)  # go on from where the other one has come to

    # --- the file -----------------------------------------------------------------------------------------------

    def _part(self, path: Path, opened: BufferedReader) -> _Part | None:
        """The next lines; None while the first one has no end. An oversized line stands there as None."""
        opened.seek(0)
        first = opened.readline(LINE_BYTES)
        if not first.endswith(b"\n") and len(first) < LINE_BYTES:
            return None
        size = path.stat().st_size
        if size > FILE_BYTES:
            raise TooLarge(f"{path.name}: is larger than 2 GB; split it at a line's end.")
        cursor = f"{NAME}:{hashlib.sha256(path.name.encode() + b'/' + first).hexdigest()[:23]}"
        found = self._db.tx(lambda session: value(session, cursor))
        start = found if found <= size and _at_line(opened, found) else 0
        opened.seek(start)
        lines: list[tuple[int, bytes | None]] = []
        end = start
        for at, line in _lines(opened):
            lines.append((at, line))
            end = opened.tell()
            if len(lines) >= self._batch:
                break
        return _Part(cursor, found, end, lines, size - end)

    # --- one transaction ----------------------------------------------------------------------------------------

    def _keep(self, session: Session, path: Path, part: _Part) -> Tally:
        now = self._clock()
        tally, messages = Tally(), []
        for at, line in part.lines:
            try:
                message = self._message(session, line, now, tally)
            except Refused as refused:
                tally.broken += 1
                metrics.refused.labels(NAME, refused.why).inc()
                log.warning("archive.refused", file=path.name, byte=at, why=refused.why)
                continue
            if message is not None:
                messages.append(message)
        ours = our_words(session, messages)
        heard = [own for message in messages if (own := without_ours(message, ours)) is not None]
        tally.silent += len(messages) - len(heard)
        # With the messages: a message kept is a file remembered.
        fetching.put(session, heard, now)
        tally.new = receive(session, heard, now)
        tally.known = len(heard) - tally.new
        _advance(session, part)
        return tally

    def _message(self, session: Session, line: bytes | None, now: datetime, tally: Tally) -> Incoming | None:
        if line is None:
            raise Refused("size")
        if not line.strip():
            return None
        with refusing():
            record: Record = json.loads(line)
            where = room(record)
        message = read(record, self._files_by)
        if message is None:
            tally.silent += 1
        elif self._known.group_in(session, NAME, where) is None:
            tally.elsewhere += 1
        elif message.sent_at < now - self._age:
            tally.old += 1
        else:
            return message
        return None


def _at_line(opened: BufferedReader, offset: int) -> bool:
    """A line begins here."""
    if offset == 0:
        return True
    opened.seek(offset - 1)
    return opened.read(1) == b"\n"


def _lines(opened: BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """Whole lines with where they begin; None for one that is too long."""
    while True:
        at = opened.tell()
        line = opened.readline(LINE_BYTES)
        if line.endswith(b"\n"):
            yield at, line
            continue
        while line and not line.endswith(b"\n"):
            line = opened.readline(LINE_BYTES)
        if not line:  # no end yet
            return
        yield at, None


def _advance(session: Session, part: _Part) -> None:
    """Move the cursor. Raises _Moved when somebody else has."""
    one = sa.update(Mark).where(col(Mark.name) == part.cursor, col(Mark.value) == part.found)
    if session.connection().execute(one.values(value=part.end)).rowcount:
        return
    if part.found:
        raise _Moved
    session.add(Mark(name=part.cursor, value=part.end))
    try:
        session.flush()
    except sa.exc.IntegrityError:
        raise _Moved from None
