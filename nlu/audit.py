"""Misannotation in the written utterances: every fault with its file, its line and its field, none hides another.

What `corpus.utterances` refuses is found here too, and much that it would learn from without a word.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nlu import generate, near
from nlu.corpus import ENTITY, ONLY, BadData, Example, annotated
from nlu.normalize import normalize
from nlu.types import INTENTS

# Things that are never a place by themselves: 电梯 in [电梯](location)坏了 says what, not where.
_THINGS = """
    电梯 路灯 楼道灯 灯 井盖 电动车 电瓶车 自行车 三轮车 水管 水龙头 马桶 充电桩 插座
    门禁 门禁卡 道闸 对讲 灭火器 消防栓 电线 线 变压器 配电箱 摄像头 监控 垃圾 垃圾桶
    暖气 暖气片 空调 空调外机 水表 电表 气表 燃气表 老鼠 蟑螂 狗 猫 树 树枝
    电瓶 快递 煤气罐 红绿灯 减速带 健身器材 秋千 广告 小广告
"""
THINGS = frozenset(_THINGS.split())
MARKS = frozenset({"urgent", "sensitive", "hard", "plain", "only"})
# Marks that only a matter can have: talk is not urgent.
OF_MATTERS = ("urgent", "sensitive")
EDGE = re.compile(r"^[\s,，。.、;；:：!！?？~～]|[\s,，。.、;；:：!！?？~～]$")
# What is left of an annotation that lost a mark or a bracket.
_ENTITY = r"[（(]\s*(?:location|object)\b"
REMAINS = re.compile(rf"\[[^\[\]]*\]\s*[（(]\s*[A-Za-z_]+\s*[)）]?|{_ENTITY}")
BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to mend. line: counted from 1, 0 for the file as a whole. field: key or column."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: field `{self.field}`: {self.message}"


@dataclass(frozen=True, slots=True)
class Line:
    """One written utterance and where it stands."""

    file: str
    number: int
    example: Example

    @property
    def where(self) -> str:
        """`chatter.yml:12`."""
        return f"{self.file}:{self.number}"

    @property
    def meaning(self) -> str:
        """The intent as it is written: `report/facility.elevator`."""
        return "/".join(filter(None, (self.example.intent, self.example.leaf)))


def read(file: Path, leaves: frozenset[str]) -> tuple[list[Line], list[Fault]]:
    """The good lines of one file, and what is wrong with the others."""
    text = file.read_text(encoding="utf-8")
    try:
        content: Any = yaml.safe_load(text)
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        nodes = next(value.value for name, value in root.value if name.value == "nlu")
        blocks = list(zip(content["nlu"], nodes, strict=True))
    except (yaml.YAMLError, AttributeError, KeyError, StopIteration, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        return [], [Fault(file.name, mark.line + 1 if mark else 0, "nlu", f"cannot be read: {error}")]
    lines: list[Line] = []
    faults: list[Fault] = []
    for block, node in blocks:
        start = node.start_mark.line + 1
        if wrong := list(_block(block, leaves)):
            faults += (Fault(file.name, start, field, message) for field, message in wrong)
            continue
        intent, _, leaf = block["intent"].partition("/")
        marks = block.get("metadata") or {}
        examples = next(value for name, value in node.value if name.value == "examples")
        if examples.style != "|":
            faults.append(Fault(file.name, start, "examples", "they stand line by line under `examples: |`"))
            continue
        for number, raw in enumerate(block["examples"].splitlines(), examples.start_mark.line + 2):
            if not raw.strip():
                continue
            found = list(_line(raw))
            faults += (Fault(file.name, number, "examples", message) for message in found)
            if found:
                continue
            plain, spans = annotated(raw.strip()[2:].strip())
            example = Example(
                plain, intent, leaf, urgent=bool(marks.get("urgent")), sensitive=bool(marks.get("sensitive")),
                hard=bool(marks.get("hard")), spans=spans, source=file.name,
            )  # fmt: skip
            lines.append(Line(file.name, number, example))
    return lines, faults


def _block(block: Any, leaves: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it) of one block."""
    if not isinstance(block, dict) or not isinstance(block.get("intent"), str):
        yield "intent", "a block begins with `- intent:`"
        return
    intent, _, leaf = block["intent"].partition("/")
    if intent not in INTENTS:
        yield "intent", f"there is no intent {intent!r}"
    elif intent == "report" and leaf not in leaves:
        yield "intent", f"there is no category {leaf!r}" if leaf else "a report names its category: report/top.leaf"
    elif leaf and leaf not in leaves:
        yield "intent", f"there is no category {leaf!r}"
    marks = block.get("metadata") or {}
    if not isinstance(marks, dict) or not set(marks) <= MARKS:
        yield "metadata", f"{marks!r}: known are {', '.join(sorted(MARKS))}"
    else:
        yield from (("metadata", message) for mark in marks.items() for message in _mark(*mark, intent))
    if not isinstance(block.get("examples"), str) or not block["examples"].strip():
        yield "examples", "there are none; they follow `examples: |`"


