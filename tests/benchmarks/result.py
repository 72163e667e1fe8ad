"""What a benchmark hands back, and what it may use of the machine."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from sqlalchemy.engine import make_url

from models import schema
from models.database import Database
from tests.databases import Postgres, migrated, own_server
from tests.trained import trained_home

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    against: the floor, or the peer's figure from the same run, as `beside` says. less: smaller is better. A figure
    without a floor has no verdict: it stands beside its peer.
    """

    name: str
    value: float
    unit: str
    against: float | None = None
    beside: str = ""
    less: bool = False
    floor: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times the other figure this one is."""
        return self.value / self.against if self.against else None

    @property
    def verdict(self) -> str:
        """`ok`, `fail` or nothing."""
        if not self.floor or self.against is None:
            return ""
        good = self.value <= self.against if self.less else self.value >= self.against
        return "ok" if good else "fail"


@dataclass(frozen=True)
class Result:
    """The figures of one benchmark. skipped: why there are none. faults: promises broken on the way."""

    figures: Sequence[Figure] = ()
    skipped: str = ""
    faults: Sequence[str] = field(default=())


class Bench:
    """A folder, databases, the trained engine, and somebody to tell how far it is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """say: shows a progress line."""
        self.say = say
        self._stack = ExitStack()
        self._server: Postgres | None = None
        self._home: Path | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def home(self) -> Path:
        """A data folder with the trained engine."""
        if self._home is None:
            self.say("training the engine, unless it is there")
            self._home = trained_home()
        return self._home

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="linsheng-bench-") as name:
            yield Path(name)

    @contextmanager
    def database(self, kind: str) -> Iterator[str]:
        """The address of a migrated, empty database that forgets nothing in a power cut. kind: sqlite, postgresql.

        Raises ImportError where there is no PostgreSQL to be had.
        """
        if kind == SQLITE:
            with self.folder() as folder:
                url = f"sqlite:///{folder / 'bench.db'}"
                db = Database(url)
                schema.upgrade(db)
                db.close()
                yield url
            return
        if self._server is None:
            self._server = Postgres(self._stack.enter_context(own_server()))
            self._stack.callback(self._server.close)
        name = self._server.create(migrated)
        try:
            yield make_url(self._server.at(name)).render_as_string(hide_password=False)
        finally:
            self._server.drop(name)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
