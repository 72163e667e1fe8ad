"""The embedded engine on whole chats; beside a scikit-learn pipeline of the same kind that knows one head."""

import time
from collections.abc import Callable, Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from config.settings import WorkerSettings
from config.tables import leaves
from nlu import corpus
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.types import Context, Names, Utterance
from tests.benchmarks.result import Bench, Figure, Result, percentile

ALONE = 200  # messages of each town asked one by one, after as many to warm up
LEARNT = 3_000
FLOOR = 8_000
BESIDE = "TF-IDF + LogisticRegression, intent only"
Town = tuple[Names, list[Utterance]]


def run(bench: Bench) -> Result:
    """Each town's chat with the names of that town, in batches as a worker takes them, and one by one. The engine has
    learned from them: this measures time, not understanding."""
    size = WorkerSettings().batch
    engine = EmbeddedEngine.ready(bench.home, leaves())
    examples = [list(corpus.town(folder)) for folder in corpus.towns()]
    towns = [chat(found) for found in examples]
    bench.say(f"{sum(len(asked) for _, asked in towns):,} messages of {len(towns)} towns, {size} at a time")
    rate = _rate(engine.parse, towns, size)
    bench.say("one by one")
    ours = _alone(engine.parse, towns)
    bench.say(f"scikit-learn: learning from {LEARNT:,} texts")
    peer = _learn([example for found in examples for example in found][:: max(1, sum(map(len, examples)) // LEARNT)])

    def predict(batch: Sequence[Utterance], _names: Names) -> object:
        return peer.predict([utterance.text for utterance in batch])

    bench.say("scikit-learn: the same")
    theirs = _alone(predict, towns)
    return Result(
        [
            Figure(f"messages, all heads and places, {size} at a time", rate, "/s", FLOOR, "floor", floor=True),
            Figure("the same beside a peer", rate, "/s", _rate(predict, towns, size), BESIDE),
            Figure("messages, one by one", len(ours) / sum(ours), "/s", len(theirs) / sum(theirs), BESIDE),
            Figure(
                "p99 a message", 1_000 * percentile(ours, 0.99), "ms", 1_000 * percentile(theirs, 0.99), BESIDE, True
            ),
        ]
    )


def chat(found: Sequence[Example]) -> Town:
    """A town's messages as an engine is asked about them."""
    return found[0].names, [Utterance(example.text, example.context or Context()) for example in found]


Ask = Callable[[Sequence[Utterance], Names], object]


def _rate(ask: Ask, towns: Sequence[Town], size: int) -> float:
    """Messages a second, after one round to warm up."""
    for _ in range(2):
        begun = time.perf_counter()
        for names, asked in towns:
            for at in range(0, len(asked), size):
                ask(asked[at : at + size], names)
        spent = time.perf_counter() - begun
    return sum(len(asked) for _, asked in towns) / spent


def _alone(ask: Ask, towns: Sequence[Town]) -> list[float]:
    """Seconds of each message, asked by itself."""
    found = []
    for names, asked in towns:
        for utterance in asked[-ALONE:]:
            ask([utterance], names)
        for utterance in asked[:ALONE]:
            begun = time.perf_counter()
            ask([utterance], names)
            found.append(time.perf_counter() - begun)
    return found


def _learn(examples: Sequence[Example]) -> Pipeline:
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2)
    pipeline = make_pipeline(words, LogisticRegression(C=8.0, max_iter=100, tol=1e-2))
    return pipeline.fit([example.text for example in examples], [example.intent for example in examples])
