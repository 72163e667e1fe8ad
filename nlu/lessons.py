"""What staff put right, as examples to learn from and to be judged by: divided by time, and kept beside an artefact."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from nlu.corpus import Example
from nlu.near import SHORT
from nlu.near import key as masked
from nlu.types import Context, Names

LEARN = 0.7  # the older part; the newer one is for the gate
_CONTEXT = frozenset(field.name for field in fields(Context))
_KEPT = ("text", "intent", "leaf", "urgent", "sensitive")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One message and what it is in truth.

    key: of the message, without telling which. group: whatever shares it tells of one matter (tickets that were merged
    or split). at: aware, when staff said so. example: with its context; None there where it is not known.
    """

    key: str
    group: str
    at: datetime
    example: Example


def once(lessons: Iterable[Lesson]) -> list[Lesson]:
    """Of lessons that say the same of the same words, places and numbers aside, the newest one; oldest first."""
    found: dict[tuple[object, ...], Lesson] = {}
    for lesson in sorted(lessons, key=lambda lesson: (lesson.at, lesson.key)):
        e = lesson.example
        alike = (masked(e) or e.text, e.intent, e.leaf, e.urgent, e.sensitive)
        found.pop(alike, None)
        found[alike] = lesson
    return list(found.values())


def divide(lessons: Sequence[Lesson], share: float = LEARN) -> tuple[list[Lesson], list[Lesson]]:
    """(the older ones, the newer ones). A matter, and words that say nearly the same, stay on one side: that of its
    oldest lesson. share: of the lessons, to learn from; of a matter that lies across the line, all."""
    ordered = sorted(lessons, key=lambda lesson: (lesson.at, lesson.key))
    matter = list(range(len(ordered)))  # each lesson's matter: the index of the oldest lesson in it

    def root(index: int) -> int:
        while matter[index] != index:
            index = matter[index]
        return index

    seen: dict[tuple[str, str], int] = {}
    for index, lesson in enumerate(ordered):
        for sign in _signs(lesson):
            one, two = sorted((root(seen.setdefault(sign, index)), root(index)))
            matter[two] = one
    together: dict[int, list[Lesson]] = {}
    for index, lesson in enumerate(ordered):
        together.setdefault(root(index), []).append(lesson)
    older: list[Lesson] = []
    newer: list[Lesson] = []
    for _, found in sorted(together.items()):
        (older if len(older) < share * len(ordered) else newer).extend(found)
    return older, newer


def _signs(lesson: Lesson) -> list[tuple[str, str]]:
    words = masked(lesson.example)
    return [("group", lesson.group), *([("words", words)] if len(words) >= SHORT else [])]


def write(file: Path, lessons: Iterable[Lesson]) -> None:
    """One JSON object a line; all of it or nothing, and for the owner's eyes only."""
    lines = []
    for lesson in lessons:
        e = lesson.example
        row: dict[str, Any] = {"key": lesson.key, "group": lesson.group, "at": lesson.at.isoformat()}
        row |= {name: getattr(e, name) for name in _KEPT}
        row["context"] = None if e.context is None else asdict(e.context)
        lines.append(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
    fresh = file.with_name(f"{file.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(lines), encoding="utf-8")
    fresh.replace(file)


def read(file: Path, names: Names) -> list[Lesson]:
    """What `write` wrote; nothing where there is no file. names: those of the town, for the masking."""
    if not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        context = None if row["context"] is None else context_of(row["context"])
        example = Example(
            **{name: row[name] for name in _KEPT}, context=context, names=names, source=row["key"], corrected=True
        )
        found.append(Lesson(row["key"], row["group"], datetime.fromisoformat(row["at"]), example))
    return found


def context_of(values: dict[str, Any]) -> Context:
    """A context from its fields by name. Those that this version does not know any more are passed over."""
    return Context(**{name: value for name, value in values.items() if name in _CONTEXT})


def forget(file: Path, alive: Collection[str]) -> None:
    """Take out the lessons whose key is not among `alive`: their words are gone from the database too."""
    if not file.is_file():
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["key"] in alive]
    if len(kept) < len(lines):
        fresh = file.with_name(f"{file.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_text("".join(kept), encoding="utf-8")
        fresh.replace(file)
