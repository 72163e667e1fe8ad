"""Trains the heads. Seconds on one core; the artefact is kept under the hash of data and code."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from nlu import calibrate, features, spanfit
from nlu.artefact import Progress, fingerprint
from nlu.calibrate import SEED, fit
from nlu.corpus import Example
from nlu.heads import Floats, Head, Heads
from nlu.normalize import normalize
from nlu.types import INTENTS, Context, Span

MIN_COUNT = 3
# No intent is made rarer than this, in logarithms: 转人工 is said to the bot, and hardly ever in a town's chat.
RAREST = (
    -1.2
)  # no intent is made rarer than this, in logarithms: 转人工 is said to the bot, hardly ever in a town's chat
CONTEXT_WEIGHT = 6.0
CORRECTED = 2.0  # the weight of a message that staff put right, against a town's message


def with_contexts(examples: Sequence[Example]) -> list[Example]:
    """Gives each lone utterance the context of some town message of the same intent, drawn with a fixed seed.

    Without it the mere absence of a context would tell utterances from town messages.
    """
    draw = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    pools: dict[str, list[Context]] = {}
    for example in examples:
        # What staff put right stays out: one correction more would change every draw.
        if example.context is not None and not example.corrected:
            pools.setdefault(example.intent, []).append(example.context)
    out = []
    for example in examples:
        if example.context is not None:
            out.append(example)
            continue
        pool = pools.get(example.intent)
        context = draw.choice(pool) if pool else Context(direct=True)
        out.append(replace(example, context=context))
    return out


def bag(example: Example) -> tuple[list[str], list[str]]:
    """The features of one example, as the engine will see them: of its words, and of its context."""
    text = normalize(example.text)
    spans = features.places(text, example.names, heard=(example.context or Context()).kind == "voice")
    for start, end, entity in example.spans:
        if entity == "location" and not any(s.start < end and start < s.end for s in spans):
            spans.append(Span(start, end, "location", text[start:end], ("",)))
    spans.sort(key=lambda span: span.start)
    masked = features.mask(text, spans)
    return features.grams(masked), features.tokens(example.context or Context(), masked, spans)


class Matrix:
    """Bags as a sparse matrix: binary counts times idf, rows of length 1."""

    def __init__(self, bags: Sequence[Sequence[str]]) -> None:
        counts = Counter(feature for found in bags for feature in set(found))
        kept = sorted(feature for feature, count in counts.items() if count >= MIN_COUNT)
        self.vocabulary = {feature: index for index, feature in enumerate(kept)}
        total = len(bags)
        self.idf = np.array([np.log((1 + total) / (1 + counts[f])) + 1 for f in kept], dtype=np.float32)
        # Context tokens are few and common; a weight of their own keeps them from drowning among the n-grams.
        self.idf[[i for f, i in self.vocabulary.items() if f.startswith("~")]] = CONTEXT_WEIGHT

    def rows(self, bags: Sequence[Sequence[str]]) -> csr_matrix:
        """The matrix of these bags."""
        starts, indices, values = [0], [], []
        for found in bags:
            known = [self.vocabulary[f] for f in found if f in self.vocabulary]
            weights = self.idf[known]
            norm = float(np.sqrt(weights @ weights)) if known else 1.0
            indices += known
            values += list(weights / norm)
            starts.append(len(indices))
        return csr_matrix((values, indices, starts), shape=(len(bags), len(self.vocabulary)), dtype=np.float32)


@dataclass(frozen=True)
class Task:
    """What one head learns. strength: inverse penalty. lone: the weight of an utterance against a town's message, which
    comes as it does in life. context: whether it looks at more than the words. All chosen by leaving towns out."""

    name: str
    strength: float
    lone: float
    context: bool
    chosen: Callable[[Example], bool]
    label: Callable[[Example], str]


MATTERS = frozenset({"report", "chatter", "join", "detail"})
TASKS = (
    Task("intent", 12.0, 0.3, True, lambda e: True, lambda e: e.intent),
    Task("leaf", 30.0, 0.6, False, lambda e: bool(e.leaf), lambda e: e.leaf),
    Task("urgent", 8.0, 0.6, False, lambda e: e.intent in MATTERS, lambda e: str(e.urgent)),
    Task("sensitive", 8.0, 0.6, False, lambda e: e.intent in MATTERS, lambda e: str(e.sensitive)),
)


def train(
    examples: Sequence[Example], leaves: Sequence[str], *, progress: Progress = lambda what, share: None
) -> Heads:
    """Heads for all tasks. progress: called with what is done and the share of the whole."""
    # More threads only spin: three times the time on two cores.
    with threadpool_limits(1):
        return _train(with_contexts(examples), leaves, progress)


def _train(examples: Sequence[Example], leaves: Sequence[str], progress: Progress) -> Heads:
    progress("reading the words", 0.05)
    bags = [bag(example) for example in examples]
    matrix = Matrix([words + context for words, context in bags])
    columns: list[NDArray[np.float32]] = []
    bias: list[float] = []
    heads: list[Head] = []
    scores: dict[str, Floats] = {}
    for done, task in enumerate(TASKS):
        progress(f"head {task.name}", 0.1 + 0.8 * done / len(TASKS))
        picked = [i for i, example in enumerate(examples) if task.chosen(example)]
        names = _names(task.name, leaves)
        index = {known: i for i, known in enumerate(names)}
        labels = np.array([index[task.label(examples[i])] for i in picked])
        rows = matrix.rows([bags[i][0] + bags[i][1] if task.context else bags[i][0] for i in picked])
        real = np.array([bool(examples[i].town) for i in picked])
        corrected = np.array([examples[i].corrected for i in picked])
        weight = np.where(corrected, CORRECTED, np.where(real, 1.0, task.lone))
        model = fit(rows, labels, task.strength, weight)
        held = calibrate.held_out(
            rows, labels, task.strength, weight, [examples[i].town for i in picked], max(2, len(names))
        )
        t = held.temperature
        column, offset = _full(model, len(names), rows.shape[1])
        if task.name == "intent":
            shift = _as_in_life(labels, weight, real, len(names))
            offset = [float(b + t * s) for b, s in zip(offset, shift, strict=True)]
            scores |= calibrate.intent_scores(held, names, shift)
        elif task.name == "leaf":
            scores |= calibrate.leaf_scores(held)
        heads.append(Head(task.name, tuple(names) if len(names) > 2 else (names[1],), len(bias), t, task.context))
        columns.append(column)
        bias += offset
    progress("places by their form", 0.9)
    spotter = spanfit.learn(examples)
    progress("done", 1.0)
    facts = {"examples": len(examples), "features": len(matrix.vocabulary), "data": fingerprint(leaves)}
    weights = np.concatenate(columns, axis=1).astype(np.float32)
    return Heads(
        matrix.vocabulary, matrix.idf, weights, np.array(bias, dtype=np.float32), heads, facts, scores, spotter
    )


def _names(task: str, leaves: Sequence[str]) -> list[str]:
    return {"intent": list(INTENTS), "leaf": list(leaves)}.get(task, ["False", "True"])


def _as_in_life(
    labels: NDArray[np.int64], weight: NDArray[np.float64], town: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """What brings each intent to its share in whole chats: among utterances reports are far more frequent than in
    life."""
    if not town.any():
        return np.zeros(count)
    trained = np.bincount(labels, weights=weight, minlength=count) + 1
    lived = np.bincount(labels[town], minlength=count) + 1
    shift = np.log(lived / lived.sum()) - np.log(trained / trained.sum())
    return np.asarray(np.maximum(shift, RAREST))


def _full(model: LogisticRegression, labels: int, features_: int) -> tuple[NDArray[np.float32], list[float]]:
    """Columns for every label, also for those no example had: they never win."""
    if labels == 2:
        return model.coef_.T.astype(np.float32), [float(model.intercept_[0])]
    columns = np.zeros((features_, labels), dtype=np.float32)
    bias = [-20.0] * labels
    for row, known in enumerate(model.classes_):
        columns[:, known] = model.coef_[row]
        bias[known] = float(model.intercept_[row])
    return columns, bias
