"""A message as a bag of features: character n-grams with places masked, and tokens for its context."""

import re
from bisect import bisect_left
from collections.abc import Mapping
from itertools import chain
from operator import add

import numpy as np
from numpy.typing import NDArray

from nlu import grammar
from nlu.gazetteer import Gazetteer
from nlu.types import Context, Names, Span

NAME, BUILDING, HOME = "\ue000", "\ue001", "\ue002"
_DIGITS = re.compile(r"\d")
_SPACES = re.compile(r"[\s,，。.、;；:：~～]+")
_BOT = re.compile(r"@(?:bot|邻声|小邻)\s?")
_AT = re.compile(r"@\S{1,12}\s?")
UNIT_WORD = re.compile(r"号楼|号院|栋|幢|座|排|楼|单元|号")
NUMERAL = re.compile(r"[\da-z零〇一二两三四五六七八九十百]")
LONGEST = 240


def places(text: str, names: Names, *, heard: bool = False) -> list[Span]:
    """Places in a normalised text: the town's names, and numbered buildings beside or between them.

    heard: it is a voice transcript; then names count that only sound like it, too.
    """
    exact = names.find(text)
    if heard and isinstance(names, Gazetteer):
        exact = names.sounds.beside(text, exact)
    found = [span for span in exact if not _unit(text, span)]
    for building in grammar.buildings(text):
        if not any(span.start < building.end and building.start < span.end for span in found):
            found.append(Span(building.start, building.end, "location", text[building.start : building.end]))
    return sorted(found, key=lambda span: span.start)


def _unit(text: str, span: Span) -> bool:
    """A name that is only the unit after a number: the quarter called 号楼, in 5号楼."""
    return span.start > 0 and bool(UNIT_WORD.match(span.text)) and bool(NUMERAL.match(text[span.start - 1]))


def mask(text: str, spans: list[Span]) -> str:
    """`text` with every place as one character, digits alike, white space and marks folded, the bot's name gone."""
    parts: list[str] = []
    last = 0
    for span in spans:
        if span.start >= last:
            parts += text[last : span.start], NAME if span.codes else BUILDING
            last = span.end
    out = "".join([*parts, text[last:]])
    if "@" in out:
        out = _AT.sub("@", _BOT.sub("", out))
    return _DIGITS.sub("0", _SPACES.sub(" ", out))[:LONGEST].strip()


def masked(text: str, spans: list[Span]) -> tuple[str, list[int]]:
    """The same, and for each of its characters (and for its end) the position in `text` where it begins."""
    parts: list[str] = []
    at: list[int] = []
    last = 0
    for span in spans:
        if span.start < last:
            continue
        parts += [text[last : span.start], NAME if span.codes else BUILDING]
        at += [*range(last, span.start), span.start]
        last = span.end
    parts.append(text[last:])
    at += range(last, len(text) + 1)
    out = "".join(parts)
    for pattern, instead in ((_BOT, ""), (_AT, "@"), (_SPACES, " ")):
        if pattern.search(out):
            out, at = _replaced(pattern, instead, out, at)
    out = _DIGITS.sub("0", out)[:LONGEST]
    lead = len(out) - len(out.lstrip())
    out = out.strip()
    return out, at[lead : lead + len(out) + 1]


def _replaced(pattern: re.Pattern[str], instead: str, text: str, at: list[int]) -> tuple[str, list[int]]:
    parts: list[str] = []
    kept: list[int] = []
    last = 0
    for match in pattern.finditer(text):
        parts += [text[last : match.start()], instead]
        kept += [*at[last : match.start()], *([at[match.start()]] if instead else [])]
        last = match.end()
    return "".join([*parts, text[last:]]), [*kept, *at[last:]]


def grams(masked: str) -> list[str]:
    """Character 1- to 3-grams, each once. 4-grams were tried and taught nothing (docs/nlu.md)."""
    text = f"^{masked}$"
    pairs = list(map(add, text, text[1:]))
    return list(dict.fromkeys(chain(masked, pairs, map(add, pairs, text[2:]))))


