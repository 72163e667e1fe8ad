"""The embedded engine, one message at a time; beside a scikit-learn pipeline of the same kind that knows one head."""

import random
import time
from collections.abc import Callable, Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from config.tables import leaves
from models.townpack import read_pack
from nlu import corpus
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import Gazetteer
from nlu.types import Context, Utterance
from tests.benchmarks.result import Bench, Figure, Result, percentile
from tests.conftest import DEMO

ASKED, LEARNT, WARM = 2_000, 3_000, 200
SEED = 20260302


def run(bench: Bench) -> Result:
    """Training texts are asked: this measures time, not understanding."""
    examples = corpus.everything(frozenset(leaves()))
    draw = random.Random(SEED)
    asked = draw.sample(examples, ASKED)
    engine = EmbeddedEngine.ready(bench.home, leaves())
    names = Gazetteer(
        (name, p.code) for p in read_pack(DEMO).places for name in [p.name, *p.aliases.split("|")] if name
    )
    utterances = [Utterance(example.text, example.context or Context()) for example in asked]
    bench.say(f"{ASKED:,} messages, one by one")
    ours = _timed(lambda utterance: engine.parse([utterance], names), utterances)
    bench.say(f"scikit-learn: learning from {LEARNT:,} texts")
    peer = _learn(draw.sample(examples, LEARNT))
    bench.say("scikit-learn: one by one")
    theirs = _timed(lambda utterance: peer.predict([utterance.text]), utterances)
    beside = "TF-IDF + LogisticRegression, intent only"
    return Result(
        [
            Figure("messages, all heads and places", len(ours) / sum(ours), "/s", len(theirs) / sum(theirs), beside),
            Figure(
                "p99 a message", 1_000 * percentile(ours, 0.99), "ms", 1_000 * percentile(theirs, 0.99), beside, True
            ),
        ]
    )


def _timed(ask: Callable[[Utterance], object], utterances: Sequence[Utterance]) -> list[float]:
    """Seconds of each, after a warm-up."""
    for utterance in utterances[:WARM]:
        ask(utterance)
    found = []
    for utterance in utterances:
        begun = time.perf_counter()
        ask(utterance)
        found.append(time.perf_counter() - begun)
    return found


def _learn(examples: Sequence[Example]) -> Pipeline:
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2)
    pipeline = make_pipeline(words, LogisticRegression(C=8.0, max_iter=100, tol=1e-2))
    return pipeline.fit([example.text for example in examples], [example.intent for example in examples])
