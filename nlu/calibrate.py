"""How far the heads can be trusted: temperatures, and the scores behind conformal sets, from towns held out for it.

Each town is read by heads that learned from others (`nlu.judgefit`). What they say of it fits the temperatures, and is
kept as calibration scores: a label is credible for a message if the message looks no stranger than the held-out
messages that have it (split conformal, after Vovk; class-conditional). With a share alpha of error allowed, a label
stays in the set while its credibility is above alpha.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from nlu.head import Floats
from nlu.types import MATTER

SEED = 20260302
EPOCHS = 15
# No intent is made rarer than this, in logarithms: 转人工 is said to the bot, and hardly ever in a town's chat.
RAREST = -1.2


@dataclass(frozen=True)
class Held:
    """Held-out messages as read: logits over all labels (rows, labels), the true ones, and a temperature for them."""

    logits: NDArray[np.float64]
    truth: NDArray[np.int64]
    temperature: float

    def probabilities(self, shift: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
        """Calibrated; `shift` is added to the scaled logits of each label."""
        scaled = self.logits / self.temperature + shift
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit(
    rows: csr_matrix, labels: NDArray[np.int64], strength: float, weight: NDArray[np.float64]
) -> LogisticRegression:
    """One head. strength: the inverse of the penalty.

    Of two classes it is fitted to the end, in a second. Of many by stochastic average gradients, in EPOCHS passes over
    the rows: a tenth of the time of L-BFGS, and further down (ADR 0035). That solver learns an intercept too slowly
    from sparse rows; a column of ones stands in for it.
    """
    if len(np.unique(labels)) == 2:
        return LogisticRegression(C=strength, max_iter=300, tol=1e-5).fit(rows, labels, sample_weight=weight)
    ones = csr_matrix(np.ones((rows.shape[0], 1), dtype=rows.dtype))
    model = LogisticRegression(
        C=strength, max_iter=EPOCHS, tol=0.0, solver="sag", random_state=SEED, fit_intercept=False
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the passes are counted, not the steps measured
        model.fit(hstack([rows, ones], format="csr"), labels, sample_weight=weight)
    model.intercept_ = model.coef_[:, -1]
    model.coef_ = model.coef_[:, :-1]
    model.n_features_in_ -= 1
    return model


def as_in_life(
    labels: NDArray[np.int64], weight: NDArray[np.float64], town: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """What brings each intent to its share in whole chats: among utterances reports are far more frequent than in
    life."""
    if not town.any():
        return np.zeros(count)
    trained = np.bincount(labels, weights=weight, minlength=count) + 1
    lived = np.bincount(labels[town], minlength=count) + 1
    shift = np.log(lived / lived.sum()) - np.log(trained / trained.sum())
    return np.asarray(np.maximum(shift, RAREST))


def temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The divisor of logits that makes these labels likeliest."""

    def loss(t: float) -> float:
        scaled = logits / t
        top = scaled.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0]
        return float(np.mean(log_sum - scaled[np.arange(len(labels)), labels]))

    return float(minimize_scalar(loss, bounds=(0.2, 5.0), method="bounded").x)


def intent_scores(held: Held, labels: Sequence[str], shift: NDArray[np.float64]) -> dict[str, Floats]:
    """How much of a matter there is in held-out chatter, and how little in messages that open one; both sorted."""
    shares = held.probabilities(shift)
    mass = shares[:, [i for i, label in enumerate(labels) if label in MATTER]].sum(axis=1)
    of = {name: np.isin(held.truth, [labels.index(name)]) for name in ("chatter", "report")}
    return {
        "chatter": np.sort(mass[of["chatter"]]).astype(np.float32),
        "matter": np.sort(mass[of["report"]]).astype(np.float32),
    }


def leaf_scores(held: Held) -> dict[str, Floats]:
    """The share that the true leaf had, sorted."""
    shares = held.probabilities()
    return {"leaf": np.sort(shares[np.arange(len(held.truth)), held.truth]).astype(np.float32)}
