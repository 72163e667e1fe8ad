"""Fits the points of config/place.yaml: which signs tell the place that a careful reader meant."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bot.replay import transcript
from config.places import group_of, place_rules
from handlers.clues import Candidate, Where, candidates
from handlers.town import Town, load
from models.database import Database
from models.message import Incoming, Kind
from models.schema import upgrade
from models.townimport import import_pack
from models.townpack import read_pack
from nlu import features
from nlu.normalize import normalize

TABLE = Path(__file__).parents[1] / "config" / "place.yaml"
FLOATS = NDArray[np.float64]
SPREADING = ("supply", "around")
LEAST = 8  # a sign seen more rarely gets no points
PENALTY = 1.5  # chosen by leaving each town out in turn


@dataclass(frozen=True)
class Sample:
    """One gold matter: what could be meant, and which of it is right (none, if the gazetteer does not show it)."""

    town: str
    kind: str
    found: tuple[Candidate, ...]
    right: tuple[int, ...]
    grid: str
    place: str | None
    root: str | None


def town_of(folder: Path) -> Town:
    """The town of a pack, without a deployment. Raises BadPack."""
    pack = read_pack(folder)
    with tempfile.TemporaryDirectory(prefix="linsheng-fit-") as beside:
        db = Database(f"sqlite:///{beside}/town.db")
        try:
            upgrade(db)
            db.tx(lambda session: import_pack(session, pack))
            return db.tx(load)
        finally:
            db.close()


def samples(folder: Path) -> Iterator[Sample]:
    """The matters of one town whose opening message tells of nothing else."""
    town = town_of(folder)
    said = {m.id: m for m in transcript(folder / "transcript.jsonl")}
    gold: list[dict[str, Any]] = json.loads((folder / "gold.json").read_text(encoding="utf-8"))["tickets"]
    uses = Counter(message for ticket in gold for message in ticket["messages"])
    for ticket in gold:
        opened = said[ticket["opened_by"]]
        if uses[opened.id] > 1:
            continue
        told = [said[i] for i in ticket["messages"] if said[i].sender == opened.sender and uses[i] == 1]
        # Where the category is unknown, no kind that means places in its own way may speak for it.
        known = ticket["category"]
        if group_of(known) in SPREADING and any(said[i].sender != opened.sender for i in ticket["messages"]):
            continue  # its place may be what the neighbours made of it
        for kind in (known, "") if group_of(known) == "thing" else (known,):
            found = tuple(candidates(town, _where(town, opened, told, kind)))
            right = tuple(
                i
                for i, c in enumerate(found)
                if c.place == ticket["place"] and (c.place or (c.grid or town.root) == ticket["grid"])
            )
            yield Sample(folder.name, kind, found, right, ticket["grid"], ticket["place"], town.root)


def _where(town: Town, opened: Incoming, told: Sequence[Incoming], category: str) -> Where:
    text = " ".join(m.words for m in told)
    pin = next((m for m in told if m.kind == Kind.LOCATION), opened)
    person, chat = town.person(opened.channel, opened.sender), town.chats.get((opened.channel, opened.chat))
    return Where(
        text=text, spans=tuple(features.places(normalize(text), town.names)), home=person.home if person else None,
        chat_grid=chat.grid if chat else None, lon=pin.lon, lat=pin.lat, label=pin.label, kind=category,
    )  # fmt: skip


def fit(found: Sequence[Sample], penalty: float = PENALTY) -> dict[str, float]:
    """Points for each sign: a conditional logit over the candidates of each matter, held to the prior by a ridge."""
    prior = place_rules().prior
    counts = Counter(sign for sample in found for c in sample.found for sign in c.signs)
    names = sorted(sign for sign, count in counts.items() if count >= LEAST or sign in prior)
    before = np.array([prior.get(name, 0.0) for name in names])
    column = {sign: i for i, sign in enumerate(names)}
    known = [sample for sample in found if sample.right]
    sizes = [len(sample.found) for sample in known]
    rows: FLOATS = np.zeros((sum(sizes), len(names)))
    right = np.zeros(sum(sizes), dtype=bool)
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    for start, sample in zip(starts, known, strict=True):
        right[start + np.array(sample.right)] = True
        for i, candidate in enumerate(sample.found):
            for sign in candidate.signs:
                if sign in column:
                    rows[start + i, column[sign]] += 1
    group = np.repeat(np.arange(len(known)), sizes)

    def loss(points: FLOATS) -> tuple[float, FLOATS]:
        scores = rows @ points
        powers = np.exp(scores - np.maximum.reduceat(scores, starts)[group])
        total, good = np.add.reduceat(powers, starts), np.add.reduceat(powers * right, starts)
        slope = rows.T @ (powers / total[group] - powers * right / good[group])
        return float(
            np.log(total / good).sum() + penalty * (points - before) @ (points - before) / 2
        ), slope + penalty * (points - before)

    best = minimize(loss, before, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    unseen = {sign: value for sign, value in prior.items() if sign not in column}
    return unseen | {
        sign: round(float(value), 2) for sign, value in zip(names, best.x, strict=True) if abs(value) >= 0.01
    }


def share_right(found: Sequence[Sample], worth: dict[str, float]) -> tuple[float, float]:
    """Of the matters, the share whose place and grid are right, and whose grid is."""
    both = grids = 0
    known = [sample for sample in found if sample.kind]
    for sample in known:
        best = max(sample.found, key=lambda c: sum(worth.get(sign, 0.0) for sign in c.signs))
        grid = (best.grid or sample.root) == sample.grid
        grids += grid
        both += grid and best.place == sample.place
    return both / max(1, len(known)), grids / max(1, len(known))


def left_out(found: Sequence[Sample]) -> Iterator[tuple[str, int, float, float]]:
    """For each town: its matters, and the shares right with points fitted on the others."""
    for name in sorted({sample.town for sample in found}):
        mine = [sample for sample in found if sample.town == name]
        yield (
            name,
            sum(1 for sample in mine if sample.kind),
            *share_right(mine, fit([sample for sample in found if sample.town != name])),
        )


def write(worth: dict[str, float], file: Path = TABLE) -> None:
    """Put the points into the table; everything above them stays as it is."""
    head = re.split(r"^points:.*", file.read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    lines = "".join(f"  {json.dumps(sign, ensure_ascii=False)}: {value}\n" for sign, value in sorted(worth.items()))
    fresh = file.with_suffix(".yaml.new")
    fresh.write_text(f"{head}points:\n{lines}", encoding="utf-8")
    fresh.replace(file)
