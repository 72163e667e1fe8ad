"""Trains the linear heads on some of the examples: what each learns, and the features that they share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from nlu import calibrate, judgefit
from nlu.bags import Bags, Matrix
from nlu.corpus import Example
from nlu.gazetteer import NOWHERE
from nlu.head import Floats, Head
from nlu.types import INTENTS

PLAIN = 1.5  # the least that a plain utterance weighs; among so much talk of towns they would be taken for talk, too
CORRECTED = 2.0  # the weight of a message that staff put right, against a town's message
MANY = 5_000  # examples from which on another process is worth its start
PROCESSES = 2  # of half a gigabyte each


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


def _of_kind(example: Example) -> bool:
    return bool(example.leaf) and example.only != "danger"


def _of_danger(example: Example) -> bool:
    """Lone lines: they tell of dangers in more words than towns do, and of danger far more often than life does."""
    return example.intent in judgefit.MATTERS and not (example.town or example.plain)


TASKS = (
    Task("intent", 24.0, 0.3, True, lambda e: not e.only, lambda e: e.intent),
    Task("words", 12.0, 0.3, False, lambda e: not e.only, lambda e: e.intent),
    Task("leaf", 30.0, 0.6, False, _of_kind, lambda e: e.leaf),
    Task("urgent", 8.0, 0.6, False, lambda e: judgefit.tells(e, "urgent"), lambda e: str(e.urgent)),
    Task("danger", 8.0, 1.0, False, _of_danger, lambda e: str(e.urgent)),
    Task("sensitive", 8.0, 0.6, False, lambda e: judgefit.tells(e, "sensitive"), lambda e: str(e.sensitive)),
)


@dataclass(frozen=True)
class Learned:
    """Heads of some of the examples. weights: (features, columns). bias: (columns,)."""

    matrix: Matrix
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    heads: tuple[Head, ...]

    def read(self, bags: Bags) -> Floats:
        """All columns for messages, (messages, columns). bags: by the names of those that were learned from."""
        words = self.matrix.rows(bags.words) @ self.weights
        both = self.matrix.rows(bags.both) @ self.weights
        looks = np.array([head.context for head in self.heads for _ in head.labels])
        return np.asarray(np.where(looks, both, words) + self.bias, dtype=np.float32)


def learn(examples: Sequence[Example], bags: Bags, leaves: Sequence[str]) -> Learned:
    """All heads from these examples. bags: the features of each."""
    matrix = Matrix(bags)
    town = np.array([bool(example.town) for example in examples])
    columns: list[NDArray[np.float32]] = []
    bias: list[float] = []
    heads: list[Head] = []
    rows = {False: matrix.rows(bags.words), True: matrix.rows(bags.both)}
    for task in TASKS:
        picked = [i for i, example in enumerate(examples) if task.chosen(example)]
        names = labels_of(task.name, leaves)
        labels = np.array([number_of(task, examples[i], names) for i in picked])
        weight = weights_of([examples[i] for i in picked], task.lone)
        if len(names) == 2 and len(np.unique(labels)) < 2:
            column, offset = np.zeros((len(matrix.vocabulary), 1), dtype=np.float32), [0.0]  # nothing to learn from
        else:
            model = calibrate.fit(rows[task.context][picked], labels, task.strength, weight)
            column, offset = _full(model, len(names), len(matrix.vocabulary))
        if names == list(INTENTS):
            shift = calibrate.as_in_life(labels, weight, town[picked], len(names))
            offset = [float(b + s) for b, s in zip(offset, shift, strict=True)]
        heads.append(Head(task.name, tuple(names) if len(names) > 2 else (names[1],), len(bias), 1.0, task.context))
        columns.append(column)
        bias += offset
    return Learned(
        matrix, np.concatenate(columns, axis=1).astype(np.float32), np.array(bias, dtype=np.float32), tuple(heads)
    )


def learn_each(
    examples: Sequence[Example], bags: Bags, leaves: Sequence[str], parts: Sequence[Sequence[int]]
) -> Iterator[Learned]:
    """`learn` from some of the examples, for each of the parts, in their order; where there are many examples in
    processes of their own, PROCESSES at the most. parts: numbers of examples."""
    count = min(len(parts), cpu_count(), PROCESSES) if len(examples) >= MANY else 1
    bare = [replace(example, names=NOWHERE) for example in examples]  # a gazetteer does not travel
    jobs = (delayed(_alone)([bare[i] for i in part], bags.part(part), leaves) for part in parts)
    yield from Parallel(n_jobs=count, return_as="generator")(jobs)


def _alone(examples: Sequence[Example], bags: Bags, leaves: Sequence[str]) -> Learned:
    # More threads only spin: three times the time on two cores.
    with threadpool_limits(1):
        return learn(examples, bags, leaves)


def weights_of(examples: Sequence[Example], lone: float) -> NDArray[np.float64]:
    """lone: what an utterance weighs against a town's message."""
    return np.array([CORRECTED if e.corrected else 1.0 if e.town else max(lone, PLAIN * e.plain) for e in examples])


def number_of(task: Task, example: Example, names: Sequence[str]) -> int:
    """The number of an example's label."""
    return names.index(task.label(example))


def labels_of(task: str, leaves: Sequence[str]) -> list[str]:
    """The labels of a task, in the order of its columns; of a yes-or-no task both."""
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
