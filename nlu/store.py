"""The artefacts of a data folder, which of them is in force, and how it came to be.

`HOME/nlu/<id>/` holds one each. `HOME/nlu/current.json` holds which one was promoted, and all promotions before it: one
file, replaced as a whole, so that no crash leaves the two at odds. Without it that of the data that ship counts.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nlu import artefact
from nlu.heads import Heads

SHIPPED = ""  # what is in force where nothing was promoted, or all of it was taken back
ABOUT, HEADS, POINTER = "about.json", "heads.json", "current.json"
PROMOTE, ROLLBACK = "promote", "rollback"


class NotPossible(Exception):
    """The engine in force cannot be changed like this; the message says why, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history. id, before: artefacts, or SHIPPED. at: ISO 8601 with its offset."""

    at: str
    action: str
    id: str
    before: str


def folder_of(home: Path, id_: str) -> Path:
    """Where an artefact lies."""
    return home / "nlu" / id_


def shipped(home: Path, leaves: Sequence[str]) -> Path:
    """Where the artefact of the data that ship lies, or will."""
    return folder_of(home, artefact.fingerprint(leaves))


def running(home: Path, leaves: Sequence[str]) -> Path:
    """Where the artefact in force lies; that of the data that ship where nothing was promoted, or what was promoted
    cannot be used (`unfit`)."""
    current = promoted(home)
    return folder_of(home, current) if current and not unfit(home, current, leaves) else shipped(home, leaves)


def unfit(home: Path, id_: str, leaves: Iterable[str]) -> str:
    """Why an artefact of `retrain` cannot be used; "" when it can. Its weights belong to the features it was trained
    with: those of an older version of the code read at random."""
    folder = folder_of(home, id_)
    if not (folder / HEADS).is_file() or not (folder / ABOUT).is_file():
        return "is not there"
    if about(home, id_)["reading"] != artefact.reading(leaves):
        return "was trained for other features or categories"
    return ""


def about(home: Path, id_: str) -> dict[str, Any]:
    """What `save` was told of an artefact. Raises NotPossible when there is none of `retrain` by this name."""
    try:
        found: dict[str, Any] = json.loads((folder_of(home, id_) / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotPossible(f"there is no candidate {id_!r}: `linsheng nlu retrain` makes one.") from None
    return found


def save(home: Path, id_: str, heads: Heads, facts: dict[str, Any]) -> Path:
    """Keep a candidate. Its `heads.json` is written last: until then it is not there."""
    folder = folder_of(home, id_)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HEADS).unlink(missing_ok=True)
    put(folder / ABOUT, facts)
    heads.save(folder)
    return folder


def candidates(home: Path) -> list[str]:
    """Whole artefacts of `retrain`, the newest first."""
    found = [file.parent for file in (home / "nlu").glob(f"*/{ABOUT}") if (file.parent / HEADS).is_file()]
    return [f.name for f in sorted(found, key=lambda f: (str(about(home, f.name)["at"]), f.name), reverse=True)]


def history(home: Path) -> list[Change]:
    """All promotions and rollbacks, the oldest first."""
    file = home / "nlu" / POINTER
    if not file.is_file():
        return []
    return [Change(**row) for row in json.loads(file.read_text(encoding="utf-8"))["history"]]


def promoted(home: Path) -> str:
    """The artefact that was promoted last and not taken back; SHIPPED when there is none."""
    changes = history(home)
    return changes[-1].id if changes else SHIPPED


def promote(home: Path, id_: str, at: datetime) -> None:
    """Put an artefact in force, at once or not at all. Whether it may be is for the caller to have asked."""
    _change(home, Change(at.isoformat(timespec="seconds"), PROMOTE, id_, promoted(home)))


def rollback(home: Path, leaves: Sequence[str], at: datetime) -> str:
    """Back to what was in force before the last promotion that still holds; artefacts that cannot be used any more are
    passed over. Returns what is in force now. Raises NotPossible where nothing is promoted."""
    stack = [SHIPPED]
    for change in history(home):
        if change.action == PROMOTE:
            stack.append(change.id)
        else:
            while stack[-1] != change.id:
                stack.pop()
    if len(stack) == 1:
        raise NotPossible("nothing is promoted: the engine of the data that ship is in force.")
    before = stack.pop()
    while stack[-1] != SHIPPED and (stack[-1] == before or unfit(home, stack[-1], leaves)):
        stack.pop()
    _change(home, Change(at.isoformat(timespec="seconds"), ROLLBACK, stack[-1], before))
    return stack[-1]


def _change(home: Path, change: Change) -> None:
    rows = [_row(old) for old in history(home)]
    put(home / "nlu" / POINTER, {"current": change.id, "history": [*rows, _row(change)]})


def _row(change: Change) -> dict[str, str]:
    return {"at": change.at, "action": change.action, "id": change.id, "before": change.before}


def put(file: Path, content: object) -> None:
    """Write JSON: after a crash either the old file is there or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False, indent=1)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def tidy(home: Path, keep: str) -> list[str]:
    """Remove what `retrain` left that was never promoted, but for `keep`; artefacts of the data that ship stay.
    Returns what went."""
    held = {keep} | {name for change in history(home) for name in (change.id, change.before)}
    found = [file.parent for file in (home / "nlu").glob(f"*/{ABOUT}") if file.parent.name not in held]
    for folder in found:
        shutil.rmtree(folder)
    return sorted(folder.name for folder in found)
