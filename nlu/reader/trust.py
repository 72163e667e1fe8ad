"""How far the mean of engine and reader can be trusted: temperatures and conformal scores, from towns held out for it.

The engine has both already (`nlu.calibrate`), but of itself alone. A mean is another measure, with scores of its own;
so a second reader is tuned on two of the judge's three folds, heads and judge are trained on the same two, and all of
them read the towns of the third.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nlu import calibrate, judgefit, train
from nlu.artefact import Progress
from nlu.corpus import Example
from nlu.head import Head, probabilities
from nlu.judge import Judge
from nlu.reader.run import Column, together
from nlu.reader.tune import TASKS, Recipe, lesson, names_of, read, tokens_of, tune
from nlu.reader.weights import Base
from nlu.reader.words import Asked
from nlu.types import INTENTS, MATTER

Floats = NDArray[np.float32]
OF = {"chatter": "chatter", "matter": "report"}  # the messages behind each score, by intent
TUNING = 0.85  # the share of the time that tuning takes here; the heads take the rest


@dataclass(frozen=True)
class Unseen:
    """Messages of the towns held out. logits: of the heads, (messages, columns of `heads`). said: by the judge,
    (messages, outputs). theirs: the reader's scores, (messages, columns of `reader`). truth: by task; -1 where it has
    none."""

    heads: Mapping[str, Head]
    judge: Judge
    logits: Floats
    said: Floats
    reader: Sequence[Column]
    theirs: Floats
    truth: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Trust:
    """temperatures: by head, what the reader's scores are divided by. held: as `nlu.reader.run.SecondReader` takes it;
    empty where no town can be held out."""

    temperatures: Mapping[str, float] = field(default_factory=lambda: {task.name: 1.0 for task in TASKS})
    held: Mapping[str, Floats] = field(default_factory=dict)


def trust(
    examples: Sequence[Example], asked: Sequence[Asked], leaves: Sequence[str], base: Base, recipe: Recipe,
    progress: Progress,
) -> Trust:  # fmt: skip
    """examples: with their contexts (`nlu.train.with_contexts`), and `asked` of each. Takes as long as tuning on two
    thirds of them, and training heads on these."""
    found = unseen(examples, asked, leaves, base, recipe, progress)
    if found is None:
        return Trust()
    return Trust({column.name: column.temperature for column in found.reader}, held(found))


def unseen(
    examples: Sequence[Example], asked: Sequence[Asked], leaves: Sequence[str], base: Base, recipe: Recipe,
    progress: Progress,
) -> Unseen | None:  # fmt: skip
    """What both make of the towns of one fold; None where there is no town."""
    fold = judgefit.folds(examples)
    test = [i for i, example in enumerate(examples) if fold[i] == 0 and example.town]
    learn: list[int] = np.flatnonzero(fold != 0).tolist()
    if not test:
        return None
    tokens = tokens_of([asked[i] for i in learn])
    known = lesson([examples[i] for i in learn], [asked[i] for i in learn], base, leaves, tokens)
    arrays = tune(base, known, leaves, recipe, lambda what, share: progress(what, TUNING * share))
    new = lesson([examples[i] for i in test], [asked[i] for i in test], base, leaves, tokens)
    logits = read(arrays, base, new)
    temperatures = {name: _temperature(logits[name], truth) for name, truth in new.labels.items()}
    heads = train.train(
        [examples[i] for i in learn], leaves, progress=lambda what, share: progress(what, TUNING + (1 - TUNING) * share)
    )
    judge = heads.judge
    assert judge is not None, "heads are trained with a judge"  # noqa: S101 - for the type checker
    bags = [train.bag(examples[i]) for i in test]
    ours = heads.logits([words for words, _ in bags], [context for _, context in bags])
    said = judgefit.inputs([examples[i] for i in test], heads.heads, ours)
    weighed = judge.weigh(said, [context for _, context in bags])
    reader = columns(leaves, temperatures)
    theirs = np.concatenate([logits[column.name] for column in reader], axis=1)
    return Unseen(heads.heads, judge, ours, weighed, reader, theirs, new.labels)


def held(found: Unseen) -> dict[str, Floats]:
    """How much of a matter there is in held-out talk, and in messages that open one, and the share of the true kind; as
    rows for `SecondReader`. Which of their two values counts is known where the reader is asked."""
    alone = _mass(found.judge, found.said)
    mass = np.stack([alone, alone, _mass(found.judge, _both(found, found.judge.heads, found.said))], axis=1)
    rows = {name: mass[found.truth["intent"] == INTENTS.index(intent)] for name, intent in OF.items()}
    known = np.flatnonzero(found.truth["leaf"] >= 0)
    kinds = found.truth["leaf"][known]
    leaf = found.heads["leaf"]
    shares = [
        probabilities(leaf, logits[known])[np.arange(len(known)), kinds]
        for logits in (found.logits, _both(found, {"leaf": leaf}, found.logits))
    ]
    return {**rows, "leaf": np.stack([alone[known], *shares], axis=1)}


def _both(found: Unseen, heads: Mapping[str, Head], ours: Floats) -> Floats:
    pairs = zip(ours, found.theirs, strict=True)
    return np.array([together(heads, mine, found.reader, theirs) for mine, theirs in pairs])


def _mass(judge: Judge, outputs: Floats) -> Floats:
    shares = judge.probabilities("intent", outputs)
    mass: Floats = shares[:, [INTENTS.index(name) for name in MATTER]].sum(axis=1)
    return mass


def columns(leaves: Sequence[str], temperatures: Mapping[str, float]) -> list[Column]:
    """The reader's heads, in the order of the graph's columns."""
    found: list[Column] = []
    for task in TASKS:
        start = found[-1].start + len(found[-1].labels) if found else 0
        found.append(Column(task.name, names_of(task.name, leaves), start, temperatures[task.name]))
    return found


def _temperature(logits: Floats, truth: NDArray[np.int64]) -> float:
    logits, truth = logits[truth >= 0], truth[truth >= 0]
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return calibrate.temperature(logits.astype(np.float64), truth)
