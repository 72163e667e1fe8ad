"""Files below media/ that nobody needs any more: removed.

At once where it is known that one is not wanted (`remove`). And looked for now and then: a photo that was recalled, one
of talk that retention has removed, one that a process died over before any row named it.
"""

import stat
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from sqlmodel import Session

from models import files

T = TypeVar("T")
log = structlog.get_logger(__name__)
GRACE = 3_600.0  # seconds from a file to the row that names it: the longest pause between two tries of `bot.fetching`
SOME = 2_000  # rows of one transaction


def remove(session: Session, folder: Path, paths: Collection[str]) -> int:
    """Remove those that no row names. Returns how many. For a path that leads elsewhere nothing is done."""
    home, gone = folder.resolve(), 0
    for path in files.unnamed(session, [path for path in paths if path]):
        file = (folder / path).resolve()
        if file.is_relative_to(home) and file.is_file():
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def sweep(
    tx: Callable[[Callable[[Session], tuple[set[str], int]]], tuple[set[str], int]], folder: Path, *,
    over: Callable[[], bool] = lambda: False, grace: float = GRACE,
) -> int:  # fmt: skip
    """Remove the files that are older than `grace` seconds and that no row names. Returns how many.

    tx: runs a function in one transaction. over: asked before each; once it is, nothing is removed.
    A file that is kept again is touched (`media.written`), and so is no candidate.
    """
    until = time.time() - grace
    left = {path.name for path in _older(folder, until)}
    for place in files.PLACES:
        last = 0
        while left:
            if over():
                return 0
            names, last = tx(partial(files.some, place=place, after=last, limit=SOME))
            left -= names
            if not last:
                break
    gone = [path for path in _older(folder, until) if path.name in left]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        log.info("files.removed", files=len(gone))
    return len(gone)


def _older(folder: Path, until: float) -> list[Path]:
    """Files not kept since `until` (seconds since 1970); none where there is no folder yet."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            about = path.stat()
        except FileNotFoundError:  # somebody else removes, too
            continue
        if stat.S_ISREG(about.st_mode) and about.st_mtime < until:
            found.append(path)
    return found
