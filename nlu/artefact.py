"""The trained artefact: what it is made of, and where it lies. Loads no training library."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from nlu import corpus

# All that training runs through; `embedded.py` only asks what was trained.
CODE = (
    "corpus.py", "features.py", "gazetteer.py", "grammar.py", "heads.py", "lexicon.py", "normalize.py", "timeline.py",
    "train.py", "types.py", "variants.txt",
)  # fmt: skip
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
