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
from nlu.reader.run import MODEL, SecondReader
from nlu.reader.words import asked_of
from nlu.types import INTENTS
from tests.benchmarks.result import Bench, Figure, Result

OUT = ("hutong", "haidao", "xiangjiang")
SHARES = (0.3, 0.5, 0.7)
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
    """Heads alone, reader alone, and their mean."""
    try:
        from nlu.reader.make import make  # noqa: PLC0415 - torch, an extra
    except ImportError as missing:
        return Result(skipped=f"the extra reader-train is not installed ({missing.name})")
    known = leaves()
    examples = train.with_contexts(corpus.everything(frozenset(known)))
    learned = [example for example in examples if example.town not in OUT]
    unseen = [example for example in examples if example.town in OUT]
    bench.say(f"{len(unseen)} messages of {', '.join(OUT)}; {len(learned)} to learn from")
    heads = _heads(learned, unseen, known)
    with bench.folder() as folder:
        bench.say("tuning the reader")
        facts = make(learned, known, folder)
        reader = SecondReader.load(folder)
        answers = reader.read([asked_of(example) for example in unseen])
        alone = {name: np.array([answer[name] for answer in answers]) for name in reader.heads}
        figures = _compared(unseen, known, heads, alone)
        figures += [*_costs(reader, unseen, folder), Figure("memory beside the engine's", _memory(folder) / MB, "MB")]
        figures.append(Figure("tuning", float(str(facts["minutes"])), "min", 15, "what was allowed", True, True))
        figures += [Figure(f"7-bit graph agrees with 32-bit floats, {k}", v, "") for k, v in _agreement(facts).items()]
    return Result(figures)


def _heads(learned: Sequence[Example], unseen: Sequence[Example], known: Sequence[str]) -> Answers:
    trained = train.train(learned, known)
    logits = [trained.logits(*train.bag(example)) for example in unseen]
    return {name: np.array([trained.probabilities(name, row) for row in logits]) for name in trained.heads}


def _compared(unseen: Sequence[Example], known: Sequence[str], heads: Answers, alone: Answers) -> list[Figure]:
    mixed = {f"mean {w:.1f}": {name: w * alone[name] + (1 - w) * heads[name] for name in heads} for w in SHARES}
    base = scores(unseen, known, heads)
    found = {who: scores(unseen, known, answers) for who, answers in {"reader": alone, **mixed}.items()}
    return [
        Figure(f"{what}: {who}", found[who][what], "", value, "n-gram heads")
        for what, value in base.items()
        for who in found
    ]


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
    found["intent, accuracy"] = float(np.mean(answers["intent"].argmax(1) == intents))
    found["intent, macro F1"] = float(
        f1_score(intents, answers["intent"].argmax(1), average="macro", labels=np.unique(intents), zero_division=0)
    )
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
