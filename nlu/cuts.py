"""Several matters in one message: where the telling of one ends and that of the next begins.

Every pause is a possible cut. What lies before and after it is read on its own; the signs of a true cut (two sure
kinds that differ, a word like 还有, another thing named …) are weighed by a small logistic model (nlu/cuts.json, fitted
on the training towns by `linsheng nlu fit cuts`). All parts of all cuts are read in one pass: features add up, so a
part is a difference of running sums.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlu import features
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
_CROSSED = tuple(SIGNS.index(name) for name in CROSSED)
_ALIKE = (0.0,) * len(CROSSED)

Numbers = NDArray[np.intp]
Piece = tuple[int, int, int]  # the number of a text, the first character of a piece and the one after its last


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
    """Reads parts of messages. masked: their texts as the heads see them; context: the sums of the context tokens of
    each, (messages, columns + 1)."""

    def __init__(self, heads: Heads, masked: Sequence[str], context: Floats) -> None:
        self.masked = masked
        self._heads = heads
        self._context = context
        self._report = heads.heads["intent"].labels.index("report")
        self._places = heads.grams.all(masked)
        self._before = np.concatenate(([0], self._places.known.cumsum()))  # known n-grams before each place
        bounds = self._before[[*self._places.firsts[:, 0], -1]].tolist()
        self._running = heads.running(self._places.numbers, bounds)

    def parts(self, wanted: Sequence[Piece]) -> list[Part]:
        """What pieces of the masked texts say."""
        owners, starts, ends = np.array(wanted).T
        logits = self._heads.joined(self._sums(owners, starts, ends).astype(np.float32), self._context[owners])
        reports = self._heads.probabilities("intent", logits)[:, self._report].tolist()
        leaves = self._heads.probabilities("leaf", logits)
        return [
            Part(row, kind, float(row[kind]), report)
            for row, kind, report in zip(leaves, leaves.argmax(axis=1).tolist(), reports, strict=True)
        ]

    def _sums(self, owners: Numbers, starts: Numbers, ends: Numbers) -> NDArray[np.float64]:
        """The sums of pieces."""
        sums = np.zeros((len(owners), self._running.shape[1]))
        for size, firsts in enumerate(self._places.firsts[owners].T):
            stops = np.maximum(ends - size, starts)
            # Before the sums of each text stands one of nothing. A piece too short for this size is nothing anywhere.
            sums += self._running[self._before.take(firsts + stops, mode="clip") + owners]
            sums -= self._running[self._before.take(firsts + starts, mode="clip") + owners]
        return sums


def signs(masked: str, cut: int, first: Part, second: Part, whole: Part, objects: re.Pattern[str]) -> Floats:
    """The signs of a cut of a text at `cut`, as `names` orders them."""
    left, right = masked[:cut], masked[cut:]
    one, other = first.kind, second.kind
    things, more = set(objects.findall(left)), set(objects.findall(right))
    differ = one != other
    found = (
        min(first.share, second.share),
        float(first.leaves @ second.leaves),
        min(first.report, second.report),
        second.report,
        first.report,
        differ,
        float(whole.leaves[one] + whole.leaves[other]) if differ else float(whole.leaves[one]),
        TURN.match(right) is not None,
        ALSO.search(right[:14]) is not None,
        BESIDE.match(right) is not None,
        bool(more - things),
        bool(things) and bool(more - things),
        features.NAME in right or features.BUILDING in right,
        features.NAME in left or features.BUILDING in left,
        OPENING.search(left) is not None,
        min(len(left), len(right)) / 20,
    )
    crossed = [found[number] for number in _CROSSED] if differ else _ALIKE
    return np.array((*found, *crossed), dtype=np.float32)


def possible(masked: str, start: int, end: int) -> list[int]:
    """Where masked[start:end] could be cut: where each pause ends."""
    found = dict.fromkeys(match.end() for match in PAUSE.finditer(masked, start, end))
    return [cut for cut in found if cut - start >= SHORTEST and end - cut >= SHORTEST]


def cut(
    masked: Sequence[str], read: Callable[[Sequence[Piece]], list[Part]], objects: re.Pattern[str],
    rules: Model | None = None,
) -> list[list[tuple[int, int]]]:  # fmt: skip
    """The parts of each message, left to right; one part when it tells of one thing.

    read: see `Reader.parts`; asked once for all that is still whole, and again for what was cut.
    """
    rules = rules or model()
    least = math.log(rules.least / (1 - rules.least))
    done: list[list[tuple[int, int]]] = [[] for _ in masked]
    whole: list[Piece] = [(number, 0, len(text)) for number, text in enumerate(masked)]
    while whole:
        tried = [(piece, places) for piece in whole if (places := possible(masked[piece[0]], *piece[1:]))]
        for number, start, end in set(whole) - {piece for piece, _ in tried}:
            done[number].append((start, end))
        whole = []
        said = iter(read([part for piece, places in tried for part in _halves(piece, places)]) if tried else ())
        for (number, start, end), places in tried:
            score, where = _best(masked[number][start:end], [place - start for place in places], said, objects, rules)
            if score < least:
                done[number].append((start, end))
            else:
                whole += [(number, start, start + where), (number, start + where, end)]
    return [sorted(parts) for parts in done]


def _halves(piece: Piece, places: Sequence[int]) -> list[Piece]:
    """The whole, then what is before and what is behind each place."""
    number, start, end = piece
    return [piece, *((number, *half) for place in places for half in ((start, place), (place, end)))]


def _best(
    text: str, places: Sequence[int], said: Iterator[Part], objects: re.Pattern[str], rules: Model
) -> tuple[float, int]:  # fmt: skip
    """The best place to cut a text, and its score. said: of `_halves`."""
    whole = next(said)
    found = [signs(text, place, next(said), next(said), whole, objects) for place in places]
    scores = (np.array(found) @ rules.points + rules.bias).tolist()
    best = max(range(len(places)), key=scores.__getitem__)
    return scores[best], places[best]


def inside(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """The spans of a piece of text, counted from its beginning."""
    return tuple(
        Span(s.start - start, s.end - start, s.kind, s.text, s.codes, s.how)
        for s in spans
        if start <= s.start and s.end <= end
    )
