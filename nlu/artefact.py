"""The trained artefact: what it is made of, and where it lies. Loads no training library."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from nlu import corpus

CODE = ("features.py", "grammar.py", "normalize.py", "corpus.py", "timeline.py", "train.py", "variants.txt")
# What is being done, and the share of the whole.
Progress = Callable[[str, float], None]


def fingerprint(leaves: Iterable[str]) -> str:
    """The hash of everything the artefact is made of: the training data, the code, the categories."""
    digest = hashlib.sha256(",".join(leaves).encode())
    here = Path(__file__).parent
    files = [here / name for name in CODE] + sorted(path for path in corpus.DATA.rglob("*") if path.is_file())
    for file in files:
        digest.update(file.relative_to(here).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
