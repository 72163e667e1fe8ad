"""Places in a message: by the grammar, by their form (`nlu.spans`), and by their form where the grammar finds nothing.

On lines that were never learned from, and on utterances left out. The names in them are of no town: the gazetteer is
empty, as it is for a place that a deployment does not know.
"""

from collections.abc import Iterable, Sequence

from config.tables import leaves
from nlu import corpus, features, spanfit
from nlu.corpus import Example
from nlu.gazetteer import NOWHERE
from nlu.normalize import normalize
from nlu.spans import Spotter
from tests.benchmarks.result import Bench, Figure, Result

FOLDS = 5
Pair = tuple[int, int]


def run(bench: Bench) -> Result:
    """Exact: the same characters. Overlap: at least one shared, counted for precision and for recall."""
    known = frozenset(leaves())
    written = [e for file in corpus.files() for e in corpus.utterances(file, known)]
    towns = [e for folder in corpus.towns() for e in corpus.town(folder)]
    unseen = list(corpus.utterances(corpus.DATA / corpus.REGRESSION, known))
    bench.say(f"learning from {len(written):,} utterances and {len(towns):,} messages")
    figures = _figures("regression.yml", [(_learned([*written, *towns]), unseen)])
    parts = []
    for fold in range(FOLDS):
        bench.say(f"left out: part {fold + 1} of {FOLDS}")
        rest = [e for number, e in enumerate(written) if number % FOLDS != fold]
        parts.append((_learned([*rest, *towns]), written[fold::FOLDS]))
    return Result([*figures, *_figures("utterances left out", parts)])


def _learned(examples: Sequence[Example]) -> Spotter:
    found = spanfit.learn(examples)
    if found is None:
        raise RuntimeError("no example has a place")
    return found


def _figures(what: str, parts: Sequence[tuple[Spotter, Sequence[Example]]]) -> list[Figure]:
    """parts: what to ask, and lines that it has not learned from. Lines without an annotated place say nothing: in them
    places need not be annotated."""
    rows: dict[str, list[tuple[set[Pair], set[Pair]]]] = {"grammar": [], "CRF": [], "grammar, else CRF": []}
    for spotter, examples in parts:
        for example in examples:
            gold = {(start, end) for start, end, entity in example.spans if entity == "location"}
            if not gold:
                continue
            text = normalize(example.text)
            told = {(span.start, span.end) for span in features.places(text, NOWHERE)}
            formed = {(span.start, span.end) for span in spotter.find(text)}
            for way, found in (("grammar", told), ("CRF", formed), ("grammar, else CRF", told or formed)):
                rows[way].append((gold, found))
    alone = [100 * score(rows["grammar"]) for score in (exact, overlap)]
    return [
        Figure(f"places, {what}: {way}, {name} F1", 100 * score(found), "%", floor, "the grammar alone")
        for way, found in rows.items()
        for name, score, floor in (("exact", exact, alone[0]), ("overlap", overlap, alone[1]))
    ]


def exact(rows: Iterable[tuple[set[Pair], set[Pair]]]) -> float:
    """F1 of spans that are the same. rows: (gold, found) of each message."""
    return _f1([(len(gold & found), len(gold & found), len(gold), len(found)) for gold, found in rows])


def overlap(rows: Iterable[tuple[set[Pair], set[Pair]]]) -> float:
    """F1 of spans that share a character with one of the other side."""
    return _f1([(_touching(gold, found), _touching(found, gold), len(gold), len(found)) for gold, found in rows])


def _touching(some: set[Pair], others: set[Pair]) -> int:
    return sum(any(start < last and first < end for first, last in others) for start, end in some)


def _f1(counts: Sequence[tuple[int, int, int, int]]) -> float:
    """counts: gold that was found, found that is right, gold, found; of each message."""
    recalled, right, gold, found = (float(sum(column)) for column in zip(*counts, strict=True))
    if not recalled or not right:
        return 0.0
    recall, precision = recalled / gold, right / found
    return 2 * precision * recall / (precision + recall)
