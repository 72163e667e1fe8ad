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
from nlu.heads import Floats, Heads
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
    """What a piece of a message says by itself: shares of the leaves, and how likely it is a report."""

    leaves: Floats
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

    def __init__(self, heads: Heads, masked: str, context: Sequence[str]) -> None:
        self._heads = heads
        found = [
            (start, start + size, index)
            for size in (1, 2, 3)
            for start in range(len(masked) - size + 1)
            if (index := heads.vocabulary.get(masked[start : start + size])) is not None
        ]
        self._starts = np.array([start for start, _, _ in found])
        self._ends = np.array([end for _, end, _ in found])
        known = [index for _, _, index in found]
        self._values = heads.idf[known]
        self._rows = heads.weights[known] * self._values[:, None]
        self._around, self._around_square = heads.sums(context)

    def part(self, start: int, end: int) -> Part:
        """Characters `start` up to `end` of the masked text."""
        inside = (self._starts >= start) & (self._ends <= end)
        text = self._rows[inside].sum(axis=0) if inside.any() else np.zeros_like(self._heads.bias)
        square = float((self._values[inside] ** 2).sum())
        logits = self._heads.joined(text, square, self._around, self._around_square)
        intents = self._heads.heads["intent"].labels
        report = self._heads.probabilities("intent", logits)[intents.index("report")]
        return Part(self._heads.probabilities("leaf", logits), float(report))


def signs(masked: str, cut: int, end: int, first: Part, second: Part, whole: Part, objects: re.Pattern[str]) -> Floats:
    """The signs of a cut of masked[:end] at `cut`, as `names` orders them."""
    left, right = masked[:cut], masked[cut:end]
    one, other = int(first.leaves.argmax()), int(second.leaves.argmax())
    things, more = set(objects.findall(left)), set(objects.findall(right))
    found = {
        "certain": float(min(first.leaves.max(), second.leaves.max())),
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
    masked: str, read: Callable[[int, int], Part], objects: re.Pattern[str], rules: Model | None = None
) -> list[tuple[int, int]]:
    """The parts of a message, left to right; one part when it tells of one thing."""
    rules = rules or model()
    return _cut(masked, 0, len(masked), read, objects, rules)


def _cut(
    masked: str, start: int, end: int, read: Callable[[int, int], Part], objects: re.Pattern[str], rules: Model
) -> list[tuple[int, int]]:
    whole = read(start, end)
    best, where = -math.inf, 0
    for place in possible(masked, start, end):
        found = signs(masked[start:], place - start, end - start, read(start, place), read(place, end), whole, objects)
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
