"""Words that must never be missed: life and limb, and what must not be talked about in a group.

The lists stand in config/lexicon.yaml. They are OR-ed with the trained head; a guard only takes a *word* back
(爆炸头 is no explosion), it never silences the head.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ahocorasick_rs import AhoCorasick

from config.tables import TableError, mapping, once

PARTS = ("urgent", "sensitive")
ALARM = 0.9  # so urgent or private is at least what is found here
SILENCE: Mapping[str, Sequence["Entry"]] = dict.fromkeys(PARTS, ())


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
    return {part: _entries(found.get(part) or {}) for part in PARTS}


def fired(part: str, text: str) -> list[Entry]:
    """Entries of one part that fire on a normalised text."""
    return list(heard(text)[part])


def heard(text: str) -> Mapping[str, Sequence[Entry]]:
    """The entries of each part that fire on a normalised text."""
    parts, watch = _watched()
    found = watch.fired(text)
    return (
        {part: [entry for entry in entries if entry in found] for part, entries in parts.items()} if found else SILENCE
    )


class Watch:
    """Entries with the words of which each needs one to fire, all looked for at once: most messages have none."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        needed = [needs(entry.pattern) for entry in entries]
        self._always = {number for number, words in enumerate(needed) if not words}
        told = [(word, number) for number, words in enumerate(needed) for word in sorted(words)]
        self._numbers = [number for _, number in told]
        self._automaton = AhoCorasick([word for word, _ in told])

    def fired(self, text: str) -> list[Entry]:
        """Those that fire, in the order of the table."""
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if not found and not self._always:
            return []
        near = {self._numbers[index] for index, _, _ in found} | self._always
        return [self._entries[number] for number in sorted(near) if self._entries[number].fires(text)]


@once
def _watched() -> tuple[dict[str, tuple[Entry, ...]], Watch]:
    """The parts, and one watch over all of them."""
    parts = lexicon()
    return parts, Watch([entry for entries in parts.values() for entry in entries])


MOST = 128  # words that a piece of a pattern may stand for, to be written out


def needs(pattern: re.Pattern[str]) -> frozenset[str]:
    """Words of which every text holds one that the pattern matches; none when there is no telling.

    Read off the parsed expression, as RE2 does before it runs one (re2/prefilter.cc).
    """
    if pattern.flags & (re.IGNORECASE | re.VERBOSE):
        return frozenset()
    # The parser of `re` has had no public name since Python 3.11, where sre_parse was deprecated.
    return _best(_pieces(import_module("re._parser").parse(pattern.pattern)))


def _pieces(parsed: Any) -> list[frozenset[str]]:
    """Sets of words, of each of which a match holds one: pieces side by side written out together."""
    found: list[frozenset[str]] = []
    run = frozenset({""})
    for name, value in parsed:
        exact = _exact(name, value)
        if exact and len(exact) * len(run) <= MOST:
            run = frozenset(before + after for before in run for after in exact)
            continue
        found.append(run)
        run = exact or frozenset({""})
        if not exact:
            found.append(_inside(name, value))
    return [*found, run]


def _best(pieces: Sequence[frozenset[str]]) -> frozenset[str]:
    """The piece whose words are longest, then fewest; nothing when all may be empty."""
    return max((p for p in pieces if p and "" not in p), key=lambda p: (min(map(len, p)), -len(p)), default=frozenset())


def _exact(name: Any, value: Any) -> frozenset[str]:
    """All that a piece can be; nothing when that is too much. What takes no room is ""."""
    match str(name):
        case "LITERAL":
            return frozenset({chr(value)})
        case "IN" if len(value) <= MOST and all(str(kind) == "LITERAL" for kind, _ in value):
            return frozenset(chr(code) for _, code in value)
        case "SUBPATTERN" if not value[1]:  # no flags of its own
            return _all(value[3])
        case "BRANCH":
            kinds = [_all(branch) for branch in value[1]]
            return frozenset().union(*kinds) if all(kinds) else frozenset()
        case "MAX_REPEAT" if value[1] == 1:
            there = _all(value[2])
            return there | {""} if there and value[0] == 0 else there
        case "ASSERT" | "ASSERT_NOT" | "AT":
            return frozenset({""})
    return frozenset()


def _all(parsed: Any) -> frozenset[str]:
    """All that a sequence of pieces can be."""
    out = frozenset({""})
    for name, value in parsed:
        exact = _exact(name, value)
        if len(exact) * len(out) > MOST:
            return frozenset()
        out = frozenset(before + after for before in out for after in exact)
    return out


def _inside(name: Any, value: Any) -> frozenset[str]:
    """Words that a piece needs which cannot be written out."""
    match str(name):
        case "SUBPATTERN" if not value[1]:
            return _best(_pieces(value[3]))
        case "BRANCH":
            kinds = [_best(_pieces(branch)) for branch in value[1]]
            return frozenset().union(*kinds) if all(kinds) else frozenset()
        case "MAX_REPEAT" | "MIN_REPEAT" if value[0] >= 1:
            return _best(_pieces(value[2]))
    return frozenset()
