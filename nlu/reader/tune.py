"""Tunes the base encoder on our own chats: four heads at once on the pooled vector. Minutes on two cores.

The heads and what they learn from are those of `nlu.headfit.TASKS`, so that both readers answer the same questions; but
for `words`, which is there for the judge alone.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from nlu.artefact import Progress
from nlu.corpus import Example
from nlu.headfit import CORRECTED, Task
from nlu.headfit import TASKS as ALL
from nlu.reader.encoder import padded, pooled
from nlu.reader.weights import Base
from nlu.reader.words import Asked
from nlu.types import INTENTS

Tensor = Any  # torch is not installed where the types are checked
POOL = 16  # batches whose messages are sorted by length together: less padding, still well mixed

READ = 64  # messages at a time, once it is tuned
TASKS = tuple(task for task in ALL if task.name not in ("words", "danger"))


@dataclass(frozen=True)
class Recipe:
    """How it is tuned; chosen by leaving towns out (docs/nlu.md).

    rate: of the encoder; the heads, which begin at nothing, learn `head_rate` times as fast. smooth: the share of
    certainty that is kept from the labels. drop: the share of numbers left out at random. warm: the share of the steps
    in which the rate rises. lone: the share of the utterances that an epoch reads, drawn anew each time; it reads all
    town messages (a weight would do the same and take longer). frozen: the table of pieces stays as it is.
    """

    epochs: int = 6
    rate: float = 2.5e-4
    head_rate: float = 20.0
    batch: int = 32
    smooth: float = 0.05
    drop: float = 0.1
    warm: float = 0.1
    lone: float = 0.5
    decay: float = 0.01
    frozen: bool = True
    threads: int = 1  # two wait for each other as soon as anything else runs: four times the time on a busy machine
    seed: int = 20260302


@dataclass(frozen=True)
class Lesson:
    """Examples as numbers. numbers: pieces of each. context: (examples, tokens). labels: by task, (examples,); -1 where
    the task learns nothing from an example. weights: (examples,). real: said in a town; lone: an utterance."""

    numbers: list[list[int]]
    context: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.int64]]
    weights: NDArray[np.float32]
    real: NDArray[np.bool_]
    lone: NDArray[np.bool_]


def names_of(task: str, leaves: Sequence[str]) -> tuple[str, ...]:
    """The labels of a head, in the order of its columns; a yes-or-no head has one."""
    return {"intent": INTENTS, "leaf": tuple(leaves)}.get(task, ("True",))


def tokens_of(asked: Sequence[Asked]) -> tuple[str, ...]:
    """All context tokens that occur, sorted."""
    return tuple(sorted({token for one in asked for token in one.tokens}))


def lesson(
    examples: Sequence[Example], asked: Sequence[Asked], base: Base, leaves: Sequence[str], tokens: Sequence[str]
) -> Lesson:
    """The examples, ready to be learned."""
    column = {token: number for number, token in enumerate(tokens)}
    context = np.zeros((len(asked), len(tokens)), dtype=np.float32)
    for row, one in enumerate(asked):
        context[row, [column[token] for token in one.tokens if token in column]] = 1
    labels = {}
    for task in TASKS:
        index = {name: number for number, name in enumerate(names_of(task.name, leaves))}
        labels[task.name] = np.array([_label(task, example, index) for example in examples])
    return Lesson(
        [base.pieces.read(one.words) for one in asked],
        context,
        labels,
        np.array([CORRECTED if e.corrected else 1.0 for e in examples], dtype=np.float32),
        np.array([bool(e.town) for e in examples]),
        np.array([not e.town and not e.corrected for e in examples]),
    )


def _label(task: Task, example: Example, index: Mapping[str, int]) -> int:
    if not task.chosen(example):
        return -1
    label = task.label(example)
    return int(label == "True") if len(index) == 1 else index[label]


def tune(
    base: Base, learned: Lesson, leaves: Sequence[str], recipe: Recipe, progress: Progress
) -> dict[str, NDArray[np.float32]]:
    """The arrays of `base` as they are after the tuning, and the heads' as `head.<task>.w` and `.b`.

    The same seed, data and number of threads give the same arrays. progress: told the epoch and the share of the whole.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    arrays = {name: torch.from_numpy(array.copy()) for name, array in base.arrays.items()}
    arrays |= _heads(base, learned, leaves)
    for name, array in arrays.items():
        array.requires_grad_(not (recipe.frozen and name == "emb.word"))
    draw = random.Random(recipe.seed)  # noqa: S311 - repeatable, not secret
    epochs = [_batches(learned, recipe, draw) for _ in range(recipe.epochs)]
    steps = sum(map(len, epochs))
    optimizer, schedule = _optimizer(arrays, steps, recipe)
    done = 0
    for epoch, batches in enumerate(epochs):
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = _scores(arrays, base, learned, batch, recipe.drop)
            loss = sum(_loss(found[task.name].float(), learned, task.name, batch, recipe.smooth) for task in TASKS)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([a for a in arrays.values() if a.grad is not None], 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            progress(f"reader, epoch {epoch + 1} of {recipe.epochs}", done / steps)
    tuned = {name: array.detach().numpy() for name, array in arrays.items()}
    tuned["head.intent.b"] += as_in_life(learned, recipe.lone)
    return tuned


def as_in_life(learned: Lesson, lone: float) -> NDArray[np.float32]:
    """What brings each intent to its share in whole chats, as `nlu.train` does for the heads: among utterances reports
    are far more frequent than in life. Nothing where no town is. lone: as in `Recipe`."""
    if not learned.real.any():
        return np.zeros(len(INTENTS), dtype=np.float32)
    labels = learned.labels["intent"]
    weights = np.where(learned.lone, lone, learned.weights)
    trained = np.bincount(labels, weights=weights, minlength=len(INTENTS)) + 1
    lived = np.bincount(labels[learned.real], minlength=len(INTENTS)) + 1
    return np.asarray(np.log(lived / lived.sum()) - np.log(trained / trained.sum()), dtype=np.float32)


def read(arrays: Mapping[str, NDArray[np.float32]], base: Base, asked: Lesson) -> dict[str, NDArray[np.float32]]:
    """What tuned arrays say of each message: the scores of each head, (messages, labels)."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    found: dict[str, list[NDArray[np.float32]]] = {task.name: [] for task in TASKS}
    with torch.no_grad():
        for start in range(0, len(asked.numbers), READ):
            rows = range(start, min(start + READ, len(asked.numbers)))
            for name, scores in _scores(tensors, base, asked, rows, 0.0).items():
                found[name].append(scores.numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _heads(base: Base, learned: Lesson, leaves: Sequence[str]) -> dict[str, Tensor]:
    width = base.arrays["emb.word"].shape[1]
    made = {}
    for task in TASKS:
        rows = len(names_of(task.name, leaves))
        columns = width + (learned.context.shape[1] if task.context else 0)
        made[f"head.{task.name}.w"] = torch.empty(rows, columns).normal_(std=0.02)
        made[f"head.{task.name}.b"] = torch.zeros(rows)
    return made


def _optimizer(arrays: Mapping[str, Tensor], steps: int, recipe: Recipe) -> tuple[Any, Any]:
    """AdamW; the rate rises in the first tenth of the steps, and then falls to nothing."""
    groups = [
        {
            "params": [a for name, a in arrays.items() if name.startswith("head.") == heads and a.requires_grad],
            "lr": recipe.rate * (recipe.head_rate if heads else 1.0),
        }
        for heads in (False, True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    warm = max(1, int(steps * recipe.warm))

    def share(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _batches(learned: Lesson, recipe: Recipe, draw: random.Random) -> list[list[int]]:
    """One epoch: what it reads, once, in batches of about the same length."""
    order = [i for i, lone in enumerate(learned.lone.tolist()) if not lone or draw.random() < recipe.lone]
    draw.shuffle(order)
    size = recipe.batch
    batches = []
    for start in range(0, len(order), size * POOL):
        pool = sorted(order[start : start + size * POOL], key=lambda i: len(learned.numbers[i]))
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    draw.shuffle(batches)
    return batches


def _scores(
    arrays: Mapping[str, Tensor], base: Base, learned: Lesson, batch: Sequence[int], drop: float
) -> dict[str, Tensor]:
    words = pooled(arrays, base, padded([learned.numbers[i] for i in batch]), drop)
    words = F.dropout(words, drop, drop > 0)
    both = torch.cat([words, torch.from_numpy(learned.context[list(batch)])], dim=1)
    return {
        task.name: F.linear(
            both if task.context else words, arrays[f"head.{task.name}.w"], arrays[f"head.{task.name}.b"]
        )
        for task in TASKS
    }


def _loss(scores: Tensor, learned: Lesson, task: str, batch: Sequence[int], smooth: float) -> Tensor:
    """The mean over the batch; an example that the task learns nothing from counts as nothing lost."""
    labels = torch.from_numpy(learned.labels[task][list(batch)])
    weights = torch.from_numpy(learned.weights[list(batch)]) * (labels >= 0)
    if scores.shape[1] == 1:
        lost = F.binary_cross_entropy_with_logits(scores[:, 0], labels.clamp(min=0).float(), reduction="none")
    else:
        lost = F.cross_entropy(scores, labels.clamp(min=0), reduction="none", label_smoothing=smooth)
    return (lost * weights).mean()
