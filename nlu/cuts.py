"""Several matters in one message: where the telling of one ends and that of the next begins.

Every pause is a possible cut. What lies before and after it is read on its own; the signs of a true cut (two sure
kinds that differ, a word like 还有, another thing named …) are weighed by a small logistic model (nlu/cuts.json, fitted
on the training towns by `linsheng nlu fit cuts`). All parts of all cuts are read in one pass: features add up, so a
part is a difference of running sums.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nlu import features
from nlu.features import SIZES
from nlu.head import Floats
from nlu.heads import Heads
from nlu.types import Span

FILE = Path(__file__).parent / "cuts.json"
SHORTEST = 4
PAUSE = re.compile(r"[ !?！？]+|(?=还有|另外|再就是|再有|再一|再讲|再说|旁边|边上|顺便|顺带|其二|还把|也把)")
TURN = re.compile(
    r"\s*(?:另外|还有(?!没|谁|吗|几|多|点|人)|再就是|再有|再一[个件]|再讲|再说一|顺便|顺带|对了|第二|其二|二是|2[.、]|仲有|搁有)"
)
ALSO = re.compile(r"也|还|又")
BESIDE = re.compile(r"\s*(?:旁边|边上|门口|楼下|路口|隔壁|对面)")
OPENING = re.compile(r"(?:两|2|几)(?:件|个|点|样)(?:事|问题|情况)?|其一|一是|第一")
SIGNS = ("certain", "alike", "told", "second", "first", "differ", "covers", "turn", "also", "beside", "object",
         "objects", "place", "places", "announced", "length")  # fmt: skip
CROSSED = ("turn", "also", "object", "certain", "told", "place", "announced")


@dataclass(frozen=True, slots=True)
class Part:
    """What a piece of a message says by itself: shares of the leaves, the likeliest of them (its number) with its
    share, and how likely it is a report."""

    leaves: Floats
    kind: int
    share: float
    report: float


@dataclass(frozen=True, slots=True)
class Model:
    """The fitted points of the signs. least: the share from which on a message is cut."""

    points: Floats
    bias: float
    least: float


@lru_cache(maxsize=1)
def model() -> Model:
    """Read cuts.json."""
    about = json.loads(FILE.read_text(encoding="utf-8"))
    points = np.array([about["points"].get(name, 0.0) for name in names()], dtype=np.float32)
    return Model(points, about["bias"], about["least"])


def names() -> list[str]:
    """What the signs are called, in the order of `signs`."""
    return [*SIGNS, *(f"{name} and differ" for name in CROSSED)]


class Reader:
    """Reads parts of one message. masked: its text as the heads see it; context: the sums of its context tokens."""

    def __init__(self, heads: Heads, masked: str, context: Floats) -> None:
        self.masked = masked
        self._heads = heads
        self._context = context
        self._report = heads.heads["intent"].labels.index("report")
        numbers, known = heads.grams.all(masked)
        self._running = heads.running(numbers)
        self._before = np.concatenate(([0], known.cumsum()))  # known n-grams before each place

    def parts(self, wanted: Sequence[tuple[int, int]]) -> list[Part]:
        """Pieces of the masked text, each by its first character and the one after its last."""
        starts, ends = np.array(wanted).T
        sums = np.zeros((len(wanted), self._running.shape[1]))
        first = 0
        for size in range(1, SIZES + 1):
            places = max(len(self.masked) - size + 1, 0)
            before = self._before[first : first + places + 1]
            begin = np.minimum(starts, places)
            stop = np.maximum(ends - size + 1, begin)
            sums += self._running[before[stop]] - self._running[before[begin]]
            first += places
        logits = self._heads.joined(sums.astype(np.float32), self._context)
        reports = self._heads.probabilities("intent", logits)[:, self._report].tolist()
        leaves = self._heads.probabilities("leaf", logits)
        return [
            Part(row, kind, float(row[kind]), report)
            for row, kind, report in zip(leaves, leaves.argmax(axis=1).tolist(), reports, strict=True)
        ]

    def part(self, start: int, end: int) -> Part:
        """Characters `start` up to `end` of the masked text."""
        return self.parts([(start, end)])[0]


def signs(masked: str, cut: int, end: int, first: Part, second: Part, whole: Part, objects: re.Pattern[str]) -> Floats:
    """The signs of a cut of masked[:end] at `cut`, as `names` orders them."""
    left, right = masked[:cut], masked[cut:end]
    one, other = first.kind, second.kind
    things, more = set(objects.findall(left)), set(objects.findall(right))
    found = {
        "certain": min(first.share, second.share),
        "alike": float(first.leaves @ second.leaves),
        "told": min(first.report, second.report),
        "second": second.report,
        "first": first.report,
        "differ": float(one != other),
        "covers": float(whole.leaves[one] + whole.leaves[other]) if one != other else float(whole.leaves[one]),
        "turn": float(bool(TURN.match(right))),
        "also": float(bool(ALSO.search(right[:14]))),
        "beside": float(bool(BESIDE.match(right))),
        "object": float(bool(more - things)),
        "objects": float(bool(things) and bool(more - things)),
        "place": float(features.NAME in right or features.BUILDING in right),
        "places": float(features.NAME in left or features.BUILDING in left),
        "announced": float(bool(OPENING.search(left))),
        "length": min(cut, end - cut) / 20,
    }
    return np.array([*(found[n] for n in SIGNS), *(found[n] * found["differ"] for n in CROSSED)], dtype=np.float32)


def possible(masked: str, start: int, end: int) -> list[int]:
    """Where masked[start:end] could be cut."""
    found = {place for match in PAUSE.finditer(masked, start, end) for place in (match.start(), match.end())}
    return sorted(cut for cut in found if cut - start >= SHORTEST and end - cut >= SHORTEST)


def cut(
    masked: str, read: Callable[[Sequence[tuple[int, int]]], list[Part]], objects: re.Pattern[str],
    rules: Model | None = None,
) -> list[tuple[int, int]]:  # fmt: skip
    """The parts of a message, left to right; one part when it tells of one thing."""
    return _cut(masked, 0, len(masked), read, objects, rules or model())


def _cut(
    masked: str,
    start: int,
    end: int,
    read: Callable[[Sequence[tuple[int, int]]], list[Part]],
    objects: re.Pattern[str],
    rules: Model,
) -> list[tuple[int, int]]:
    places = possible(masked, start, end)
    if not places:
        return [(start, end)]
    whole, *parts = read([(start, end), *((start, place) for place in places), *((place, end) for place in places)])
    best, where = -math.inf, 0
    for place, first, second in zip(places, parts[: len(places)], parts[len(places) :], strict=True):
        found = signs(masked[start:], place - start, end - start, first, second, whole, objects)
        score = float(found @ rules.points) + rules.bias
        if score > best:
            best, where = score, place
    if best < math.log(rules.least / (1 - rules.least)):
        return [(start, end)]
    return [
        *_cut(masked, start, where, read, objects, rules),
        *_cut(masked, where, end, read, objects, rules),
    ]


def inside(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """The spans of a piece of text, counted from its beginning."""
    return tuple(
        Span(s.start - start, s.end - start, s.kind, s.text, s.codes, s.how)
        for s in spans
        if start <= s.start and s.end <= end
    )
