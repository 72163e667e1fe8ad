"""The gate as a page to read: one HTML file that needs nothing beside it and no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from bot.retraining import Judged
from config.tables import category_name
from nlu import gate
from nlu.gate import KINDS, Answer, Case

TEMPLATES = Path(__file__).parent / "web" / "templates"
SIZE = 220  # of the calibration plot, in pixels
SHADES = 6


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class in numbers; shares before and with the candidate."""

    kind: str
    name: str
    cases: int
    recall: float
    recall_now: float
    precision: float
    precision_now: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a confusion matrix. shade: 0 to SHADES of its row's share. right: on the diagonal."""

    count: int
    shade: int
    right: bool


@dataclass(frozen=True, slots=True)
class Dot:
    """One bin of the calibration plot: where it stands, how large, and what it says."""

    x: float
    y: float
    r: float
    title: str


def render(found: Judged, at: str) -> str:
    """The page. at: when the gate was held, as it is shown."""
    texts = {case.id: case.text for case in found.cases}
    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    parts = list(dict.fromkeys(case.part for case in found.cases))
    return page.get_template("gate.html").render(
        found=found, at=at, texts=texts, size=SIZE, least=gate.CLASS_LEAST, loss=gate.CLASS_LOSS,
        parts=[(part, sum(case.part == part for case in found.cases)) for part in parts],
        classes=[row for kind in KINDS for row in _classes(found, kind)],
        matrices=[(kind, *_matrix(found.cases, found.candidate, kind)) for kind in ("top category", "intent")],
        plots=[
            (name, _plot(found.cases, said), gate.calibration_error(found.cases, said))
            for name, said in (("in force", found.current), ("candidate", found.candidate))
        ],
        misses=[
            (case, answer, what, _named(case.leaf), _named(answer.leaf))
            for case, answer, what in gate.worst(found.cases, found.candidate)
        ],
    )  # fmt: skip


def _named(leaf: str) -> str:
    return category_name(leaf) if leaf else ""


def _pairs(cases: Sequence[Case], answers: Sequence[Answer], kind: str) -> tuple[list[str], list[str]]:
    of, said = KINDS[kind]
    rows = [(of(case), said(answer)) for case, answer in zip(cases, answers, strict=True) if of(case)]
    return [row[0] for row in rows], [row[1] for row in rows]


def _classes(found: Judged, kind: str) -> list[ClassRow]:
    truth, was = _pairs(found.cases, found.current, kind)
    _, now = _pairs(found.cases, found.candidate, kind)
    before, after = gate.recalls(truth, was), gate.recalls(truth, now)
    return [
        ClassRow(kind, name, count, recall, after[name][1], precision, after[name][2])
        for name, (count, recall, precision) in before.items()
    ]


def _matrix(cases: Sequence[Case], answers: Sequence[Answer], kind: str) -> tuple[list[str], list[list[Cell]]]:
    labels, counts = gate.confusion(*_pairs(cases, answers, kind))
    rows = []
    for number, row in enumerate(counts):
        whole = max(1, sum(row))
        rows.append([Cell(n, -(-SHADES * n // whole), number == other) for other, n in enumerate(row)])
    return labels, rows


def _plot(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Dot]:
    rows = gate.reliability(cases, answers)
    most = max((count for _, _, count in rows), default=1)
    return [
        Dot(
            round(p * SIZE, 1), round((1 - right) * SIZE, 1), round(3 + 7 * (count / most) ** 0.5, 1),
            f"sure {p:.2f}, right {right:.2f}, {count} messages",
        )
        for p, right, count in rows
    ]  # fmt: skip
