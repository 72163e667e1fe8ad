"""How far the mean of heads and reader can be trusted: temperatures and conformal scores, from towns held out for it.

The heads have both already (`nlu.calibrate`), but of themselves alone. A mean is another measure, with scores of its
own; so a second reader is tuned on two thirds of the towns, and both read the third that is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nlu import calibrate, train
from nlu.artefact import Progress
from nlu.calibrate import HELD, Held
from nlu.corpus import Example
from nlu.reader.run import Column, together
from nlu.reader.tune import Recipe, lesson, names_of, read, tokens_of, tune
from nlu.reader.weights import Base
from nlu.reader.words import Asked
from nlu.train import TASKS
from nlu.types import INTENTS

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Trust:
    """temperatures: by head, what the reader's scores are divided by. scores: as `nlu.heads.Heads.scores`, of the mean;
    empty where there are too few towns to hold any out."""

    temperatures: Mapping[str, float] = field(default_factory=lambda: {task.name: 1.0 for task in TASKS})
    scores: Mapping[str, Floats] = field(default_factory=dict)


def trust(
    examples: Sequence[Example], asked: Sequence[Asked], leaves: Sequence[str], base: Base, recipe: Recipe,
    progress: Progress,
) -> Trust:  # fmt: skip
    """examples: with their contexts (`nlu.train.with_contexts`), and `asked` of each. Takes two thirds of the time that
    tuning on all of them takes."""
    held = set(sorted({example.town for example in examples if example.town})[::HELD])
    test = [i for i, example in enumerate(examples) if example.town in held]
    learn = [i for i, example in enumerate(examples) if example.town not in held]
    if not any(examples[i].town for i in learn):
        return Trust()
    tokens = tokens_of([asked[i] for i in learn])
    known = lesson([examples[i] for i in learn], [asked[i] for i in learn], base, leaves, tokens, recipe.lone)
    arrays = tune(base, known, leaves, recipe, progress)
    unseen = lesson([examples[i] for i in test], [asked[i] for i in test], base, leaves, tokens, recipe.lone)
    logits = read(arrays, base, unseen)
    truths = {task.name: unseen.labels[task.name] for task in TASKS}
    temperatures = {name: _temperature(logits[name][truth >= 0], truth[truth >= 0]) for name, truth in truths.items()}
    heads = train.train([examples[i] for i in learn], leaves)
    reader = columns(leaves, temperatures)
    theirs = np.concatenate([logits[column.name] for column in reader], axis=1)
    both = np.array(
        [
            together(heads, heads.logits(*train.bag(examples[i])), reader, scores)
            for i, scores in zip(test, theirs, strict=True)
        ]
    )
    held_out = {
        name: Held(np.log(np.maximum(heads.probabilities(name, both[truth >= 0]), 1e-9)), truth[truth >= 0], 1.0)
        for name, truth in truths.items()
        if name in ("intent", "leaf")
    }
    scores = calibrate.intent_scores(held_out["intent"], INTENTS, np.zeros(len(INTENTS)))
    return Trust(temperatures, scores | calibrate.leaf_scores(held_out["leaf"]))


def columns(leaves: Sequence[str], temperatures: Mapping[str, float]) -> list[Column]:
    """The reader's heads, in the order of the graph's columns."""
    found: list[Column] = []
    for task in TASKS:
        start = found[-1].start + len(found[-1].labels) if found else 0
        found.append(Column(task.name, names_of(task.name, leaves), start, temperatures[task.name]))
    return found


def _temperature(logits: Floats, truth: NDArray[np.int64]) -> float:
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return calibrate.temperature(logits.astype(np.float64), truth)
