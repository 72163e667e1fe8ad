"""Words that must never be missed: life and limb, and what must not be talked about in a group.

The lists stand in config/lexicon.yaml. They are OR-ed with the trained head; a guard only takes a *word* back
(爆炸头 is no explosion), it never silences the head.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from config.tables import TableError, mapping, once


@dataclass(frozen=True)
class Entry:
    """One line of the lexicon. pattern matches normalised text; `leaf` is the category it speaks for, or ""."""

    name: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None
    leaf: str

    def fires(self, text: str) -> bool:
        """The words are there, and no guard takes them back."""
        return bool(self.pattern.search(text)) and not (self.unless and self.unless.search(text))


def _entries(rows: Mapping[str, Mapping[str, str]]) -> tuple[Entry, ...]:
    out = []
    for name, row in rows.items():
        try:
            unless = re.compile(row["unless"]) if row.get("unless") else None
            out.append(Entry(name, re.compile(row["words"]), unless, row.get("leaf", "")))
        except (KeyError, re.error) as error:
            raise TableError(f"lexicon.yaml: {name}: {error}") from error
    return tuple(out)


@once
def lexicon() -> dict[str, tuple[Entry, ...]]:
    """The entries of `urgent` and `sensitive`."""
    found = mapping("lexicon.yaml")
    return {part: _entries(found.get(part) or {}) for part in ("urgent", "sensitive")}


def fired(part: str, text: str) -> list[Entry]:
    """Entries of one part that fire on a normalised text."""
    return [entry for entry in lexicon()[part] if entry.fires(text)]
