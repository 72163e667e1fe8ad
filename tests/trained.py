"""The engine that tests share: trained once for the data and code as they are, by whoever needs it first.

`python -m tests.trained` does so beforehand: on a slow machine it takes longer than a test may.
"""

import fcntl
import os
import tempfile
from pathlib import Path

from bot.cli import show
from config.tables import leaves
from nlu.artefact import Progress
from nlu.embedded import EmbeddedEngine


def trained_home(progress: Progress = lambda what, share: None) -> Path:
    """A data folder with the trained engine in it, one for all tests of this user; processes wait for one another."""
    home = Path(tempfile.gettempdir()) / f"linsheng-tests-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        EmbeddedEngine.ready(home, leaves(), progress)
    return home


if __name__ == "__main__":
    with show.bar("engine") as bar:
        trained_home(bar.share)
