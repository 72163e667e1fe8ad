"""The engine's features on public data, beside published and reproduced figures. The data are read, never kept."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

from config.decisions import decisions
from config.tables import leaves
from nlu import spanfit, spans
from nlu.bags import Bags, Matrix
from nlu.calibrate import fit
from nlu.embedded import EmbeddedEngine
from nlu.features import mask
from nlu.gazetteer import NOWHERE
from nlu.grams import grams
from nlu.normalize import normalize
from nlu.types import Utterance
from tests.benchmarks.result import SHARED, Bench, Figure, Result

DATA = SHARED / "data"
SEED = 20260302
STRENGTH = 8.0
LINES = 5_000


def run(bench: Bench) -> Result:
    """Petition titles by department, parts of addresses, and talk that is no report."""
    figures = []
    if (titles := DATA / "taidi_c" / "union_train.csv").is_file():
        bench.say("TipDM titles, seven departments")
        accuracy, macro = _departments(titles.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        figures += [
            Figure("TipDM titles, accuracy", accuracy, "%", 84.8, "char TF-IDF + LinearSVC; frozen e5-small 87.1"),
            Figure("TipDM titles, macro F1", macro, "%", 84.2, "char TF-IDF + LinearSVC; frozen e5-small 87.2"),
        ]
    if (DATA / "address" / "acl19_train.txt").is_file():
        bench.say("NAACL 2019 addresses, 21 labels: a minute or two")
        figures.append(Figure("NAACL addresses, F1", _addresses(), "%", 87.6, "character CRF; published APLT 89.9"))
    chatter = sorted((DATA / "chatter").glob("*.txt"))
    if chatter:
        bench.say(f"{LINES:,} lines of talk")
        lines = [line for file in chatter for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        said, opened, spoken = _alarms(bench, random.Random(SEED).sample(lines, LINES))
        figures += [
            Figure("talk the intent head calls a report", said, "%"),
            Figure("talk that would open a ticket, a quiet one too", opened, "%"),
            Figure("talk that would be answered as a report", spoken, "%"),
        ]
    return Result(figures, skipped="" if figures else "../shared/data is not at hand")


def _departments(lines: list[str]) -> tuple[float, float]:
    """Accuracy and macro F1 in per cent on a held-out fifth, with the heads' own features and fit."""
    rows = list(csv.DictReader(lines))
    bags = Bags.of([(grams(mask(normalize(row["title"]), [])), []) for row in rows])
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    learn, test = train_test_split(np.arange(len(rows)), test_size=0.2, random_state=SEED, stratify=labels)
    matrix = Matrix(bags.part(learn))
    model = fit(matrix.rows(bags.part(learn).words), labels[learn], STRENGTH, np.ones(len(learn)))
    said = model.predict(matrix.rows(bags.part(test).words))
    return (
        100 * float(accuracy_score(labels[test], said)),
        100 * float(f1_score(labels[test], said, average="macro")),
    )


def _addresses() -> float:
    """F1 in per cent of whole labelled parts on the set's dev file, learned from its train file with the features and
    settings of `nlu.spans`."""
    learn, test = (list(_sentences(DATA / "address" / f"acl19_{part}.txt")) for part in ("train", "dev"))
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("  rounds", total=1.0)
        rows = ((spans.observed(text), tags) for text, tags in learn)
        spotter = spanfit.fitted(rows, lambda share: shown.update(task, completed=share))
    gold, found, right = 0, 0, 0
    for text, tags in test:
        true, said = (set(spans.untagged(row)) for row in (tags, spotter.tags(spans.observed(text))))
        gold, found, right = gold + len(true), found + len(said), right + len(true & said)
    return 100 * 2 * right / (gold + found)


def _sentences(file: Path) -> Iterator[tuple[str, list[str]]]:
    """(normalised text, a tag each character). Lines are `token tag`, mostly a character each, and `1204` or `A` too;
    sentences end at an empty one."""
    for block in file.read_text(encoding="utf-8").split("\n\n"):
        text, tags = "", []
        for line in filter(None, block.splitlines()):
            token, tag = line.rsplit(" ", 1)
            text += token
            tags += [tag, *[f"I-{tag[2:]}" if tag[1:2] else tag] * (len(token) - 1)]
        if text:
            yield normalize(text), tags


def _alarms(bench: Bench, lines: list[str]) -> tuple[float, float, float]:
    """Per cent of the lines, each said in a group by itself: likeliest a report; above `quiet`; above `speak`."""
    engine = EmbeddedEngine.ready(bench.home, leaves())
    answers = engine.parse([Utterance(line) for line in lines], NOWHERE)
    limits = decisions()
    share = 100 / len(lines)
    return (
        share * sum(answer.intent == "report" for answer in answers),
        share * sum(answer.p("report") >= limits.quiet for answer in answers),
        share * sum(answer.p("report") >= limits.speak for answer in answers),
    )
