"""The second look: what the heads say of a message, weighed against each other, its context and the words of alarm.

The heads each see n-grams and nothing of one another: that these words name a broken lift (kind) makes a report of
them, that they name a beating makes them private. A second, small linear model reads the heads' answers; it learned
from what heads said of towns that they had not seen (`nlu.judgefit`), so it knows how far each can be believed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlu import lexicon
from nlu.head import Floats, Head, probabilities
from nlu.ragged import added, grouped

LEAST = -9.0  # logarithms of shares below it say nothing more
LIKELIEST = 3  # leaves whose shares together tell whether any kind fits at all
FLAGS = lexicon.PARTS
YES_OR_NO = (*FLAGS, "danger")  # heads of one column, of which the judge hears the plain answer
READ = ("intent", "words", "leaf")


class Judge:
    """weights: (inputs, outputs), of `said`. context: what each token adds, (tokens, outputs). bias: (outputs,).

    heads: the outputs in order; their columns are counted in the outputs.
    """

    def __init__(
        self, weights: Floats, tokens: Sequence[str], context: Floats, bias: Floats, heads: Sequence[Head]
    ) -> None:
        """tokens: one for each row of `context`, (tokens, outputs)."""
        self.weights = weights
        self.tokens = tuple(tokens)
        self.context = context
        self.bias = bias
        # The last row adds nothing.
        self._adds = np.concatenate([context, np.zeros((1, context.shape[1]), dtype=np.float32)])
        self.heads = {head.name: head for head in heads}
        self._rows = {token: number for number, token in enumerate(self.tokens)}

    def weigh(self, said: Floats, tokens: Sequence[Sequence[str]]) -> Floats:
        """The outputs for messages, (messages, outputs). said: `said` of them; tokens: those of their contexts."""
        around = added(self._adds, grouped(tokens, self._rows, len(self.tokens)))
        # A product for each message: one for all would round by how many there are, and an answer is a message's alone.
        total: Floats = np.matmul(said[:, None, :], self.weights)[:, 0] + around + self.bias
        return total

    def probabilities(self, name: str, outputs: Floats) -> Floats:
        """Calibrated probabilities of one output group; see `nlu.heads.probabilities`."""
        return probabilities(self.heads[name], outputs)

    def arrays(self) -> dict[str, Floats]:
        """What `Heads.save` keeps of it as arrays; `facts` are the rest."""
        return {"judge_weights": self.weights, "judge_context": self.context, "judge_bias": self.bias}

    def facts(self) -> dict[str, Any]:
        """See `arrays`."""
        heads = [
            [head.name, list(head.labels), head.start, head.temperature, head.context] for head in self.heads.values()
        ]
        return {"tokens": list(self.tokens), "heads": heads}

    @classmethod
    def of(cls, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> "Judge":
        """What `arrays` and `facts` gave."""
        heads = [Head(name, tuple(labels), *rest) for name, labels, *rest in facts["heads"]]
        return cls(arrays["judge_weights"], facts["tokens"], arrays["judge_context"], arrays["judge_bias"], heads)


def said(heads: Mapping[str, Head], logits: Floats, alarms: Floats) -> Floats:
    """The inputs, (messages, inputs): logarithms of the shares that the heads give each intent (by words and context,
    by words alone) and each leaf; the odds of the likeliest leaf and of the three likeliest; urgency and privacy; and
    which of the lexicon's lists fired (alarms: (messages, lists), 0 or 1)."""
    shares = [_log_shares(logits[:, heads[name].start : heads[name].stop]) for name in READ]
    best = np.sort(shares[-1], axis=-1)[:, -LIKELIEST:]
    top = np.exp(best[:, -1:])
    tops = np.minimum(np.add.reduce(np.exp(best), axis=-1, keepdims=True), 1.0)
    odds = [np.log(share / (1.0001 - share)) for share in (top, tops)]
    rest = [logits[:, heads[name].start : heads[name].stop] for name in YES_OR_NO]
    return np.concatenate([*shares, *odds, *rest, alarms], axis=-1, dtype=np.float32)


def names(heads: Mapping[str, Head]) -> list[str]:
    """What the inputs are called, in their order: `leaf:facility.elevator`, `top`."""
    found = [f"{name}:{label}" for name in READ for label in heads[name].labels]
    return [*found, "top", "tops", *YES_OR_NO, *(f"list:{name}" for name in FLAGS)]


def _log_shares(logits: Floats) -> Floats:
    top = np.maximum.reduce(logits, axis=-1, keepdims=True)
    down = logits - top
    logs: Floats = down - np.log(np.add.reduce(np.exp(down), axis=-1, keepdims=True))
    return np.maximum(logs, LEAST)
