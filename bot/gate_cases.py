"""What the gate asks: lone lines, a deployment's newer corrections, and whole towns, each with the truth of it."""

import csv
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bot.evaluation import PACK
from config.decisions import decisions
from nlu import corpus, lessons, store
from nlu.corpus import BadData, Example
from nlu.gate import Answer, Case
from nlu.gazetteer import NOWHERE
from nlu.lexicon import ALARM
from nlu.types import Context, Engine, Names, Understanding, Utterance

LEARNED, HELD = "learned.jsonl", "held.jsonl"  # beside a candidate
REGRESSION, CORRECTED = "regression", "corrections"
ROUNDS = 3  # each message is timed so often; the quickest counts, the others were disturbed
# What was open when a lone line of these intents was said: without it nobody could tell that it is one.
OPEN = {
    "join": Context(chat_ticket=10.0, pause=45.0),
    "detail": Context(own_ticket=3.0, chat_ticket=3.0, pause=3.0),
    "correct": Context(own_ticket=4.0, chat_ticket=4.0, pause=4.0),
    "withdraw": Context(own_ticket=20.0, chat_ticket=20.0, pause=20.0),
    "refuse": Context(own_ticket=240.0, chat_ticket=240.0, asked=True, pause=240.0),
    "rate": Context(direct=True, own_ticket=240.0, chat_ticket=240.0, asked=True, pause=240.0),
    "relay": Context(direct=True, role="leader"),
    "work": Context(direct=True, role="gridworker"),
}
TO_THE_BOT = frozenset({"status", "ask", "order", "human", "privacy"})
BESIDE = Context(chat_ticket=10.0, pause=45.0)  # every other line of talk is said where a matter is open
Rows = list[tuple[Case, Example]]


def parts(
    home: Path, known: Sequence[str], id_: str, against: str, names: Names, towns: Iterable[str]
) -> Iterator[tuple[str, Rows, Names]]:
    """(part, its cases, the names of its town) of the gate of a candidate, `id_`, `against` the artefact in force."""
    yield REGRESSION, list(regression(known)), NOWHERE
    seen = {one.key for other in (id_, against) for one in lessons.read(store.folder_of(home, other) / LEARNED, names)}
    held = [one for one in lessons.read(store.folder_of(home, id_) / HELD, names) if one.key not in seen]
    # Without the context in which it was heard nobody could say what it was.
    yield CORRECTED, [(_case(one.key, CORRECTED, e), e) for one in held if (e := one.example).context], names
    for folder in map(Path, towns):
        rows = list(town(folder))
        yield folder.name, rows, rows[0][1].names if rows else NOWHERE


def _case(id_: str, part: str, example: Example, intent: str | None = None) -> Case:
    e = example
    known = e.intent if intent is None else intent
    return Case(id_, part, e.text, known, e.leaf, e.urgent and e.intent == "report")


def regression(known: Sequence[str]) -> Iterator[tuple[Case, Example]]:
    """The lines only measured on, each where it could have been said."""
    for number, example in enumerate(corpus.utterances(corpus.DATA / corpus.REGRESSION, frozenset(known))):
        intent = example.intent
        context = OPEN.get(intent, Context(direct=True) if intent in TO_THE_BOT else Context())
        if intent == "chatter" and number % 2:
            context = BESIDE
        placed = replace(example, context=context)
        yield _case(f"{corpus.REGRESSION} {number + 1}", REGRESSION, placed), placed


def town(folder: Path) -> Iterator[tuple[Case, Example]]:
    """The messages of a pack. Without labels.csv only two things are known: what opens a matter, and what is talk.

    Raises BadData when a file is missing.
    """
    if missing := [name for name in PACK if not (folder / name).is_file()]:
        raise BadData(f"{folder.name}: there is no {', '.join(missing)}")
    labelled = (folder / "labels.csv").is_file()
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
    belongs = {message for ticket in gold["tickets"] for message in ticket["messages"]} | set(gold.get("addressed", ()))
    with tempfile.TemporaryDirectory(prefix="linsheng-pack-") as beside:
        copy = Path(beside) / folder.name
        copy.mkdir()
        for name in (*PACK, *(["labels.csv"] if labelled else [])):
            shutil.copyfile(folder / name, copy / name)
        if not labelled:
            with (copy / "labels.csv").open("w", encoding="utf-8", newline="") as rows:
                csv.writer(rows).writerow(["id", "intent"])
        for example in corpus.town(copy):
            unknown = not labelled and example.intent == "chatter" and example.source in belongs
            yield _case(f"{folder.name} {example.source}", folder.name, example, "" if unknown else None), example


def ask(engine: Engine, case: Case, example: Example, names: Names) -> Answer:
    """One engine's answer to one case, in its context."""
    utterance = Utterance(example.text, example.context or Context())
    quickest = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        said = engine.parse([utterance], names)[0]
        quickest = min(quickest, time.perf_counter() - begun)
    return answer(said, case, quickest)


def answer(said: Understanding, case: Case, seconds: float = 0.0) -> Answer:
    """What the gate compares of an understanding, at the thresholds in force (`handlers.context`)."""
    rules = decisions()
    kind, share = said.matters[0].categories[0]
    urgent = said.urgent >= rules.urgent or (kind in rules.urgent_kinds and share >= rules.urgent_kind)
    taken = said.p("report") >= (rules.quiet_urgent if said.urgent >= ALARM else rules.quiet)
    return Answer(
        intent=said.intent, p=said.intents[said.intent], leaf=kind, leaf_p=share, report=said.p("report"),
        truth=said.intents.get(case.intent, 0.0), taken=taken, alarm=urgent and taken, ms=1_000 * seconds,
    )  # fmt: skip
