"""A town replayed through the product, and held against its gold."""

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.replay import replay
from handlers.workdays import WorkCalendar
from models.database import Database
from nlu.embedded import EmbeddedEngine
from tests.benchmarks.result import Figure
from tests.benchmarks.score import counts, figures, read_lines, read_town

# (name of the figure, floor of this stage, whether less is better)
FLOORS = (
    ("ticket F1", 0.75, False),
    ("right first time (of gold)", 0.40, False),
    ("dispatchable (of gold)", 0.50, False),
    ("false replies per 1,000 chatter", 15.0, True),
    ("urgent recall (of gold)", 0.9, False),
)


@dataclass(frozen=True)
class Played:
    """A replayed town: where its output lies, how many messages, how many seconds."""

    town: Path
    out: Path
    messages: int
    seconds: float


def play(town: Path, engine: EmbeddedEngine, folder: Path) -> Played:
    """Replay `town` with its own clock and a database of its own under `folder`."""
    db = Database(f"sqlite:///{folder / town.name}.db")
    started = time.perf_counter()
    try:
        found = replay(town, db, engine, WorkCalendar.configured(ZoneInfo("Asia/Shanghai")))
    finally:
        db.close()
    seconds = time.perf_counter() - started
    out = folder / f"{town.name}.jsonl"
    out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found.lines), encoding="utf-8")
    return Played(town, out, found.messages, seconds)


def score(played: Sequence[Played]) -> dict[str, float]:
    """The figures of several towns counted as one."""
    tally: Counter[str] = Counter()
    for one in played:
        tally += counts(read_town(one.town), read_lines(one.out))
    return figures(tally)


def floors(name: str, found: dict[str, float]) -> list[Figure]:
    """The figures that have a floor in this stage. What a town has nothing of (no urgent matter) is left out."""
    return [
        Figure(f"{key}, {name}", found[key], "", floor, "ceiling" if less else "floor", less, floor=True)
        for key, floor, less in FLOORS
        if not math.isnan(found[key])
    ]
