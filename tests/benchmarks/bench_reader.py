"""The second reader beside the n-gram heads: single messages of three towns that neither has seen.

Tunes an encoder first: minutes. Needs the extra `reader-train`.
"""

import lzma
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score

from config.tables import leaves
from nlu import corpus, train
from nlu.corpus import Example
from nlu.heads import Heads
from nlu.reader.run import MODEL, SecondReader
from nlu.reader.words import asked_of
from nlu.types import INTENTS, MATTER
from tests.benchmarks.result import Bench, Figure, Result

OUT = ("hutong", "haidao", "xiangjiang")
CHATTER = (0.02, 0.004)  # the errors that config/decisions.yaml allows: a ticket, an answer
SMALL = {"intent, log loss", "kind, log loss"}
TIMED, WARM = 300, 30
MB = 1e6
# The embedded engine and its libraries are there before: only what the reader brings is counted.
GROWTH = """
import os, sys
from pathlib import Path
from nlu import embedded
from nlu.reader.run import SecondReader
from nlu.reader.words import Asked
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = held()
SecondReader.load(Path(sys.argv[1])).read([Asked("某楼电梯坏了")] * 20)
print(held() - before)
"""

Floats = NDArray[np.float32]
# By head (messages, labels); a yes-or-no head has one column.
Answers = Mapping[str, Floats]


def run(bench: Bench) -> Result:
    """Both together and the reader alone, beside the heads alone."""
    try:
        from nlu.reader.make import make  # noqa: PLC0415 - torch, an extra
    except ImportError as missing:
        return Result(skipped=f"the extra reader-train is not installed ({missing.name})")
    known = leaves()
    examples = train.with_contexts(corpus.everything(frozenset(known)))
    learned = [example for example in examples if example.town not in OUT]
    unseen = [example for example in examples if example.town in OUT]
    bench.say(f"{len(unseen)} messages of {', '.join(OUT)}; {len(learned)} to learn from")
    trained = train.train(learned, known)
    logits = [trained.logits(*train.bag(example)) for example in unseen]
    figures: list[Figure] = []
    with bench.folder() as folder:
        bench.say("tuning the reader")
        facts = make(learned, known, folder)
        reader = SecondReader.load(folder)
        asked = [asked_of(example) for example in unseen]
        answers = reader.read(asked)
        heard = [reader.heard(trained, *pair) for pair in zip(logits, asked, strict=True)]
        base = scores(unseen, known, _shares(trained, logits))
        for who, found in {
            "both": _shares(trained, heard),
            "reader alone": {name: np.array([answer[name] for answer in answers]) for name in reader.heads},
        }.items():
            compared = scores(unseen, known, found)
            figures += [Figure(f"{k}: {who}", compared[k], "", v, "n-gram heads", k in SMALL) for k, v in base.items()]
        figures += [*_costs(reader, unseen, folder), Figure("memory beside the engine's", _memory(folder) / MB, "MB")]
        figures.append(Figure("tuning", float(str(facts["minutes"])), "min", 15, "what was allowed", True, True))
        figures += [Figure(f"7-bit graph agrees with 32-bit floats, {k}", v, "") for k, v in _agreement(facts).items()]
    return Result(figures)


def _shares(trained: Heads, logits: Sequence[Floats]) -> Answers:
    return {name: trained.probabilities(name, np.array(logits)) for name in trained.heads}


def scores(unseen: Sequence[Example], known: Sequence[str], answers: Answers) -> dict[str, float]:
    """Figures of single messages. A message opens a matter when the town's gold says so (its intent is report)."""
    intents = np.array([INTENTS.index(example.intent) for example in unseen])
    opens = np.array([example.intent == "report" for example in unseen])
    kinds = np.array([known.index(example.leaf) if example.leaf else -1 for example in unseen])
    report = answers["intent"][:, INTENTS.index("report")]
    kind = answers["leaf"][opens & (kinds >= 0)]
    truth = kinds[opens & (kinds >= 0)]
    asked = np.array([example.intent in train.MATTERS for example in unseen])
    found = _ranked("opens", opens, report)
    mass = answers["intent"][:, [INTENTS.index(name) for name in MATTER]].sum(1)
    talk = np.array([example.intent == "chatter" for example in unseen])
    for error in CHATTER:
        limit = np.quantile(mass[talk], 1 - error)
        found[f"opening ones above {1 - error:.1%} of chatter"] = float(np.mean(mass[opens] > limit))
    found["intent, log loss"] = float(
        -np.log(np.maximum(answers["intent"][np.arange(len(intents)), intents], 1e-6)).mean()
    )
    found["intent, accuracy"] = float(np.mean(answers["intent"].argmax(1) == intents))
    found["intent, macro F1"] = float(
        f1_score(intents, answers["intent"].argmax(1), average="macro", labels=np.unique(intents), zero_division=0)
    )
    found["kind, log loss"] = float(-np.log(np.maximum(kind[np.arange(len(truth)), truth], 1e-6)).mean())
    found["kind, first"] = float(np.mean(kind.argmax(1) == truth))
    found["kind, first three"] = float(np.mean((np.argsort(-kind, 1)[:, :3] == truth[:, None]).any(1)))
    for name in ("urgent", "sensitive"):
        labels = np.array([getattr(example, name) for example in unseen])
        found |= _ranked(name, labels[asked], answers[name][asked, 0])
    return found


def _ranked(name: str, truth: NDArray[np.bool_], shares: Floats) -> dict[str, float]:
    precision, recall, _ = precision_recall_curve(truth, shares)
    both = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    return {
        f"{name}, AUC": float(roc_auc_score(truth, shares)),
        f"{name}, best F1": float(both.max()),
        f"{name}, recall at 90 % precision": float(recall[precision >= 0.9].max()),
    }


def _costs(reader: SecondReader, unseen: Sequence[Example], folder: Path) -> list[Figure]:
    asked = [asked_of(example) for example in unseen[:TIMED]]
    reader.read(asked[:WARM])
    per = _seconds(lambda: reader.read(asked)) / len(asked)
    graph = (folder / MODEL).read_bytes()
    return [
        Figure("a message", 1_000 * per, "CPU ms"),
        Figure("graph", len(graph) / MB, "MB"),
        Figure("graph, packed by xz", len(lzma.compress(graph)) / MB, "MB"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    """Of the processor, all threads: others at work on the machine do not count."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _memory(folder: Path) -> float:
    """Bytes that a fresh process has more of in memory once it has loaded the reader and read a message."""
    said = subprocess.run([sys.executable, "-P", "-c", GROWTH, str(folder)], check=True, capture_output=True, text=True)  # noqa: S603
    return float(said.stdout)


def _agreement(facts: Mapping[str, object]) -> dict[str, float]:
    found = facts["agreement"]
    return {str(name): float(share) for name, share in found.items()} if isinstance(found, dict) else {}
