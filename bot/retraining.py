"""A candidate from the data that ship and the corrections, and its gate: kept beside it, and asked for by `promote`."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot import gate_cases
from bot.gate_cases import HELD, LEARNED
from bot.learning import alive, lessons
from bot.training import alone
from models.database import Database
from nlu import artefact, corpus, gate, store
from nlu import lessons as files
from nlu.artefact import Progress
from nlu.embedded import EmbeddedEngine
from nlu.gate import Answer, Case, Verdict
from nlu.heads import Heads
from nlu.lessons import Lesson
from nlu.store import NotPossible
from nlu.types import Names


@dataclass(frozen=True)
class Retrained:
    """A candidate. learned, held: lessons. removed: older candidates that went. fresh: False when it was there."""

    id: str
    learned: list[Lesson]
    held: list[Lesson]
    removed: list[str]
    fresh: bool


@dataclass(frozen=True)
class Judged:
    """A gate. cases, current, candidate: what was asked and answered, in the same order."""

    id: str
    against: str
    towns: tuple[str, ...]
    cases: list[Case]
    current: list[Answer]
    candidate: list[Answer]
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        """The candidate may be promoted."""
        return gate.passed(self.verdicts)


def retrain(
    home: Path, known: Sequence[str], db: Database | None, at: datetime, progress: Progress = lambda what, share: None
) -> Retrained:
    """Train on what ships and on the older part of what staff put right; the newer part is kept for the gate.

    db: None where there is no deployment yet. Raises NotPossible when that would be the engine that ships.
    """
    progress("reading the corrections", 0.0)
    found = db.tx(lessons) if db else []
    learned, held = files.divide(found)
    if not learned and store.running(home, known) == store.shipped(home, known):
        raise NotPossible("there is nothing to learn from: no correction, no reviewed sample, and no other data.")
    with alone(home):
        if db:
            _forget(home, db.tx(alive))
        id_ = _name(known, learned)
        folder = store.folder_of(home, id_)
        fresh = bool(store.unfit(home, id_, known))
        if fresh:
            heads = _train(known, learned, progress)
            heads.facts["data"] = id_
            folder.mkdir(parents=True, exist_ok=True)
        files.write(folder / LEARNED, learned)
        files.write(folder / HELD, held)
        if fresh:
            facts = {
                "at": at.isoformat(timespec="seconds"), "reading": artefact.reading(known),
                "shipped": artefact.fingerprint(known), "learned": len(learned), "held": len(held),
            }  # fmt: skip
            store.save(home, id_, heads, facts)
        return Retrained(id_, learned, held, store.tidy(home, id_), fresh)


def _train(known: Sequence[str], learned: Sequence[Lesson], progress: Progress) -> Heads:
    from nlu.train import train  # noqa: PLC0415 - a second of imports that no other command needs

    return train([*corpus.everything(frozenset(known)), *(one.example for one in learned)], known, progress=progress)


def _name(known: Sequence[str], learned: Iterable[Lesson]) -> str:
    """The hash of data, code, categories and corrections; the same ones make the same candidate."""
    digest = hashlib.sha256(artefact.fingerprint(known).encode())
    for one in learned:
        e = one.example
        digest.update(repr((one.key, e.text, e.intent, e.leaf, e.urgent, e.sensitive, e.context)).encode())
    return digest.hexdigest()[:16]


def _forget(home: Path, keys: set[str]) -> None:
    """Words live no longer beside an artefact than in the database."""
    for id_ in store.candidates(home):
        for name in (LEARNED, HELD):
            files.forget(store.folder_of(home, id_) / name, keys)


def judge(
    home: Path, known: Sequence[str], id_: str, names: Names, towns: Iterable[Path] = (),
    progress: Progress = lambda what, share: None,
) -> Judged:  # fmt: skip
    """Ask the candidate and the engine in force the same, compare, and keep the verdicts beside the candidate.

    names: of the deployment's places. towns: packs with transcript and gold; one that was given for this pair before
    stays in its gate. Raises NotPossible, BadData.
    """
    if why := store.unfit(home, id_, known):
        raise NotPossible(f"the candidate {id_!r} {why}: `linsheng nlu retrain` makes one.")
    progress("the engine in force", 0.0)
    current = EmbeddedEngine.ready(home, known, progress)
    against = str(current.heads.facts["data"])
    if against == id_:
        raise NotPossible(f"{id_} is in force already.")
    file = _file(home, id_, against)
    folders = sorted({str(folder.resolve()) for folder in towns} | set(_kept(file).get("towns", ())))
    candidate = EmbeddedEngine(Heads.load(store.folder_of(home, id_)))
    cases, answers = [], ([], [])  # type: tuple[list[Case], tuple[list[Answer], list[Answer]]]
    parts = list(gate_cases.parts(home, known, id_, against, names, folders))
    whole = max(1, sum(len(rows) for _, rows, _ in parts))
    for part, rows, here in parts:
        for case, example in rows:
            progress(part, len(cases) / whole)
            cases.append(case)
            for engine, said in zip((current, candidate), answers, strict=True):
                said.append(gate_cases.ask(engine, case, example, here))
    found = Judged(id_, against, tuple(folders), cases, *answers, gate.judge(cases, *answers))
    store.put(file, {
        "candidate": id_, "against": against, "data": artefact.fingerprint(known), "passed": found.passed,
        "towns": folders, "verdicts": [asdict(verdict) for verdict in found.verdicts],
    })  # fmt: skip
    return found


def promote(home: Path, known: Sequence[str], id_: str, at: datetime) -> str:
    """Put a candidate in force whose gate against exactly what is in force has passed. Returns what was before.

    Raises NotPossible; nothing has changed then.
    """
    with alone(home):
        if why := store.unfit(home, id_, known):
            raise NotPossible(f"the candidate {id_!r} {why}: `linsheng nlu retrain` makes one.")
        against = store.running(home, known).name
        if against == id_:
            raise NotPossible(f"{id_} is in force already.")
        kept = _kept(_file(home, id_, against))
        if not kept or kept["data"] != artefact.fingerprint(known):
            raise NotPossible(f"no gate of {id_} against {against}, which is in force: `linsheng nlu gate {id_}`.")
        if not kept["passed"]:
            failed = ", ".join(f"{row['check']} ({row['part']})" for row in kept["verdicts"] if not row["passed"])
            raise NotPossible(f"{id_} has not passed its gate: {failed}.")
        store.promote(home, id_, at)
        return against


def _file(home: Path, id_: str, against: str) -> Path:
    return store.folder_of(home, id_) / f"gate-{against}.json"


def _kept(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