class Grams:
    """A vocabulary's n-grams as sorted numbers, so that all those of a text are looked up at once.

    Three times as fast as a dictionary, whose strings lie all over the memory.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        found = sorted((_key(gram), index) for gram, index in vocabulary.items() if 1 <= len(gram) <= SIZES)
        # The last key is larger than any: what is sought is never behind the end.
        self._keys = np.array([*(key for key, _ in found), (1 << 63) - 1], dtype=np.int64)
        self._numbers = np.array([*(index for _, index in found), 0], dtype=np.intp)

    def once(self, masked: str) -> NDArray[np.intp]:
        """The numbers of `grams(masked)` that the vocabulary has."""
        one, two, three = _keys(f"^{masked}$")
        sought = np.concatenate((one[1:-1], two, three))
        sought.sort()
        at = self._keys.searchsorted(sought)
        known = self._keys.take(at) == sought
        known[1:] &= sought[1:] != sought[:-1]
        numbers: NDArray[np.intp] = self._numbers.take(at[known])
        return numbers

    def all(self, masked: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The numbers of the n-grams inside `masked`, without its ends and as often as they are there: single
        characters left to right, then pairs, then threes; and which of all those places hold a known one."""
        sought = np.concatenate(_keys(masked))
        at = self._keys.searchsorted(sought)
        known = self._keys.take(at) == sought
        return self._numbers.take(at[known]), known


SIZES, BITS = 3, 21  # a character has less than 21 bits


def _key(gram: str) -> int:
    """An n-gram as a number: its characters from the left, 0 for none."""
    codes = [ord(character) + 1 for character in gram] + [0] * (SIZES - len(gram))
    return codes[0] << 2 * BITS | codes[1] << BITS | codes[2]


def _keys(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The same for all single characters, pairs and threes of a text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64) + 1
    one = codes << 2 * BITS
    two = one[:-1] | codes[1:] << BITS
    return one, two, two[:-1] | codes[2:]


_AGES = {
    "own": (3, 15, 60, 1440),
    "chat": (5, 30, 240),
    "photo": (5, 15),
    "pause": (1, 5, 60),
    "before": (1, 3, 10, 30),
}
_ECHOES = (0.0, 0.15, 0.3)


_NO_AGE = {name: f"~{name}:{'more' if name == 'pause' else 'none'}" for name in _AGES}
_BUCKETS = {name: [*(f"~{name}:{limit}" for limit in limits), f"~{name}:more"] for name, limits in _AGES.items()}


def _bucket(name: str, age: float | None) -> str:
    return _NO_AGE[name] if age is None else _BUCKETS[name][bisect_left(_AGES[name], age)]


def _step(share: float) -> int:
    return sum(share > limit for limit in _ECHOES)


def tokens(context: Context, text: str, spans: list[Span]) -> list[str]:
    """The context as features. They begin with `~`, which no n-gram does after normalisation of marks."""
    found = [
        _bucket("own", context.own_ticket),
        _bucket("chat", context.chat_ticket),
        _bucket("photo", context.own_photo),
        _bucket("pause", context.pause),
        _bucket("before", context.before),
        f"~role:{context.role}",
        f"~kind:{context.kind}",
        f"~direct:{context.direct}",
        f"~bot:{context.mentioned}",
        f"~quote:{context.quotes}",
        f"~asked:{context.asked}",
        f"~length:{min(len(text) // 6, 8)}",
        f"~place:{bool(spans)}",
        f"~home:{grammar.says_home(text)}",
    ]
    if context.before is not None:
        found += [
            f"~before-kind:{context.before_kind}",
            f"~before-asks:{context.before_asks}",
            f"~echo:{_step(context.echo)}",
            f"~echoes:{_step(context.echoes)}",
        ]
    if context.direct:
        found.append(f"~direct-own:{context.own_ticket is not None}")
    return found
