"""Writes the training data as Rasa reads them: `nlu.yml` and `domain.yml`. The same examples, its own grammar."""

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from nlu import corpus, generate
from nlu.corpus import Example
from nlu.gazetteer import STOP
from nlu.normalize import normalize
from nlu.types import INTENTS
from nlu.wording import as_rasa_reads, fits, intent_name

SEED = 20260302
# The training of Rasa takes a time that goes with the lines, and shall stay below two minutes: so much of the towns'
# talk and of the generated lines is kept, drawn with the seed; of all that somebody wrote as an example, everything.
CHATTER = 5_000
GENERATED = 3_000
VERSION = '"3.1"'
# Shapes that the featurizer marks; they are hints, and no entities by themselves.
SHAPES = {
    "building": r"(?:\d{1,3}|[a-z]|[一二三四五六七八九十]{1,3})(?:号楼|栋|幢|座|#|号院|排)",
    "unit": r"(?:\d{1,2}|[一二三四五六七八九甲乙丙])单元",
    "room": r"(?<!\d)\d{3,4}(?:室|房|户)",
    "telephone": r"1\d{10}|12345|119|110|120",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. intents: lines of each. names: places in the lookup table. left_out: lines over the caps."""

    intents: Counter[str]
    names: int
    left_out: int


def export(folder: Path, leaves: Sequence[str], names: Iterable[str] = (), *, chatter: int = CHATTER) -> Exported:
    """Write `nlu.yml` and `domain.yml` into `folder`, which is made if need be. The same data give the same bytes.

    leaves: the categories of the deployment. names: those of its places, beside the training towns'. chatter: how many
    lines of the towns' talk are kept. Raises BadData.
    """
    chosen = settled(corpus.everything(frozenset(leaves)))
    kept = capped(chosen, lambda e: bool(e.town) and e.intent == "chatter", chatter)
    kept = capped(kept, lambda e: e.source == generate.FILE, GENERATED)
    places = lookup([*names, *(name for town in corpus.towns() for name in _names(town))])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nlu.yml").write_text("".join(_file(kept, places)), encoding="utf-8")
    known = [name for name in INTENTS if name != "report"] + [intent_name("report", leaf) for leaf in leaves]
    domain = f"version: {VERSION}\n{yaml.safe_dump({'intents': known, 'entities': sorted(corpus.ENTITIES)})}"
    (folder / "domain.yml").write_text(domain, encoding="utf-8")
    return Exported(Counter(_name(e) for e in kept), len(places), len(chosen) - len(kept))


def settled(examples: Iterable[Example]) -> list[Example]:
    """One example for each text that Rasa may learn, of the intent it has most often; chatter where two are as often.

    Rasa sees no context, and 好的 cannot be talk and a detail at once. An annotated one stands for its equals. Reports
    of an unknown kind are left out, and what is written for the kind or for danger alone: Rasa's intents are the
    kinds, and places are often not marked there.
    """
    said: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        text = as_rasa_reads(example.text)
        unknown = example.intent == "report" and not example.leaf
        if fits(text) and not unknown and not example.only:
            said[text.strip()].append(example)
    return [_commonest(alike) for alike in said.values()]


def _commonest(alike: list[Example]) -> Example:
    counts = Counter(_name(example) for example in alike)
    name = min(counts, key=lambda name: (-counts[name], name != "chatter", name))
    return max((example for example in alike if _name(example) == name), key=lambda example: not example.town)


def capped(examples: Sequence[Example], which: Callable[[Example], bool], most: int) -> list[Example]:
    """`examples` with at most so many of `which`, drawn with a fixed seed; the order stays."""
    found = [i for i, example in enumerate(examples) if which(example)]
    if len(found) <= most:
        return list(examples)
    draw = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    dropped = set(found) - set(draw.sample(found, most))
    return [example for i, example in enumerate(examples) if i not in dropped]


def lookup(names: Iterable[str]) -> list[str]:
    """Names for Rasa's lookup table: normalised, each once, without those that the gazetteer leaves out too."""
    found = {as_rasa_reads(name).strip() for name in names}
    return sorted(name for name in found if len(name) >= 2 and name not in STOP and not name.isdigit())


def annotated(example: Example) -> str:
    """One line in Rasa's words: `〔吐〕` for residents' brackets, `[3栋](location)` for ours."""
    text, parts, last = as_rasa_reads(example.text), [], 0
    for start, end, entity in example.spans:
        parts += [text[last:start], f"[{text[start:end]}]({entity})"]
        last = end
    return "".join([*parts, text[last:]]).strip()


def _name(example: Example) -> str:
    leaf = example.leaf if example.intent == "report" else ""
    return intent_name(example.intent, leaf)


def _file(examples: Sequence[Example], places: Sequence[str]) -> Iterator[str]:
    """Blocks of lone utterances, then of the towns' messages, which nobody has annotated: the CRF leaves those out."""
    blocks: defaultdict[tuple[bool, str], list[str]] = defaultdict(list)
    for example in examples:
        blocks[bool(example.town), _name(example)].append(annotated(example))
    yield f"# Written by `linsheng nlu export`; edit nlu/data instead.\nversion: {VERSION}\nnlu:\n"
    for (town, name), lines in sorted(blocks.items()):
        yield f"- intent: {name}\n"
        if town:
            yield "  metadata:\n    annotated: false\n"
        yield "  examples: |\n"
        yield from (f"    - {line}\n" for line in lines)
    yield from (f"- regex: {name}\n  examples: |\n    - {shape}\n" for name, shape in SHAPES.items())
    if places:
        yield "- lookup: location\n  examples: |\n"
        yield from (f"    - {name}\n" for name in places)


def _names(town: Path) -> Iterator[str]:
    with (town / "places.csv").open(encoding="utf-8-sig", newline="") as rows:
        for row in csv.DictReader(rows):
            yield from filter(None, [normalize(row["name"]), *row["aliases"].split("|")])