def _mark(name: str, value: object, intent: str) -> Iterator[str]:
    """What is wrong with one mark of a block."""
    if name == "only":
        if value not in ONLY:
            yield f"only: {value!r} is none of {', '.join(ONLY)}"
    elif not isinstance(value, bool):
        yield f"{name}: {value!r} is neither true nor false"
    elif value and name in OF_MATTERS and intent == "chatter":
        yield f"talk is never {name}"
    elif value and name == "hard" and intent != "chatter":
        yield "only talk is hard"


def _line(raw: str) -> Iterator[str]:
    """What is wrong with one line as it is written."""
    line = raw.strip()
    if line == "-":
        yield "the line is empty"
        return
    if not line.startswith("- "):
        yield f"an example begins with '- ': {line!r}"
        return
    try:
        text, spans = annotated(line[2:].strip())
    except BadData as error:
        yield str(error)
        return
    if remains := REMAINS.search(ENTITY.sub("", line[2:])):
        yield f"the annotation is not balanced at {remains.group()!r}"
    for start, end, entity in spans:
        piece = text[start:end]
        if EDGE.search(piece):
            yield f"the {entity} {piece!r} begins or ends with a blank or a mark"
        elif entity == "location" and piece in THINGS:
            yield f"{piece!r} is marked as a location and is a thing"


def same(text: str) -> str:
    """Texts with the same answer here are the same: normalised, without blanks."""
    return BLANK.sub("", normalize(text))


def contradictions(lines: Iterable[Line]) -> list[Fault]:
    """Lines that stand twice, or that mean one thing here and another there."""
    faults = []
    groups: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[same(line.example.text)].append(line)
    for first, *others in groups.values():
        for line in others:
            one, two = first.example, line.example
            if line.meaning != first.meaning:
                message = f"is {line.meaning} here and {first.meaning} in {first.where}"
                faults.append(Fault(line.file, line.number, "intent", f"{two.text!r} {message}"))
            elif [mark for mark in OF_MATTERS if getattr(one, mark) != getattr(two, mark)]:
                message = f"has other marks in {first.where}"
                faults.append(Fault(line.file, line.number, "metadata", f"{two.text!r} {message}"))
            else:
                message = f"stands in {first.where} already"
                faults.append(Fault(line.file, line.number, "examples", f"{two.text!r} {message}"))
    return faults


def unfillable(frames: Iterable[Line], known: Mapping[str, generate.Slot]) -> list[Fault]:
    """Frames with a slot that has no words, or that stands inside an annotation."""
    faults = []
    for line in frames:
        try:
            generate.fill(line.example, known, random.Random(generate.SEED))  # noqa: S311 - repeatable, not secret
        except generate.BadFrames as error:
            faults.append(Fault(line.file, line.number, "examples", str(error)))
    return faults


def against_towns(lines: Iterable[Line], towns: Iterable[Example]) -> list[Fault]:
    """Reports of a kind that are urgent or private as an utterance, and not in a town, word for word the same."""
    said = {(same(e.text), e.leaf): e for e in towns if e.intent == "report" and e.leaf}
    faults = []
    for line in lines:
        mine = line.example
        theirs = said.get((same(mine.text), mine.leaf)) if mine.intent == "report" else None
        for mark in OF_MATTERS if theirs else ():
            if theirs and getattr(mine, mark) != getattr(theirs, mark):
                message = f"{mine.text!r}: `{mark}` is otherwise in {theirs.town}: {theirs.source}"
                faults.append(Fault(line.file, line.number, "metadata", message))
    return faults


def learned(kept: Iterable[Line], training: Iterable[tuple[str, Example]]) -> list[Fault]:
    """Lines kept for measuring that are trained on all the same, also with places and numbers masked.

    training: (where it stands, the example).
    """
    exact: dict[str, str] = {}
    masked: dict[str, str] = {}
    for where, example in training:
        exact.setdefault(same(example.text), where)
        if len(key := near.key(example)) >= near.SHORT:
            masked.setdefault(key, where)
    faults = []
    for line in kept:
        at = exact.get(same(line.example.text)) or masked.get(near.key(line.example))
        if at:
            faults.append(Fault(line.file, line.number, "examples", f"{line.example.text!r} is trained on in {at}"))
    return faults
