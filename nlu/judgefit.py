"""Trains the judge (`nlu.judge`): on what heads say of towns that they have not seen.

The towns are dealt into folds, lone utterances too; heads that learned from the other folds read each fold. On these
answers the judge learns, and on them all is measured that says how far an engine can be trusted (`nlu.calibrate`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from nlu import calibrate, judge, lexicon
from nlu.calibrate import SEED, Held
from nlu.corpus import Example
from nlu.head import Floats, Head
from nlu.judge import FLAGS, Judge
from nlu.normalize import normalize
from nlu.types import INTENTS

FOLDS = 5
MATTERS = frozenset({"report", "chatter", "join", "detail"})
# Inverse penalties and the weight of a lone utterance against a town's message, by output; chosen by leaving towns out.
STRENGTH = 0.3
ENOUGH = 30
LONE = {"intent": 0.05, "urgent": 0.3, "sensitive": 0.3}


def tells(example: Example, of: str) -> bool:
    """Whether it teaches anything of urgency or privacy (of: one of FLAGS); in so few words as the plain ones nobody
    says it (老人摔倒了 may be either)."""
    known = of != "urgent" or not example.unsaid
    return known and example.intent in MATTERS and not example.plain and example.only != "danger"


@dataclass(frozen=True)
class Outside:
    """What heads say of messages that they did not learn from. logits: (examples, columns). fold: (examples,)."""

    logits: Floats
    fold: NDArray[np.int64]


def folds(examples: Sequence[Example]) -> NDArray[np.int64]:
    """The fold of each example: a town is in one; utterances are dealt evenly by intent, and towns too where they are
    few."""
    towns = sorted({example.town for example in examples if example.town})
    dealt = {name: number % FOLDS for number, name in enumerate(towns)} if len(towns) >= FOLDS else {}
    found = np.array([dealt.get(example.town, -1) for example in examples])
    rest = np.flatnonzero(found < 0)
    kinds = np.array([INTENTS.index(examples[i].intent) for i in rest.tolist()], dtype=np.int64)
    rare = np.bincount(kinds, minlength=len(INTENTS))[kinds] < FOLDS
    found[rest[rare]] = 0
    rest, kinds = rest[~rare], kinds[~rare]
    if len(rest):
        deal = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        for number, (_, part) in enumerate(deal.split(rest, kinds)):
            found[rest[part]] = number
    return found


def inputs(examples: Sequence[Example], heads: Mapping[str, Head], logits: Floats) -> Floats:
    """`nlu.judge.said` of each, (examples, inputs)."""
    texts = [normalize(example.text) for example in examples]
    fired = np.array([[bool(lexicon.fired(name, text)) for name in FLAGS] for text in texts], dtype=np.float32)
    return judge.said(heads, logits, fired)


@dataclass(frozen=True)
class Judged:
    """A trained judge, and the scores by which an engine says how credible a reading is (`nlu.calibrate`)."""

    judge: Judge
    scores: Mapping[str, Floats]


def learn(
    examples: Sequence[Example], contexts: Sequence[Sequence[str]], heads: Mapping[str, Head], outside: Outside,
    weights: Callable[[Sequence[Example], float], NDArray[np.float64]],
) -> Judged:  # fmt: skip
    """contexts: the context tokens of each example. weights: of examples, given what a lone utterance weighs."""
    said = inputs(examples, heads, outside.logits)
    tokens = sorted({token for found in contexts for token in found})
    around = np.zeros((len(examples), len(tokens)), dtype=np.float32)
    numbers = {token: number for number, token in enumerate(tokens)}
    for row, found in enumerate(contexts):
        around[row, [numbers[token] for token in found]] = 1
    named = judge.names(heads)
    parts: list[NDArray[np.float64]] = []
    groups: list[Head] = []
    scores: dict[str, Floats] = {}
    town = np.array([bool(example.town) for example in examples])
    for name in ("intent", *FLAGS):
        labels = INTENTS if name == "intent" else (name,)
        of = np.array([name == "intent" or tells(example, name) for example in examples])
        truth = np.array([_label(name, example) for example in examples])
        # Of the kinds of matter only how sure they are bears on the intent: each by itself would be learned by heart.
        seen = np.array([name != "intent" or not label.startswith("leaf:") for label in named])
        weight = weights(examples, LONE[name])
        if name == "intent":
            weight = np.maximum(weight, _rare(truth, town))
        rows = _Rows(said * seen, around, truth, weight, of)
        model = rows.fit(of)
        shift = rows.shift(town) if name == "intent" else np.zeros(1)
        held = rows.held_out(outside.fold, town if town.any() else of, max(2, len(labels)))
        groups.append(Head(name, tuple(labels), sum(part.shape[1] for part in parts), held.temperature, context=True))
        columns = rows.columns(model, len(labels))
        columns[-1] += held.temperature * shift
        parts.append(columns)
        if name == "intent":
            scores |= calibrate.intent_scores(held, INTENTS, shift)
    whole = np.concatenate(parts, axis=1).astype(np.float32)
    count = len(named)
    return Judged(Judge(whole[:count], tokens, whole[count:-1], whole[-1], groups), scores)


def _rare(truth: NDArray[np.int64], town: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What lone utterances weigh at the least, so that no intent counts for less than ENOUGH messages: 查询我的信息 and
    转人工 are said to the bot, and towns have hardly any."""
    told = np.bincount(truth[town], minlength=len(INTENTS))
    lone = np.bincount(truth[~town], minlength=len(INTENTS))
    least = np.clip((ENOUGH - told) / np.maximum(lone, 1), 0, 1)
    return np.asarray(np.where(town, 0.0, least[truth]))


