"""How well an engine understands annotated utterances: macro-F1 of intents and of kinds, F1 of exact spans."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from nlu.corpus import Example
from nlu.types import Understanding


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares, 0 to 1. intent, category: macro-F1 (every intent, every kind counts the same). span: F1 of exact spans.

    accuracy: of the intents, for comparing with `rasa test`.
    """

    intent: float
    category: float
    span: float
    accuracy: float


def scores(examples: Sequence[Example], answers: Sequence[Understanding]) -> Scores:
    """The kinds are judged on reports alone, whatever the engine took them for."""
    pairs = list(zip(examples, answers, strict=True))
    reports = [(e.leaf, a.matters[0].category) for e, a in pairs if e.intent == "report"]
    gold = Counter((i, *span) for i, (e, _) in enumerate(pairs) for span in e.spans)
    found = Counter((i, s.start, s.end, s.kind) for i, (_, a) in enumerate(pairs) for s in a.spans)
    right = sum((gold & found).values())
    return Scores(
        intent=macro_f1((e.intent, a.intent) for e, a in pairs),
        category=macro_f1(reports),
        span=2 * right / max(1, gold.total() + found.total()),
        accuracy=sum(e.intent == a.intent for e, a in pairs) / max(1, len(pairs)),
    )


def macro_f1(pairs: Iterable[tuple[Hashable, Hashable]]) -> float:
    """Mean F1 over the labels that are in the gold. pairs: (gold, said)."""
    seen = Counter(pairs)
    gold: Counter[Hashable] = Counter()
    said: Counter[Hashable] = Counter()
    for (true, guess), count in seen.items():
        gold[true] += count
        said[guess] += count
    shares = [2 * seen[label, label] / (gold[label] + said[label]) for label in gold]
    return sum(shares) / len(shares) if shares else 0.0
