"""Reads what the engines are trained on: utterances (Rasa NLU 3.1 YAML) and whole towns (the bench format)."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from nlu import generate
from nlu.gazetteer import NOWHERE, Gazetteer
from nlu.timeline import Heard, Timeline
from nlu.types import INTENTS, Context, Names

DATA = Path(__file__).parent / "data"
REGRESSION = "regression.yml"  # lines once understood wrongly: measured on, never learned from
ENTITY = re.compile(r"\[([^\[\]]+)\]\((\w+)\)")
ENTITIES = frozenset({"location", "object"})


class BadData(Exception):
    """The training data cannot be used; the message names file and line or key."""


ONLY = ("matter", "danger")


@dataclass(frozen=True, slots=True)
class Example:
    """One thing an engine should know. spans: (start, end, entity) in `text`. leaf: "" where no matter is meant.

    town: where it was said; "" for a lone utterance. context: None where nothing is known of it. corrected: staff of a
    deployment said what it is; such messages have a weight of their own, and say nothing of how often they are said.
    plain: said in so many words, as people write everywhere, though towns have little of it. only: what it is
    written for, one of ONLY; the rest learns nothing from it. `matter`: which kind of matter, how urgent and private,
    but not whether it is one. `danger`: whether life is in danger. unsaid: it belongs to an urgent matter and does not
    open it; whether its own words show that, nobody has said.
    """

    text: str
    intent: str
    leaf: str = ""
    urgent: bool = False
    sensitive: bool = False
    hard: bool = False
    town: str = ""
    context: Context | None = None
    spans: tuple[tuple[int, int, str], ...] = ()
    names: Names = NOWHERE
    source: str = ""
    corrected: bool = False
    plain: bool = False
    only: str = ""
    unsaid: bool = False


def annotated(line: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """`[3栋](location)[电梯](object)坏了` → the plain text and its spans. Raises BadData on other entities."""
    spans: list[tuple[int, int, str]] = []
    plain, last = "", 0
    for match in ENTITY.finditer(line):
        plain += line[last : match.start()]
        if match[2] not in ENTITIES:
            raise BadData(f"there is no entity {match[2]!r} in {line!r}")
        spans.append((len(plain), len(plain) + len(match[1]), match[2]))
        plain += match[1]
        last = match.end()
    plain += line[last:]
    if "](" in plain:
        raise BadData(f"the annotation is not balanced in {line!r}")
    return plain, tuple(spans)


def utterances(file: Path, leaves: frozenset[str]) -> Iterator[Example]:
    """The lines of one YAML file. Raises BadData naming file and intent."""
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    for block in content.get("nlu", []):
        intent, _, leaf = block["intent"].partition("/")
        if intent not in INTENTS or (leaf and leaf not in leaves) or (intent == "report" and not leaf):
            raise BadData(f"{file.name}: there is no intent {block['intent']!r}")
        marks = block.get("metadata") or {}
        for line in block["examples"].splitlines():
            if not (line := line.strip()):
                continue
            if not line.startswith("- "):
                raise BadData(f"{file.name}: {block['intent']}: an example begins with '- ': {line!r}")
            try:
                text, spans = annotated(line[2:].strip())
            except BadData as error:
                raise BadData(f"{file.name}: {block['intent']}: {error}") from error
            yield Example(
                text=text, intent=intent, leaf=leaf, urgent=bool(marks.get("urgent")),
                sensitive=bool(marks.get("sensitive")), hard=bool(marks.get("hard")), spans=spans, source=file.name,
                plain=bool(marks.get("plain")), only=str(marks.get("only", "")),
            )  # fmt: skip


def town(folder: Path) -> Iterator[Example]:
    """The messages of one town, each with the context in which a careful listener would have heard it."""
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
    owners: dict[str, list[dict[str, Any]]] = {}
    for ticket in gold["tickets"]:
        for message in ticket["messages"]:
            owners.setdefault(message, []).append(ticket)
    labels = {row["id"]: row["intent"] for row in _rows(folder / "labels.csv")}
    names = Gazetteer(
        (name, row["code"])
        for row in _rows(folder / "places.csv")
        for name in [row["name"], *row["aliases"].split("|")]
        if name
    )
    roles = {row["user"]: row["role"] for row in reversed(_rows(folder / "people.csv")) if row["user"]}
    direct = {row["chat"] for row in _rows(folder / "chats.csv") if row["kind"] == "direct"}
    timeline = Timeline()
    with (folder / "transcript.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            m = json.loads(line)
            mine = owners.get(m["id"], [])
            intent = labels.get(m["id"], "chatter")
            if intent not in INTENTS:
                raise BadData(f"{folder.name}/labels.csv: {m['id']}: there is no intent {intent!r}")
            if any(ticket["opened_by"] == m["id"] for ticket in mine):
                intent = "report"
            heard = Heard(
                at=datetime.fromisoformat(m["at"]).timestamp() / 60, chat=m["chat"], sender=m["sender"], id=m["id"],
                kind=m["type"], text=m.get("text", ""), direct=m["chat"] in direct,
                mentioned="bot" in m.get("mentions", ()), role=roles.get(m["sender"], "resident"),
                quote=m.get("quote"),
            )  # fmt: skip
            context = timeline.context(heard)
            timeline.add(heard, tickets=tuple(ticket["id"] for ticket in mine), ended=intent == "withdraw")
            text = "\n".join([heard.text, *(item["text"] for item in m.get("forwarded", ()))]).strip()
            if text:
                yield Example(
                    text=text, intent=intent, leaf=mine[0]["category"] if len(mine) == 1 else "",
                    urgent=intent == "report" and any(ticket["urgent"] for ticket in mine),
                    unsaid=intent != "report" and any(ticket["urgent"] for ticket in mine),
                    sensitive=any(ticket["sensitive"] for ticket in mine),
                    town=folder.name, context=context, names=names, source=m["id"],
                )  # fmt: skip


def towns() -> list[Path]:
    """Folders of the training towns that ship."""
    return sorted(path for path in (DATA / "towns").iterdir() if (path / "gold.json").is_file())


def files() -> list[Path]:
    """The files of written utterances; not the frames, and not what is only measured on."""
    return [file for file in sorted(DATA.glob("*.yml")) if file.name not in {REGRESSION, generate.FILE}]


def everything(leaves: frozenset[str], *, without: frozenset[str] = frozenset()) -> list[Example]:
    """All training examples; `without` names towns that are left out. Generated lines stand behind the written ones."""
    found = [example for file in files() for example in utterances(file, leaves)]
    if (frames := DATA / generate.FILE).is_file():
        try:
            found += generate.filled(list(utterances(frames, leaves)), generate.slots(frames), found)
        except generate.BadFrames as error:
            raise BadData(str(error)) from error
    for folder in towns():
        if folder.name not in without:
            found += town(folder)
    return found


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise BadData(f"{file.parent.name}: there is no {file.name}")
    with file.open(encoding="utf-8-sig", newline="") as rows:
        return list(csv.DictReader(rows))