class _Rows:
    """The task of one output. said, around: (examples, …). truth, weight: (examples,). of: which examples count."""

    def __init__(
        self, said: Floats, around: Floats, truth: NDArray[np.int64], weight: NDArray[np.float64],
        of: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        # Half a spread each: context tokens are ones, and would else weigh less than any answer of a head.
        self._middle = said[of].mean(axis=0)
        spread = said[of].std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0) * 2
        self._rows = np.hstack([(said - self._middle) / self._spread, around])
        self._truth = truth
        self._weight = weight
        self._of = of

    def fit(self, chosen: NDArray[np.bool_]) -> LogisticRegression:
        """Learn from these examples."""
        model = LogisticRegression(C=STRENGTH, max_iter=400)
        return model.fit(self._rows[chosen], self._truth[chosen], sample_weight=self._weight[chosen])

    def held_out(self, fold: NDArray[np.int64], asked: NDArray[np.bool_], count: int) -> Held:
        """What the judge says of each fold when it learned from the others. asked: of which examples one wants to
        know."""
        logits = np.full((len(self._truth), count), -1e4)
        for number in range(FOLDS):
            learned = self._of & (fold != number)
            if len(np.unique(self._truth[learned])) < 2:
                continue
            model = self.fit(learned)
            found = model.decision_function(self._rows)
            if found.ndim == 1:
                found = np.stack([np.zeros_like(found), found], axis=1)
            here = np.ix_(fold == number, model.classes_)
            logits[here] = found[fold == number]
        known = self._of & asked & (logits[np.arange(len(self._truth)), self._truth] > -1e4)
        truth = self._truth[known]
        return Held(logits[known], truth, calibrate.temperature(logits[known], truth) if known.any() else 1.0)

    def shift(self, town: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See `nlu.calibrate.as_in_life`."""
        return calibrate.as_in_life(self._truth, self._weight, town, len(INTENTS))

    def columns(self, model: LogisticRegression, labels: int) -> NDArray[np.float64]:
        """Weights for the inputs as they are, for the tokens, and the bias: (inputs + tokens + 1, labels)."""
        inputs = len(self._spread)
        found = np.zeros((self._rows.shape[1] + 1, labels))
        found[-1] = -20.0
        places = [0] if labels == 1 else model.classes_
        for place, weights, bias in zip(places, model.coef_, model.intercept_, strict=True):
            points = weights[:inputs] / self._spread
            found[:, place] = np.concatenate([points, weights[inputs:], [bias - points @ self._middle]])
        return found


def _label(name: str, example: Example) -> int:
    return INTENTS.index(example.intent) if name == "intent" else int(getattr(example, name))
