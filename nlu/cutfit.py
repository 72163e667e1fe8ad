"""Fits the model of nlu/cuts.json: messages of the training towns that open several matters, against all that open one.

Every message is read by heads that have not seen its town; or the parts would look surer than they are in life.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from nlu import corpus, cuts, features
from nlu.artefact import Progress
from nlu.cuts import Model
from nlu.embedded import MANY, MANY_LIKELY, EmbeddedEngine
from nlu.head import Floats
from nlu.look import OBJECT
from nlu.normalize import normalize
from nlu.train import train
from nlu.types import Context

FOLDS = 4
LEAST = 0.6  # chosen by leaving towns out: few wrong cuts, since one makes two wrong tickets of a right one
RARE = 3.0  # what a true cut weighs against a wrong one


@dataclass(frozen=True)
class Told:
    """A message: the leaves it opens, and the signs and leaves of each possible cut."""

    town: str
    opens: frozenset[str]
    cuts: tuple[tuple[Floats, frozenset[str]], ...]


def told(engine: EmbeddedEngine, folder: Path) -> Iterator[Told]:
    """The messages of a town that could be cut; what belongs to a matter without opening it says nothing and is left
    out."""
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))["tickets"]
    opens: dict[str, set[str]] = {}
    uses = Counter(message for ticket in gold for message in ticket["messages"])
    for ticket in gold:
        opens.setdefault(ticket["opened_by"], set()).add(ticket["category"])
    leaves = engine.heads.heads["leaf"].labels
    for example in corpus.town(folder):
        found = opens.get(example.source, set())
        if len(found) < 2 and uses[example.source] > 1:
            continue
        text = normalize(example.text)
        spans = features.places(text, example.names)
        seen = features.mask(text, spans)
        context = features.tokens(example.context or Context(), seen, spans)
        reader = cuts.Reader(engine.heads, [seen], engine.heads.sums([context]))
        (whole,) = reader.parts([(0, 0, len(seen))])
        if len(text) < MANY or whole.report < MANY_LIKELY:
            continue
        possible = []
        for place in cuts.possible(seen, 0, len(seen)):
            first, second = reader.parts([(0, 0, place), (0, place, len(seen))])
            kinds = frozenset({leaves[first.kind], leaves[second.kind]})
            possible.append((cuts.signs(seen, place, first, second, whole, OBJECT), kinds))
        if possible:
            yield Told(folder.name, frozenset(found), tuple(possible))


def unseen(leaves: Sequence[str], *, progress: Progress = lambda what, share: None) -> list[Told]:
    """All towns, each read by heads trained on the towns of the other folds. Minutes."""
    folders = corpus.towns()
    found: list[Told] = []
    for fold in range(FOLDS):
        out = folders[fold::FOLDS]
        progress(f"without {', '.join(f.name for f in out)}", fold / FOLDS)
        heads = train(corpus.everything(frozenset(leaves), without=frozenset(f.name for f in out)), leaves)
        for folder in out:
            found += told(EmbeddedEngine(heads), folder)
    return found


def fit(found: Sequence[Told]) -> Model:
    """The points. A message of several matters gives its best cut as an example, any other all of its cuts."""
    rows: list[Floats] = []
    labels: list[int] = []
    for message in found:
        if len(message.opens) < 2:
            rows += [signs for signs, _ in message.cuts]
            labels += [0] * len(message.cuts)
            continue
        right = [signs for signs, kinds in message.cuts if kinds == message.opens]
        right = right or [signs for signs, kinds in message.cuts if len(kinds) > 1 and kinds & message.opens]
        if right:
            rows.append(max(right, key=lambda signs: float(signs[0])))
            labels.append(1)
    data: NDArray[np.float32] = np.array(rows)
    fitted = LogisticRegression(C=1.0, max_iter=3000, class_weight={0: 1.0, 1: RARE}).fit(data, labels)
    return Model(fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0]), LEAST)


def write(model: Model, file: Path = cuts.FILE) -> None:
    """Keep the points where `nlu.cuts` reads them."""
    points = {name: round(float(value), 3) for name, value in zip(cuts.names(), model.points, strict=True)}
    about = {"bias": round(model.bias, 3), "least": model.least, "points": points}
    file.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def left_out(found: Sequence[Told]) -> tuple[int, int, int]:
    """Of the messages with several matters: how many there are, and how many are cut, with points fitted without their
    town; and how many of the others are cut that should not be."""
    many = right = wrong = 0
    for town in sorted({message.town for message in found}):
        rules = fit([message for message in found if message.town != town])
        for message in (m for m in found if m.town == town):
            best = max(float(signs @ rules.points) + rules.bias for signs, _ in message.cuts)
            done = best >= float(np.log(rules.least / (1 - rules.least)))
            several = len(message.opens) > 1
            many, right, wrong = many + several, right + (several and done), wrong + (done and not several)
    return many, right, wrong
