"""Tables and progress bars as all commands show them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

out = Console()
err = Console(stderr=True)
LABELS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on standard output. Numbers stand on the right; nothing in a cell is taken for markup."""
    lines = [list(row) for row in rows]
    shown = Table(title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        numeric = bool(lines) and all(isinstance(line[number], int | float) for line in lines)
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for line in lines:
        shown.add_row(*(LABELS.get(str(cell)) or escape(_cell(cell)) for cell in line))
    out.print(shown)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


class Bar:
    """A progress bar that is told what is done and the share of the whole."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=1.0)

    def share(self, what: str, share: float) -> None:
        """what: the step. share: 0 to 1."""
        self._progress.update(self._task, description=what, completed=share)

    def count(self, done: int, whole: int) -> None:
        """So many of so many."""
        self._progress.update(self._task, completed=done, total=whole)


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """A bar on standard error, so that standard output can go to a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield Bar(progress, what)
