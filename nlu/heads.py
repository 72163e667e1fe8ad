"""Linear heads over shared features, as a dictionary and one array: what runs at run time.

Trained with scikit-learn (`nlu.train`), and held equal to it by a test.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """Some columns of the weights. labels: one a column (a binary head has one column and one label).

    temperature: logits are divided by it, fitted on messages the weights had not seen.
    context: whether it looks at the context too, or at the words alone (a kind of matter does not depend on the hour).
    """

    name: str
    labels: tuple[str, ...]
    start: int
    temperature: float
    context: bool

    @property
    def stop(self) -> int:
        """The column after the last."""
        return self.start + len(self.labels)


class Heads:
    """All heads: `vocabulary` numbers the features, `weights` is (features, columns), `idf` (features,).

    scores: sorted calibration scores by name (`nlu.calibrate`); none, and nothing is said of credibility."""

    def __init__(
        self, vocabulary: dict[str, int], idf: Floats, weights: Floats, bias: Floats, heads: Sequence[Head],
        facts: dict[str, Any], scores: dict[str, Floats] | None = None,
    ) -> None:  # fmt: skip
        self.vocabulary = vocabulary
        self.idf = idf
        self.weights = weights
        self.bias = bias
        self.heads = {head.name: head for head in heads}
        self.facts = facts
        self.scores = scores or {}
        self._looks = np.array([head.context for head in heads for _ in head.labels])

    def logits(self, words: Sequence[str], context: Sequence[str]) -> Floats:
        """All columns for one message: idf weights of length 1 times the columns. `context` counts for heads that look
        at it."""
        return self.joined(*self.sums(words), *self.sums(context))

    def joined(self, text: Floats, text_square: float, around: Floats, around_square: float) -> Floats:
        """All columns from the sums of the words and of the context."""
        alone = text / np.float32(max(text_square, 1e-12) ** 0.5)
        both = (text + around) / np.float32(max(text_square + around_square, 1e-12) ** 0.5)
        return np.where(self._looks, both, alone) + self.bias

    def sums(self, found: Sequence[str]) -> tuple[Floats, float]:
        """The weighted columns of these features added up, and the square of the length of their weights."""
        known = [index for feature in found if (index := self.vocabulary.get(feature)) is not None]
        if not known:
            return np.zeros_like(self.bias), 0.0
        values = self.idf[known]
        return values @ self.weights[known], float(values @ values)

    def probabilities(self, name: str, logits: Floats) -> Floats:
        """Calibrated probabilities of one head; a binary head gives one number."""
        head = self.heads[name]
        scores = logits[head.start : head.stop] / head.temperature
        if len(head.labels) == 1:
            return np.asarray(1.0 / (1.0 + np.exp(-scores)), dtype=np.float32)
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)

    def at_least(self, name: str, value: float) -> float:
        """The share of the calibration scores that are `value` or more, counting the message itself."""
        scores = self.scores[name]
        return float(len(scores) - np.searchsorted(scores, value, side="left") + 1) / (len(scores) + 1)

    def at_most(self, name: str, value: float) -> float:
        """The share of the calibration scores that are `value` or less, counting the message itself."""
        scores = self.scores[name]
        return float(np.searchsorted(scores, value, side="right") + 1) / (len(scores) + 1)

    def save(self, folder: Path) -> None:
        """Write `heads.npz` and `heads.json`; the array first, so that a JSON file means a whole artefact."""
        folder.mkdir(parents=True, exist_ok=True)
        kept: dict[str, Any] = {f"scores_{name}": values for name, values in self.scores.items()}
        with (folder / "heads.npz").open("wb") as file:
            np.savez(file, idf=self.idf, weights=self.weights.astype(np.float16), bias=self.bias, **kept)
        about = {
            "facts": self.facts,
            "heads": [[h.name, list(h.labels), h.start, h.temperature, h.context] for h in self.heads.values()],
            "features": list(self.vocabulary),
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
                arrays["weights"].astype(np.float32),
                arrays["bias"],
                [Head(name, tuple(labels), *rest) for name, labels, *rest in about["heads"]],
                about["facts"],
                {name.removeprefix("scores_"): arrays[name] for name in arrays.files if name.startswith("scores_")},
            )
