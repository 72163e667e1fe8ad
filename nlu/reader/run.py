"""The second reader at run time: ONNX Runtime and numpy, one core, one message at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlu.head import Floats, Head
from nlu.heads import Heads
from nlu.reader.pieces import Pieces
from nlu.reader.words import Asked

MODEL, ABOUT = "reader.onnx", "reader.json"
# The reader's share in the mean, by head; measured on towns that were left out (docs/adr/0023). In urgency it is not
# heard: it found fewer of them at the same precision.
SHARES = {"intent": 0.3, "leaf": 0.3, "sensitive": 0.3}
ALWAYS = (0.0, 1.0)  # the band that asks about every message
MAKE = "`linsheng nlu train --reader`"


class NoReader(Exception):
    """There is no second reader, or none that fits; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """One head. labels: one a column; a yes-or-no head has one. temperature: its scores are divided by it."""

    name: str
    labels: tuple[str, ...]
    start: int
    temperature: float = 1.0

    def probabilities(self, scores: Floats) -> Floats:
        """(labels,), summing to 1; a yes-or-no head gives the one number of yes."""
        own = scores[self.start : self.start + len(self.labels)] / np.float32(self.temperature)
        if len(self.labels) == 1:
            return np.asarray(1.0 / (1.0 + np.exp(-own)), dtype=np.float32)
        powers = np.exp(own - own.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


def together(heads: Mapping[str, Head], ours: Floats, reader: Sequence[Column], theirs: Floats) -> Floats:
    """The outputs of these heads once the reader has been heard: they give the geometric mean of both by SHARES.

    heads: by name, those that are to change. ours: their outputs, (outputs,). theirs: the reader's scores.
    The geometric mean was measured better than the arithmetic one, which follows whoever is surer: here either can
    speak against a label.
    """
    both = np.array(ours, dtype=np.float32)
    for column in reader:
        share, head = SHARES.get(column.name), heads.get(column.name)
        if not share or head is None:
            continue
        said = theirs[column.start : column.start + len(column.labels)] * (head.temperature / column.temperature)
        both[head.start : head.stop] += share * (said - both[head.start : head.stop])
    return both


class SecondReader:
    """A tuned encoder. Answers depend on the message alone: whole-number arithmetic rounds by what it sees, so a batch
    would let neighbours change an answer, and would save a quarter of the time at most."""

    def __init__(
        self, session: Any, pieces: Pieces, heads: Sequence[Column], tokens: Sequence[str], facts: Mapping[str, Any],
        held: Mapping[str, Sequence[Sequence[float]]] | None = None, band: tuple[float, float] = ALWAYS,
    ) -> None:  # fmt: skip
        """tokens: of the context, in the order of the graph's input. band: it is asked about messages that are a matter
        with a share from the one to the other. held: what there is of a matter in held-out talk (`chatter`) and in
        messages that open one (`matter`), and the share of the true kind (`leaf`): rows of how much of a matter the
        engine alone sees in the message, of the value by the engine alone, and of that by both together."""
        self._session = session
        self._pieces = pieces
        self._tokens = {token: number for number, token in enumerate(tokens)}
        self.heads = {head.name: head for head in heads}
        self._columns = tuple(heads)
        self.facts = facts
        self.band = band
        self.scores = {name: _scores(rows, band) for name, rows in (held or {}).items()}

    @classmethod
    def load(
        cls, folder: Path, labels: Mapping[str, Sequence[str]] | None = None, band: tuple[float, float] = ALWAYS
    ) -> "SecondReader":
        """What `nlu.reader.make` wrote. labels: by head, those that are wanted now; another set is no use.

        Raises NoReader when there is none, when ONNX Runtime is missing, or when the labels differ.
        """
        if not (folder / ABOUT).is_file():
            raise NoReader(f"{folder}: no second reader there: {MAKE} makes one")
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        heads = [Column(name, tuple(named), start, t) for name, named, start, t in about["heads"]]
        for head in heads:
            if labels is not None and tuple(labels.get(head.name, head.labels)) != head.labels:
                raise NoReader(f"{folder}: tuned for other labels of {head.name}: {MAKE} again")
        pieces = Pieces(**about["pieces"])
        return cls(session(folder / MODEL), pieces, heads, about["tokens"], about["facts"], about["held"], band)

    def read(self, batch: Sequence[Asked]) -> list[dict[str, Floats]]:
        """For each message what the reader by itself makes of it: the probabilities of each head, in the order of its
        labels."""
        return [
            {name: head.probabilities(scores) for name, head in self.heads.items()}
            for scores in map(self.scores_of, batch)
        ]

    def asks(self, mass: float) -> bool:
        """Whether the band holds a message of which the engine alone says that it is a matter with this share."""
        return self.band[0] <= mass <= self.band[1]

    def heard(self, heads: Mapping[str, Head], ours: Floats, theirs: Floats) -> Floats:
        """`together` for one message. heads: with the labels that this reader was loaded for. theirs: `scores_of`."""
        return together(heads, ours, self._columns, theirs)

    def trusted(self, heads: Heads) -> Heads:
        """The same heads with the calibration scores of what this reader is part of; with their own where it has none,
        or where they say nothing of credibility."""
        if not self.scores or not heads.scores:
            return heads
        return Heads(
            heads.vocabulary, heads.idf, heads.weights, heads.bias, list(heads.heads.values()), heads.facts,
            {**heads.scores, **self.scores}, heads.spotter, heads.judge,
        )  # fmt: skip

    def scores_of(self, asked: Asked) -> Floats:
        """The graph's scores for one message: (columns,)."""
        context = np.zeros((1, len(self._tokens)), dtype=np.float32)
        context[0, [self._tokens[token] for token in asked.tokens if token in self._tokens]] = 1
        numbers = np.array([self._pieces.read(asked.words)], dtype=np.int64)
        (scores,) = self._session.run(None, {"pieces": numbers, "context": context})
        found: Floats = scores[0]
        return found


def _scores(rows: Sequence[Sequence[float]], band: tuple[float, float]) -> Floats:
    """The measure that counts for each, sorted: that of both where the reader is asked, else that of the engine."""
    mass, alone, both = np.array(rows, dtype=np.float32).reshape(-1, 3).T
    return np.sort(np.where((mass >= band[0]) & (mass <= band[1]), both, alone))


def session(file: Path) -> Any:
    """ONNX Runtime on one core. Raises NoReader when it is not installed."""
    try:
        import onnxruntime  # noqa: PLC0415 - an extra that most deployments live without
    except ModuleNotFoundError as missing:
        raise NoReader("onnxruntime is not installed: pip install 'linsheng[reader]'") from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a worker has one core
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
