"""How often an engine is right about single messages: reports found at the threshold, their category, urgency."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from config.decisions import decisions
from nlu import corpus
from nlu.corpus import BadData, Example
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE
from nlu.types import Context, Engine, Utterance

PACK = ("gold.json", "transcript.jsonl", "places.csv", "people.csv", "chats.csv")


@dataclass(frozen=True)
class Scores:
    """Counts of one town; a share of nothing is 1. A report is the message that opens a matter."""

    name: str
    messages: int
    reports: int
    found: int
    right: int
    categories: int
    categories_right: int
    urgent: int
    urgent_found: int

    @property
    def precision(self) -> float:
        """Of the messages taken for reports, the share that are."""
        return _share(self.right, self.found)

    @property
    def recall(self) -> float:
        """Of the reports, the share taken for one."""
        return _share(self.right, self.reports)

    @property
    def category(self) -> float:
        """Of the reports whose category is known, the share for which it is the likeliest."""
        return _share(self.categories_right, self.categories)

    @property
    def urgent_recall(self) -> float:
        """Of the urgent reports, the share taken for urgent."""
        return _share(self.urgent_found, self.urgent)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def score(engine: Engine, examples: Sequence[Example], name: str) -> Scores:
    """Ask the engine about every example, in its context, at the thresholds of config/decisions.yaml."""
    names = examples[0].names if examples else NOWHERE
    answers = engine.parse([Utterance(e.text, e.context or Context()) for e in examples], names)
    limits = decisions()
    pairs = list(zip(examples, answers, strict=True))
    reports = [(e, a) for e, a in pairs if e.intent == "report"]
    taken = [(e, a) for e, a in pairs if a.p("report") >= limits.open]
    known = [(e, a) for e, a in reports if e.leaf]
    urgent = [(e, a) for e, a in reports if e.urgent]
    return Scores(
        name=name,
        messages=len(pairs),
        reports=len(reports),
        found=len(taken),
        right=sum(e.intent == "report" for e, _ in taken),
        categories=len(known),
        categories_right=sum(a.matters[0].category == e.leaf for e, a in known),
        urgent=len(urgent),
        urgent_found=sum(a.urgent >= limits.urgent for _, a in urgent),
    )


def left_out(folder: Path, leaves: Sequence[str]) -> Scores:
    """A training town, by an engine that has never seen it."""
    from nlu.train import train  # noqa: PLC0415 - a second of imports that no other command needs

    heads = train(corpus.everything(frozenset(leaves), without=frozenset({folder.name})), leaves)
    return score(EmbeddedEngine(heads), list(corpus.town(folder)), folder.name)


def of_pack(engine: Engine, folder: Path) -> Scores:
    """Any pack with a transcript and gold. Raises BadData when one of them is missing.

    Such packs say which messages open a matter, and not the intent of every other one; only the former counts here.
    """
    if missing := [name for name in PACK if not (folder / name).is_file()]:
        raise BadData(f"{folder.name}: there is no {', '.join(missing)}")
    if (folder / "labels.csv").is_file():
        return score(engine, list(corpus.town(folder)), folder.name)
    with tempfile.TemporaryDirectory(prefix="linsheng-pack-") as beside:
        copy = Path(beside) / folder.resolve().name
        copy.mkdir()
        for name in PACK:
            shutil.copy(folder / name, copy / name)
        (copy / "labels.csv").write_text("id,intent\n", encoding="utf-8")
        return score(engine, list(corpus.town(copy)), folder.resolve().name)


def together(parts: Iterable[Scores]) -> Scores:
    """All towns as one."""
    rows = list(parts)
    counts = [name.name for name in fields(Scores) if name.name != "name"]
    return Scores(name="all", **{name: sum(getattr(row, name) for row in rows) for name in counts})
