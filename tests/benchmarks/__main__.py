"""`python -m tests.benchmarks [NAME …] [--json FILE]`: figures, each beside a floor or a peer from the same run."""

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bot import logs
from tests.benchmarks.result import Bench, Figure, Result

NAMES = ("callbacks", "pipeline", "latency", "nlu", "spans", "reader", "rasa", "replay", "towns", "public", "chaos")
WIDE = 170  # columns, where nobody looks at a terminal
LABELS = {"ok": "[green]ok[/]", "fail": "[red]below[/]", "": ""}


def main(arguments: list[str]) -> int:
    """Runs what is named, or all. Returns 1 when a figure misses its floor or a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {' '.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    asked = parser.parse_args(arguments)
    if strange := [name for name in asked.names if name not in NAMES]:
        parser.error(f"there is no benchmark {strange[0]!r}; there are {', '.join(NAMES)}")
    logs.configure("error", json=False)
    console, err = Console(), Console(stderr=True)
    if not console.is_terminal:
        console = Console(width=WIDE)
    results: dict[str, Result] = {}
    for name in asked.names or NAMES:
        started = time.perf_counter()
        err.print(f"[bold]{name}[/]")
        with Bench(lambda line: err.print(f"  {line}", markup=False, highlight=False)) as bench:
            results[name] = import_module(f"tests.benchmarks.bench_{name}").run(bench)
        why = f"skipped: {results[name].skipped}; " if results[name].skipped else ""
        err.print(f"  {why}{time.perf_counter() - started:.0f} s", markup=False, highlight=False)
    console.print(table(results))
    faults = [fault for result in results.values() for fault in result.faults]
    for fault in faults:
        console.print(f"[red]broken[/] {fault}")
    if asked.json:
        asked.json.write_text(json.dumps(as_json(results), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    below = any(figure.verdict == "fail" for result in results.values() for figure in result.figures)
    return int(below or bool(faults))


def table(results: dict[str, Result]) -> Table:
    """All figures as one table."""
    shown = Table("benchmark", "figure", title_justify="left")
    shown.add_column("value", justify="right")
    shown.add_column("floor or peer", justify="right")
    shown.add_column("beside")
    shown.add_column("ratio", justify="right")
    shown.add_column("verdict")
    for name, result in results.items():
        if result.skipped:
            shown.add_row(name, "skipped", "", "", result.skipped, "", "")
        for figure in result.figures:
            shown.add_row(name, *_cells(figure))
        shown.add_section()
    return shown


def _cells(figure: Figure) -> list[str]:
    return [
        figure.name,
        f"{_short(figure.value)} {figure.unit}".strip(),
        "" if figure.against is None else _short(figure.against),
        figure.beside,
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        LABELS[figure.verdict],
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def as_json(results: dict[str, Result]) -> dict[str, Any]:
    """The same for programs."""
    return {
        name: {
            "skipped": result.skipped,
            "faults": list(result.faults),
            "figures": [
                {
                    "name": f.name, "value": f.value, "unit": f.unit, "against": f.against, "beside": f.beside,
                    "ratio": f.ratio, "verdict": f.verdict,
                }
                for f in result.figures
            ],
        }
        for name, result in results.items()
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
