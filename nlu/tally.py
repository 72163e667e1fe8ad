"""What the training data hold: gathered with all their faults, and counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nlu import audit, corpus, generate, near, towncheck
from nlu.artefact import Progress
from nlu.audit import Fault, Line
from nlu.corpus import BadData, Example
from nlu.types import INTENTS

ENOUGH = 120  # lines of each category and of each other intent, the towns' and the utterances' together
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WIDTHS = (4, 8, 12, 16, 20, 25, 30, 40, 60, 100)
# What residents say in their own words. Words to the bot and a worker's command are everywhere the same.
OWN_WORDS = frozenset({"chatter", "report", "detail", "join", "relay", "correct"})


@dataclass
class Data:
    """All that can be read. kept: the lines only measured on. towns: those without faults."""

    lines: list[Line] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)
    generated: list[Example] = field(default_factory=list)
    towns: dict[str, list[Example]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def training(self) -> list[Example]:
        """What is learned from, without what is generated."""
        return [line.example for line in self.lines] + [e for found in self.towns.values() for e in found]


class LeafRow(NamedTuple):
    """Lines of one category. matters, said: in towns; written: utterances; made: from frames; lines: said, written."""

    leaf: str
    matters: int
    said: int
    written: int
    made: int
    lines: int
    missing: int


class IntentRow(NamedTuple):
    """Lines of one intent."""

    intent: str
    said: int
    written: int
    lines: int
    missing: int


class TownRow(NamedTuple):
    """One town in numbers. talk: the share of its messages that belong to no matter."""

    name: str
    messages: int
    talk: float
    matters: int
    leaves: int
    urgent: int
    sensitive: int
    withdrawn: int
    addressed: int


def gather(leaves: frozenset[str], *, progress: Progress = lambda what, share: None) -> Data:
    """Read everything and look for faults. A town with faults is not counted, and hides no other.

    progress: called with what is done and the share of the whole.
    """
    data = Data()
    frames: list[Line] = []
    for file in sorted(corpus.DATA.glob("*.yml")):
        lines, faults = audit.read(file, leaves)
        {corpus.REGRESSION: data.kept, generate.FILE: frames}.get(file.name, data.lines).extend(lines)
        data.faults += faults
    data.faults += audit.contradictions([*data.lines, *frames])
    data.faults += audit.contradictions(data.kept)
    _generate(data, frames)
    folders = corpus.towns() if (corpus.DATA / "towns").is_dir() else []
    for number, folder in enumerate(folders):
        progress(folder.name, number / len(folders))
        _town(data, folder, leaves)
    told = [example for found in data.towns.values() for example in found]
    data.faults += audit.against_towns(data.lines, told)
    written = [(line.where, line.example) for line in [*data.lines, *frames]]
    learned = written + [(f"{e.town}: {e.source}" if e.town else e.source, e) for e in [*told, *data.generated]]
    data.faults += audit.learned(data.kept, learned)
    return data


def _generate(data: Data, frames: Sequence[Line]) -> None:
    try:
        slots = generate.slots(corpus.DATA / generate.FILE) if frames else {}
    except generate.BadFrames as error:
        data.faults.append(Fault(generate.FILE, 0, "slots", str(error)))
        return
    if faults := audit.unfillable(frames, slots):
        data.faults += faults
        return
    data.generated = generate.filled([f.example for f in frames], slots, [line.example for line in data.lines])


def _town(data: Data, folder: Path, leaves: frozenset[str]) -> None:
    if faults := towncheck.check(folder, leaves):
        data.faults += faults
        return
    try:
        data.towns[folder.name] = list(corpus.town(folder))
    except (BadData, KeyError, ValueError) as error:
        data.faults.append(Fault(f"towns/{folder.name}", 0, "file", f"cannot be read: {error!r}"))


def per_leaf(data: Data, leaves: Iterable[str]) -> list[LeafRow]:
    """How much there is of each category."""
    told = [e for found in data.towns.values() for e in found if e.leaf]
    matters = Counter(e.leaf for e in told if e.intent == "report")
    said = Counter(e.leaf for e in told)
    written = Counter(line.example.leaf for line in data.lines)
    made = Counter(e.leaf for e in data.generated)
    return [
        LeafRow(leaf, matters[leaf], said[leaf], written[leaf], made[leaf], lines, max(0, ENOUGH - lines))
        for leaf in leaves
        for lines in [said[leaf] + written[leaf]]
    ]


def per_intent(data: Data) -> list[IntentRow]:
    """How much there is of each intent."""
    said = Counter(e.intent for found in data.towns.values() for e in found)
    written = Counter(line.example.intent for line in data.lines)
    return [
        IntentRow(intent, said[intent], written[intent], lines, max(0, ENOUGH - lines))
        for intent in INTENTS
        for lines in [said[intent] + written[intent]]
    ]


def per_mark(data: Data) -> list[tuple[str, int, int]]:
    """(mark, lines in towns, utterances)."""
    told = [e for found in data.towns.values() for e in found]
    marks: dict[str, Callable[[Example], bool]] = {
        "urgent": lambda e: e.urgent,
        "sensitive": lambda e: e.sensitive,
        "hard talk": lambda e: e.hard,
    }
    return [(name, sum(map(has, told)), sum(has(line.example) for line in data.lines)) for name, has in marks.items()]


def per_town(names: Iterable[str]) -> list[TownRow]:
    """The towns in numbers; only those that have no faults can be counted."""
    rows = []
    for name in names:
        folder = corpus.DATA / "towns" / name
        gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
        tickets = gold["tickets"]
        count = len((folder / "transcript.jsonl").read_text(encoding="utf-8").splitlines())
        owned = {message for ticket in tickets for message in ticket["messages"]}
        marked = Counter(mark for t in tickets for mark in ("urgent", "sensitive", "withdrawn") if t[mark])
        rows.append(
            TownRow(
                name, count, 1 - len(owned) / max(1, count), len(tickets), len({t["category"] for t in tickets}),
                marked["urgent"], marked["sensitive"], marked["withdrawn"], len(gold["addressed"]),
            )
        )  # fmt: skip
    return rows


def lengths(texts: Iterable[str]) -> list[int]:
    """Characters of the texts at QUANTILES."""
    sizes = sorted(map(len, texts))
    return [sizes[min(len(sizes) - 1, int(share * len(sizes)))] for share in QUANTILES] if sizes else []


def histogram(texts: Iterable[str]) -> list[tuple[str, int]]:
    """(characters from and to, how many texts); the last row is all that is longer."""
    sizes = list(map(len, texts))
    found = []
    low = 0
    for high in (*WIDTHS, max([*sizes, WIDTHS[-1]]) + 1):
        found.append((f"{low + 1} to {high}" if high in WIDTHS else f"over {low}", sum(low < s <= high for s in sizes)))
        low = high
    return found


def near_pairs(data: Data) -> list[tuple[Example, Example, float, bool]]:
    """Near-duplicates: (one, other, how alike, whether one of them is a copy that should go).

    A resident's own words found twice were copied; commands and ratings are the same in every town.
    """
    training = data.training
    keys = [near.key(example) for example in training]
    pairs = near.pairs(keys, [example.town or near.UTTERANCES for example in training])
    found = [(training[pair.first], training[pair.second], pair.share) for pair in pairs]
    return [(one, two, share, {one.intent, two.intent} <= OWN_WORDS) for one, two, share in found]
