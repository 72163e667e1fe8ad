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

from nlu import calibrate, features, judgefit, spanfit
from nlu.artefact import Progress, fingerprint
from nlu.calibrate import SEED, Held
from nlu.corpus import Example
from nlu.head import Floats, Head
from nlu.heads import Heads
from nlu.judgefit import Outside
from nlu.normalize import normalize
from nlu.types import INTENTS, Context, Span

MIN_COUNT = 3
SHORT = 6  # characters
CONTEXT_WEIGHT = 6.0
PLAIN = 0.6  # the least that a plain utterance weighs
CORRECTED = 2.0  # the weight of a message that staff put right, against a town's message


def with_contexts(examples: Sequence[Example]) -> list[Example]:
    """Gives each lone utterance the context of some town message of the same intent, drawn with a fixed seed; to short
    talk also that of some message to the bot.

    Without it the mere absence of a context would tell utterances from town messages.
    """
    draw = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    pools: dict[str, list[Context]] = {}
    to_the_bot: list[Context] = []
    for example in examples:
        # What staff put right stays out: one correction more would change every draw.
        if example.context is not None and not example.corrected:
            pools.setdefault(example.intent, []).append(example.context)
            if example.context.direct or example.context.mentioned:
                to_the_bot.append(example.context)
    out = []
    for example in examples:
        if example.context is not None:
            out.append(example)
            continue
        short = example.intent == "chatter" and not example.hard and len(example.text) <= SHORT
        # 嗯嗯 and 谢谢 are said to the bot as well, where towns have hardly anything but matters.
        pool = to_the_bot if short and to_the_bot and draw.random() < 0.5 else pools.get(example.intent)
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


TASKS = (
    Task("intent", 12.0, 0.3, True, lambda e: True, lambda e: e.intent),
    Task("words", 12.0, 0.3, False, lambda e: True, lambda e: e.intent),
    Task("leaf", 30.0, 0.6, False, lambda e: bool(e.leaf), lambda e: e.leaf),
    Task("urgent", 8.0, 0.6, False, judgefit.tells, lambda e: str(e.urgent)),
    Task("sensitive", 8.0, 0.6, False, judgefit.tells, lambda e: str(e.sensitive)),
)


def train(
    examples: Sequence[Example], leaves: Sequence[str], *, progress: Progress = lambda what, share: None
) -> Heads:
    """Heads for all tasks. progress: called with what is done and the share of the whole."""
    # More threads only spin: three times the time on two cores.
    with threadpool_limits(1):
        return _train(with_contexts(examples), leaves, progress)


def _train(examples: Sequence[Example], leaves: Sequence[str], progress: Progress) -> Heads:
    progress("reading the words", 0.02)
    bags = [bag(example) for example in examples]
    fold = judgefit.folds(examples)
    parts = [np.flatnonzero(fold != number).tolist() for number in range(judgefit.FOLDS)]
    whole = _learned(examples, bags, leaves)
    logits = np.zeros((len(examples), len(whole.bias)), dtype=np.float32)
    for number, of in enumerate(parts):
        progress("learning from all but a part", 0.3 + 0.55 * number / len(parts))
        part = _learned([examples[i] for i in of], [bags[i] for i in of], leaves)
        here = np.flatnonzero(fold == number).tolist()
        logits[here] = part.read([bags[i] for i in here])
    progress("weighing the answers", 0.86)
    outside = Outside(logits, fold)
    columns = {head.name: head for head in whole.heads}
    judged = judgefit.learn(examples, [context for _, context in bags], columns, outside, _weights)
    held = {head.name: _held(examples, head, logits) for head in whole.heads}
    heads = [replace(head, temperature=held[head.name].temperature) for head in whole.heads]
    progress("places by their form", 0.9)
    spotter = spanfit.learn(examples)
    progress("done", 1.0)
    facts = {"examples": len(examples), "features": len(whole.matrix.vocabulary), "data": fingerprint(leaves)}
    return Heads(
        whole.matrix.vocabulary, whole.matrix.idf, whole.weights, whole.bias, heads, facts,
        {**judged.scores, **calibrate.leaf_scores(held["leaf"])}, spotter, judged.judge,
    )  # fmt: skip


@dataclass(frozen=True)
class _Learned:
    """Heads of some of the examples. weights: (features, columns). bias: (columns,)."""

    matrix: Matrix
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    heads: tuple[Head, ...]

    def read(self, bags: Sequence[tuple[list[str], list[str]]]) -> Floats:
        """All columns for messages, (messages, columns)."""
        words = self.matrix.rows([words for words, _ in bags]) @ self.weights
        both = self.matrix.rows([words + context for words, context in bags]) @ self.weights
        looks = np.array([head.context for head in self.heads for _ in head.labels])
        return np.asarray(np.where(looks, both, words) + self.bias, dtype=np.float32)


def _learned(
    examples: Sequence[Example], bags: Sequence[tuple[list[str], list[str]]], leaves: Sequence[str]
) -> _Learned:
    matrix = Matrix([words + context for words, context in bags])
    town = np.array([bool(example.town) for example in examples])
    columns: list[NDArray[np.float32]] = []
    bias: list[float] = []
    heads: list[Head] = []
    for task in TASKS:
        picked = [i for i, example in enumerate(examples) if task.chosen(example)]
        names = _names(task.name, leaves)
        labels = np.array([_number(task, examples[i], names) for i in picked])
        rows = matrix.rows([bags[i][0] + bags[i][1] if task.context else bags[i][0] for i in picked])
        weight = _weights([examples[i] for i in picked], task.lone)
        column, offset = _full(calibrate.fit(rows, labels, task.strength, weight), len(names), rows.shape[1])
        if names == list(INTENTS):
            shift = calibrate.as_in_life(labels, weight, town[picked], len(names))
            offset = [float(b + s) for b, s in zip(offset, shift, strict=True)]
        heads.append(Head(task.name, tuple(names) if len(names) > 2 else (names[1],), len(bias), 1.0, task.context))
        columns.append(column)
        bias += offset
    return _Learned(
        matrix, np.concatenate(columns, axis=1).astype(np.float32), np.array(bias, dtype=np.float32), tuple(heads)
    )


def _held(examples: Sequence[Example], head: Head, logits: Floats) -> Held:
    """What a head said of town messages that it had not learned from; of all, where there is no town."""
    task = next(task for task in TASKS if task.name == head.name)
    picked = [i for i, example in enumerate(examples) if task.chosen(example)]
    picked = [i for i in picked if examples[i].town] or picked
    names = list(head.labels) if len(head.labels) > 1 else ["False", "True"]
    found = logits[picked, head.start : head.stop].astype(np.float64)
    if len(head.labels) == 1:
        found = np.concatenate([np.zeros_like(found), found], axis=1)
    truth = np.array([_number(task, examples[i], names) for i in picked])
    return Held(found, truth, calibrate.temperature(found, truth))


def _weights(examples: Sequence[Example], lone: float) -> NDArray[np.float64]:
    """lone: what an utterance weighs against a town's message."""
    return np.array([CORRECTED if e.corrected else 1.0 if e.town else max(lone, PLAIN * e.plain) for e in examples])


def _number(task: Task, example: Example, names: Sequence[str]) -> int:
    return names.index(task.label(example))


def _names(task: str, leaves: Sequence[str]) -> list[str]:
    known = {"intent": list(INTENTS), "words": list(INTENTS), "leaf": list(leaves)}
    return known.get(task, ["False", "True"])


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
