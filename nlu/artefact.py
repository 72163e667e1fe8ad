"""The trained artefact: what it is made of, and where it lies. Loads no training library."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from nlu import corpus

# All that training runs through; `embedded.py` only asks what was trained.
CODE = (
    "bags.py", "calibrate.py", "corpus.py", "features.py", "gazetteer.py", "generate.py", "grammar.py", "grams.py",
    "head.py", "headfit.py", "heads.py", "judge.py", "judgefit.py", "lexicon.py", "normalize.py", "ragged.py",
    "sounds.py", "spanfit.py", "spans.py", "syllables.txt", "timeline.py", "train.py", "types.py", "variants.txt",
)  # fmt: skip
# What a message becomes before the weights see it. Weights learned through other features would read at random.
READING = (
    "features.py", "gazetteer.py", "grammar.py", "grams.py", "head.py", "heads.py", "judge.py", "lexicon.py",
    "normalize.py", "ragged.py", "sounds.py", "spans.py", "syllables.txt", "timeline.py", "types.py", "variants.txt",
)  # fmt: skip
HERE = Path(__file__).parent
# What is being done, and the share of the whole.
Progress = Callable[[str, float], None]


def fingerprint(leaves: Iterable[str]) -> str:
    """The hash of everything the artefact is made of: the training data, the code, the categories."""
    files = [HERE / name for name in CODE] + sorted(
        path for path in corpus.DATA.rglob("*") if path.is_file() and path.name != corpus.REGRESSION
    )
    return _hash(leaves, files)


def reading(leaves: Iterable[str]) -> str:
    """The hash of what an artefact must agree with to be of use, whatever it was trained on: the code that turns a
    message into features, and the categories."""
    return _hash(leaves, [HERE / name for name in READING])


def _hash(leaves: Iterable[str], files: Iterable[Path]) -> str:
    digest = hashlib.sha256(",".join(leaves).encode())
    for file in files:
        digest.update(file.relative_to(HERE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
