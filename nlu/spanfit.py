"""Trains the CRF of `nlu.spans`: a few seconds, within the training of the heads."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pycrfsuite

from nlu import features
from nlu.corpus import Example
from nlu.normalize import normalize
from nlu.spans import FILE, RELATION, Spotter, observed, tagged
from nlu.types import MATTER, Span

SEED = 20260302
# Towns' messages show how names stand in a sentence, but mark no more than the names. Of those with a name SILVER are
# learned from: all of them made utterances worse (exact F1 .71 to .66), none found fewer names of unseen towns.
SILVER = 0.3
# A name stands for any name: so often it is changed for another one, perhaps of another town, so that what is around
# it and the way names end count, and not the name.
FOREIGN = 0.5
# So often a bare name gets such a word behind it, as people point at what has no name on a map.
POINTED, POINTERS = 0.3, ("那里", "那边", "那儿", "门口", "旁边", "边上", "对面", "后面", "附近", "那块")
ROUNDS, PENALTY_1, PENALTY_2, LEAST_OFTEN = 60, 0.05, 0.02, 2
# What utterances have inside of the place, and names of towns have not: 南门边上, 圆盘那里.
TAIL = re.compile(rf"(?:的|那|这|个)*(?:{RELATION.pattern}|里|边|前|后)")


def learned(examples: Sequence[Example]) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """(normalised text, its places) to learn from: annotated utterances, and some of the towns' messages whose names
    are known. What staff put right is no part of it: nobody marked the places there."""
    draw = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    for example in examples:
        places = [span for span in example.spans if span[2] == "location"]
        if places and not example.town:
            yield normalize(example.text), places
    told = [(normalize(e.text), e.names) for e in examples if e.town and e.intent in MATTER and not e.corrected]
    placed = [(text, features.places(text, names)) for text, names in told]
    named = [(text, spans) for text, spans in placed if any(span.codes for span in spans)]
    pool = sorted({span.text for _, spans in named for span in spans if span.codes})
    for text, spans in named:
        if draw.random() < SILVER:
            yield _renamed(text, spans, pool, draw)


def _renamed(
    text: str, spans: Sequence[Span], pool: Sequence[str], draw: random.Random
) -> tuple[str, list[tuple[int, int, str]]]:
    """Some names changed for others of `pool`; each place with the words of where after it; neighbours as one."""
    out, last = "", 0
    found: list[tuple[int, int, str]] = []
    for span in spans:
        if span.start < last:
            continue
        out += text[last : span.start]
        start = len(out)
        out += draw.choice(pool) if span.codes and draw.random() < FOREIGN else span.text
        tail = TAIL.match(text, span.end)
        last = tail.end() if tail else span.end
        out += text[span.end : last]
        if tail is None and draw.random() < POINTED:
            out += draw.choice(POINTERS)
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, len(out), span.kind))
    return out + text[last:], found


def learn(examples: Sequence[Example]) -> Spotter | None:
    """A CRF from these examples; None where none of them has a place. Single-threaded, repeatable."""
    rows = [(observed(text), tagged(len(text), spans)) for text, spans in learned(examples)]
    return fitted(rows) if rows else None


def fitted(
    rows: Iterable[tuple[list[list[str]], list[str]]], progress: Callable[[float], None] = lambda share: None
) -> Spotter:
    """A CRF from features and tags. progress: called after each round with the share of the rounds allowed."""
    trainer = _Trainer(verbose=False)
    trainer.told = progress
    trainer.set_params({
        "c1": PENALTY_1, "c2": PENALTY_2, "max_iterations": ROUNDS, "feature.minfreq": LEAST_OFTEN,
        "feature.possible_transitions": True,
    })  # fmt: skip
    for seen, tags in rows:
        trainer.append(seen, tags)
    with TemporaryDirectory(prefix="linsheng-crf-") as folder:
        file = Path(folder) / FILE
        trainer.train(str(file))
        return Spotter(file.read_bytes())


class _Trainer(pycrfsuite.Trainer):  # type: ignore[misc]
    """Says how far it is. The library makes its objects without arguments of ours."""

    told: Callable[[float], None] = staticmethod(lambda share: None)

    def on_iteration(self, log: str, info: dict[str, Any]) -> None:
        """One round is done."""
        self.told(info["num"] / ROUNDS)
