"""Trains the heads. A minute on two cores; the artefact is kept under the hash of data and code."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from nlu import calibrate, features, headfit, judgefit, spanfit
from nlu.artefact import Progress, fingerprint
from nlu.bags import Bag, Bags
from nlu.calibrate import SEED, Held
from nlu.corpus import Example
from nlu.grams import grams
from nlu.head import Floats, Head
from nlu.headfit import TASKS, labels_of, number_of, weights_of
from nlu.heads import Heads
from nlu.judgefit import Outside
from nlu.normalize import normalize
from nlu.types import Context, Span

SHORT = 6  # characters


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
        if example.context is not None or example.only:
            out.append(example)
            continue
        short = example.intent == "chatter" and not example.hard and len(example.text) <= SHORT
        # 嗯嗯 and 谢谢 are said to the bot as well, where towns have hardly anything but matters.
        pool = to_the_bot if short and to_the_bot and draw.random() < 0.5 else pools.get(example.intent)
        context = draw.choice(pool) if pool else Context(direct=True)
        out.append(replace(example, context=context))
    return out


def bag(example: Example) -> Bag:
    """The features of one example, as the engine will see them: of its words, and of its context."""
    text = normalize(example.text)
    spans = features.places(text, example.names, heard=(example.context or Context()).kind == "voice")
    for start, end, entity in example.spans:
        if entity == "location" and not any(s.start < end and start < s.end for s in spans):
            spans.append(Span(start, end, "location", text[start:end], ("",)))
    spans.sort(key=lambda span: span.start)
    masked = features.mask(text, spans)
    return grams(masked), features.tokens(example.context or Context(), masked, spans)


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
    progress("learning the heads", 0.05)
    rows = Bags.of(bags)
    learned = headfit.learn_each(examples, rows, leaves, [list(range(len(examples))), *parts])
    whole = next(learned)
    logits = np.zeros((len(examples), len(whole.bias)), dtype=np.float32)
    for number, part in enumerate(learned):
        progress("learning from all but a part", 0.3 + 0.55 * number / len(parts))
        here = np.flatnonzero(fold == number).tolist()
        logits[here] = part.read(rows.part(here))
    progress("weighing the answers", 0.86)
    columns = {head.name: head for head in whole.heads}
    heard = [i for i, example in enumerate(examples) if not example.only]
    judged = judgefit.learn(
        [examples[i] for i in heard], [bags[i][1] for i in heard], columns, Outside(logits[heard], fold[heard]),
        weights_of,
    )  # fmt: skip
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


def _held(examples: Sequence[Example], head: Head, logits: Floats) -> Held:
    """What a head said of town messages that it had not learned from; of all, where there is no town."""
    task = next(task for task in TASKS if task.name == head.name)
    picked = [i for i, example in enumerate(examples) if task.chosen(example)]
    picked = [i for i in picked if examples[i].town] or picked
    names = labels_of(task.name, head.labels)
    found = logits[picked, head.start : head.stop].astype(np.float64)
    if len(head.labels) == 1:
        found = np.concatenate([np.zeros_like(found), found], axis=1)
    truth = np.array([number_of(task, examples[i], names) for i in picked])
    return Held(found, truth, calibrate.temperature(found, truth))
