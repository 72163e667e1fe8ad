"""One group of outputs: its labels, and how its scores become probabilities."""

from dataclasses import dataclass

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


def probabilities(head: Head, logits: Floats) -> Floats:
    """Calibrated probabilities of one head; a binary head gives one number. One message, or one a row."""
    scores = logits[..., head.start : head.stop] / head.temperature
    if len(head.labels) == 1:
        # The logistic function by way of tanh, which never overflows.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * scores), dtype=np.float32)
    powers = np.exp(scores - np.maximum.reduce(scores, axis=-1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, axis=-1, keepdims=True))
