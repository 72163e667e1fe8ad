"""Linear heads over shared features, as a dictionary and one array: what runs at run time.

Trained with scikit-learn (`nlu.train`), and held equal to it by a test.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nlu.grams import Grams
from nlu.head import Floats, Head, probabilities
from nlu.judge import Judge
from nlu.ragged import added, grouped
from nlu.spans import Spotter

Weights = NDArray[np.float32] | NDArray[np.float16]  # as they were learned, or as they are kept
TINY = 1e-12  # added to squares of lengths, which are 0 or more than 1: nothing divided by nothing is nothing


class Heads:
    """All heads: `vocabulary` numbers the features, `weights` is (features, columns), `idf` (features,).

    scores: sorted calibration scores by name (`nlu.calibrate`); none, and nothing is said of credibility.
    spotter: finds places by their form (`nlu.spans`), trained and kept with the heads; it changes nothing in them.
    judge: weighs what they say (`nlu.judge`)."""

    def __init__(
        self, vocabulary: dict[str, int], idf: Floats, weights: Weights, bias: Floats, heads: Sequence[Head],
        facts: dict[str, Any], scores: dict[str, Floats] | None = None, spotter: Spotter | None = None,
        judge: Judge | None = None,
    ) -> None:  # fmt: skip
        self.vocabulary = vocabulary
        self.idf = idf
        self.weights = weights
        self.bias = bias
        self.heads = {head.name: head for head in heads}
        self.facts = facts
        self.scores = scores or {}
        self.spotter = spotter
        self.judge = judge
        self.grams = Grams(vocabulary)
        # What a feature adds to each column; behind them, to the square of the length. The last row adds nothing.
        self._adds = np.zeros((len(idf) + 1, weights.shape[1] + 1), dtype=np.float32)
        np.multiply(weights, idf[:, None], out=self._adds[:-1, :-1])
        self._adds[:-1, -1] = idf**2
        self._looks = np.array([head.context for head in heads for _ in head.labels])
        self._sorted = {name: known.astype(np.float64) for name, known in self.scores.items()}

    def logits(self, words: Sequence[Sequence[str]], context: Sequence[Sequence[str]]) -> Floats:
        """All columns for messages, (messages, columns): idf weights of length 1 times the columns. `context` counts
        for heads that look at it."""
        return self.joined(self.sums(words), self.sums(context))

    def joined(self, words: Floats, context: Floats) -> Floats:
        """All columns from the sums of the words and of the context, one message a row."""
        both = words + context
        alone = words[..., :-1] / np.sqrt(words[..., -1:] + TINY)
        logits: Floats = np.where(self._looks, both[..., :-1] / np.sqrt(both[..., -1:] + TINY), alone) + self.bias
        return logits

    def sums(self, found: Sequence[Sequence[str]]) -> Floats:
        """The weighted columns of these features added up, a row for each list of them; the last number is the square
        of the length of their weights."""
        return added(self._adds, grouped(found, self.vocabulary, len(self.idf)))

    def read(self, masked: Sequence[str]) -> Floats:
        """The same for the n-grams of texts: `sums([grams(text) for text in masked])`."""
        return added(self._adds, self.grams.once(masked))

    def running(self, numbers: NDArray[np.intp], bounds: Sequence[int]) -> NDArray[np.float64]:
        """The sums of the first 0, 1, 2 … features of each group, one a row, group after group. bounds: where in
        `numbers` each group begins, and where the last one ends."""
        rows = self._adds.take(numbers, axis=0)
        out = np.zeros((len(numbers) + len(bounds) - 1, rows.shape[1]))
        for group, (start, end) in enumerate(pairwise(bounds)):
            np.cumsum(rows[start:end], axis=0, dtype=np.float64, out=out[start + group + 1 : end + group + 1])
        return out

    def probabilities(self, name: str, logits: Floats) -> Floats:
        """Calibrated probabilities of one head; see the function of this name."""
        return probabilities(self.heads[name], logits)

    def at_least(self, name: str, values: ArrayLike) -> NDArray[np.float64]:
        """For each value the share of the calibration scores that are so much or more, counting the message itself."""
        scores = self._sorted[name]
        return np.asarray((len(scores) - scores.searchsorted(values) + 1) / (len(scores) + 1))

    def at_most(self, name: str, values: ArrayLike) -> NDArray[np.float64]:
        """For each value the share of the calibration scores that are so much or less, counting the message itself."""
        scores = self._sorted[name]
        return np.asarray((scores.searchsorted(values, side="right") + 1) / (len(scores) + 1))

    def save(self, folder: Path) -> None:
        """Write `heads.npz`, `spans.crf` if there is one, and `heads.json` last: it means a whole artefact."""
        folder.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {f"scores_{name}": values for name, values in self.scores.items()}
        if self.judge is not None:
            kept |= self.judge.arrays()
        with (folder / "heads.npz").open("wb") as file:
            np.savez(file, idf=self.idf, weights=self.weights.astype(np.float16), bias=self.bias, **kept)
        if self.spotter is not None:
            self.spotter.save(folder)
        about = {
            "facts": self.facts,
            "heads": [[h.name, list(h.labels), h.start, h.temperature, h.context] for h in self.heads.values()],
            "features": list(self.vocabulary),
            "judge": self.judge.facts() if self.judge is not None else None,
        }
        fresh = folder / "heads.json.new"
        fresh.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        fresh.replace(folder / "heads.json")

    @classmethod
    def load(cls, folder: Path) -> "Heads":
        """Read what `save` wrote. Raises FileNotFoundError when there is nothing."""
        about = json.loads((folder / "heads.json").read_text(encoding="utf-8"))
        with np.load(folder / "heads.npz") as arrays:
            return cls(
                {feature: index for index, feature in enumerate(about["features"])},
                arrays["idf"],
                arrays["weights"],
                arrays["bias"],
                [Head(name, tuple(labels), *rest) for name, labels, *rest in about["heads"]],
                about["facts"],
                {name.removeprefix("scores_"): arrays[name] for name in arrays.files if name.startswith("scores_")},
                Spotter.load(folder),
                Judge.of(arrays, about["judge"]) if about["judge"] else None,
            )
