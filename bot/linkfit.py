"""Fits the points of config/link.yaml: which signs tell that a message belongs to a ticket.

The training towns are replayed with engines that have not seen them; each pair of a message and a ticket that the
linker looked at is an example, right if a careful reader put both into the same matter.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bot.replay import replay
from config.links import link_rules
from handlers import assembly
from handlers.context import Context
from handlers.workdays import WorkCalendar
from models.database import Database
from models.ticket import Ticket
from nlu import corpus
from nlu.artefact import Progress
from nlu.embedded import EmbeddedEngine
from nlu.train import train
from nlu.types import Engine

TABLE = Path(__file__).parents[1] / "config" / "link.yaml"
FOLDS = 5
PENALTY = 1.0
ASIDE = frozenset({"status", "rate", "ask", "work"})  # what is asked or said about a matter is no part of it


@dataclass(frozen=True)
class Pair:
    """A message and a ticket that it might belong to."""

    town: str
    message: str
    ticket: int
    signs: dict[str, float]
    right: bool = False


class Watch:
    """Keeps every pair that the linker weighs, while it is entered."""

    def __init__(self, town: str) -> None:
        self.town = town
        self.found: list[Pair] = []

    def __call__(self, ctx: Context, ticket: Ticket, signs: dict[str, float]) -> None:
        """See `handlers.assembly.watching`."""
        if ctx.understanding.intent not in ASIDE:
            self.found.append(Pair(self.town, ctx.message.id, ticket.id or 0, signs))


def pairs(folder: Path, engine: Engine, zone: ZoneInfo) -> Iterator[Pair]:
    """What the linker looked at in one town, and whether it is right."""
    gold: list[dict[str, Any]] = json.loads((folder / "gold.json").read_text(encoding="utf-8"))["tickets"]
    owners: dict[str, set[str]] = {}
    for ticket in gold:
        for message in ticket["messages"]:
            owners.setdefault(message, set()).add(ticket["id"])
    watch = Watch(folder.name)
    with tempfile.TemporaryDirectory(prefix="linsheng-fit-") as beside, assembly.watching(watch):
        db = Database(f"sqlite:///{beside}/town.db")
        try:
            out = replay(folder, db, engine, WorkCalendar.configured(zone))
        finally:
            db.close()
    about: dict[int, str] = {}
    for line in out.lines:
        if line["kind"] == "ticket":
            votes = Counter(owner for message in line["messages"] for owner in owners.get(message, ()))
            if votes:
                about[int(line["id"].removeprefix("LS"))] = votes.most_common(1)[0][0]
    for pair in watch.found:
        yield Pair(pair.town, pair.message, pair.ticket, pair.signs,
                   about.get(pair.ticket, "") in owners.get(pair.message, ()))  # fmt: skip


def unseen(leaves: Sequence[str], zone: ZoneInfo, *, progress: Progress = lambda what, share: None) -> list[Pair]:
    """The pairs of all training towns, each read by an engine that has not seen it. Many minutes."""
    folders = corpus.towns()
    found: list[Pair] = []
    for fold in range(FOLDS):
        out = folders[fold::FOLDS]
        progress(f"training without {len(out)} towns", fold / FOLDS)
        engine = EmbeddedEngine(
            train(corpus.everything(frozenset(leaves), without=frozenset(f.name for f in out)), leaves)
        )
        for number, folder in enumerate(out):
            progress(f"replaying {folder.name}", (fold + number / len(out)) / FOLDS)
            found += pairs(folder, engine, zone)
    return found


def fit(found: Sequence[Pair], penalty: float = PENALTY) -> dict[str, float]:
    """Points for each sign: a logistic regression over the pairs, held to the prior by a ridge."""
    prior, fixed = link_rules().prior, link_rules().fixed
    names = sorted(({sign for pair in found for sign in pair.signs} | prior.keys()) - fixed.keys())
    column = {sign: i for i, sign in enumerate(names)}
    before = np.array([prior.get(name, 0.0) for name in names])
    rows: NDArray[np.float64] = np.zeros((len(found), len(names)))
    for i, pair in enumerate(found):
        for sign, value in pair.signs.items():
            if sign in column:
                rows[i, column[sign]] = value
    given = np.array([sum(fixed.get(sign, 0.0) * value for sign, value in pair.signs.items()) for pair in found])
    right = np.array([float(pair.right) for pair in found])

    def loss(points: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores, off = rows @ points + given, points - before
        likely = 1 / (1 + np.exp(-scores))
        return (
            float((np.logaddexp(0, scores) - right * scores).sum() + penalty * off @ off / 2),
            rows.T @ (likely - right) + penalty * off,
        )

    best = minimize(loss, before, jac=True, method="L-BFGS-B", options={"maxiter": 800})
    return {name: round(float(value), 2) for name, value in zip(names, best.x, strict=True)}


def scores(found: Sequence[Pair], worth: dict[str, float], least: float) -> tuple[int, int, int]:
    """Of the messages, how many go to the right ticket, to a wrong one, and how many miss the one they belong to."""
    worth = worth | link_rules().fixed
    by_message: dict[tuple[str, str], list[Pair]] = {}
    for pair in found:
        by_message.setdefault((pair.town, pair.message), []).append(pair)
    right = wrong = missed = 0
    for group in by_message.values():
        points = {id(p): sum(worth.get(s, 0.0) * v for s, v in p.signs.items()) for p in group}
        best = max(group, key=lambda p: points[id(p)])
        taken = points[id(best)] >= least
        right += taken and best.right
        wrong += taken and not best.right
        missed += any(p.right for p in group) and not (taken and best.right)
    return right, wrong, missed


def left_out(found: Sequence[Pair], least: float) -> Iterator[tuple[str, int, int, int]]:
    """For each town the counts of `scores`, with points fitted on the others."""
    for name in sorted({pair.town for pair in found}):
        worth = fit([pair for pair in found if pair.town != name])
        yield name, *scores([pair for pair in found if pair.town == name], worth, least)


def write(worth: dict[str, float], file: Path = TABLE) -> None:
    """Put the points into the table; everything above them stays as it is."""
    head = re.split(r"^points:.*", file.read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    lines = "".join(f"  {json.dumps(sign, ensure_ascii=False)}: {value}\n" for sign, value in sorted(worth.items()))
    fresh = file.with_suffix(".yaml.new")
    fresh.write_text(f"{head}points:\n{lines}", encoding="utf-8")
    fresh.replace(file)
