"""`linsheng replay`: a town's own chat history through the real pipeline."""

import json
import tempfile
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import show
from bot.replay import Replay
from bot.replay import replay as run
from config.settings import load_settings
from config.tables import category_name, leaves
from handlers.workdays import WorkCalendar
from models.database import Database
from nlu.embedded import EmbeddedEngine
from nlu.reader.wanted import wanted

TOP = 8


class EngineName(StrEnum):
    """Which engine understands."""

    EMBEDDED = "embedded"


def replay(
    town: Annotated[Path, typer.Argument(help="A town pack with transcript.jsonl.")],
    out: Annotated[Path | None, typer.Option(help="Write tickets, replies and alerts here, as JSON lines.")] = None,
    engine: Annotated[EngineName, typer.Option(help="Which engine understands.")] = EngineName.EMBEDDED,
) -> None:
    """Play a transcript through the real pipeline, with the clock of its messages and a database of its own."""
    settings = load_settings()
    with show.bar("engine") as bar:
        second = wanted(settings.reader, settings.home, leaves())
        ready = EmbeddedEngine.ready(settings.home, leaves(), bar.share, second)
    with tempfile.TemporaryDirectory(prefix="linsheng-replay-") as folder, show.bar("messages") as bar:
        db = Database(f"sqlite:///{folder}/replay.db")
        try:
            found = run(town, db, ready, WorkCalendar.configured(settings.zone), progress=bar.count)
        finally:
            db.close()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found.lines), encoding="utf-8")
    show.table(("", engine.value), summary(found), title=town.resolve().name)


def summary(found: Replay) -> list[tuple[str, object]]:
    """Lines of the table: what the bot did with the messages."""
    tickets = [line for line in found.lines if line["kind"] == "ticket"]
    replies = [line for line in found.lines if line["kind"] == "reply"]
    answered = {line["trigger"] for line in replies if line["trigger"]}
    silent = 1 - len(answered) / found.messages if found.messages else 1.0
    kinds = Counter(category_name(ticket["category"]) for ticket in tickets).most_common(TOP)
    return [
        ("messages", found.messages),
        ("tickets", len(tickets)),
        *((f"  {name}", count) for name, count in kinds),
        ("urgent", sum(ticket["urgent"] for ticket in tickets)),
        ("withdrawn", sum(ticket["withdrawn"] for ticket in tickets)),
        ("replies", len(replies)),
        ("alerts", sum(line["kind"] == "alert" for line in found.lines)),
        ("silent after", f"{silent:.1%} of the messages"),
    ]
