"""Several claimers at once, on both databases: no row in two hands, nothing lost, doubled or out of order."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from models import inbox, queue
from models.database import Database
from models.inbox import Inbox
from models.queue import LeaseLost
from models.webchat import WebMessage
from tests.conftest import START
from tests.models.letters import letter

MESSAGES, CHATS = 500, 25


class Ticks:
    """A clock that goes one second forward whenever anybody looks at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = 0

    def __call__(self) -> timedelta:
        with self._lock:
            self._seconds += 1
            return timedelta(seconds=self._seconds)


class Claimer(threading.Thread):
    """One process of a deployment: a database connection of its own, and a habit of failing."""

    def __init__(self, url: str, seed: int, ticks: Ticks, lease: timedelta, clumsy: float) -> None:
        super().__init__()
        self.db = Database(url, threads=1)
        self.draw = random.Random(seed)
        self.ticks, self.lease, self.clumsy = ticks, lease, clumsy
        self.taken: list[tuple[int, str | None]] = []
        self.lost = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.waiting():
                self.round()
        except BaseException as error:  # the test's own thread raises it
            self.error = error
        finally:
            self.db.close()

    def waiting(self) -> bool:
        left = sa.select(sa.func.count()).select_from(Inbox).where(sa.text("finished_at IS NULL"))
        return bool(self.db.tx(lambda session: session.scalar(left)))

    def round(self) -> None:
        now = START + self.ticks()
        rows = self.db.tx(lambda session: queue.claim(session, Inbox, now=now, lease=self.lease, limit=8))
        self.taken += [(row.id or 0, row.lease) for row in rows]
        for row in rows:
            fate = self.draw.random()
            if fate < self.clumsy / 2:
                continue  # died with the row in its hands: the lease has to run out
            try:
                self.db.tx(self.giving_back(row) if fate < self.clumsy else self.handling(row))
            except LeaseLost:
                self.lost += 1

    def giving_back(self, row: Inbox) -> Callable[[Session], None]:
        at = START + self.ticks() + timedelta(seconds=self.draw.randrange(10))
        return lambda session: queue.retry(session, Inbox, row, at=at, error="again")

    def handling(self, row: Inbox) -> Callable[[Session], None]:
        now = START + self.ticks()

        def work(session: Session) -> None:
            # The effect comes first, so that only the rollback keeps it away when the lease is lost.
            line = WebMessage(client_id=f"{row.id}:{row.lease}", chat=row.chat, sender="bot", body=row.message, at=now)
            session.add(line)
            session.flush()
            queue.finish(session, Inbox, row, now=now, outcome="done")

        return work


def storm(url: str, lease: timedelta, clumsy: float) -> list[Claimer]:
    """Fill the inbox and let two claimers at it until it is empty."""
    draw = random.Random(20260302)
    ticks = Ticks()
    db = Database(url)
    messages = [letter(n, f"g{draw.randrange(CHATS)}") for n in range(MESSAGES)]
    db.tx(lambda session: inbox.receive(session, messages, START))
    claimers = [Claimer(url, seed, ticks, lease, clumsy) for seed in (1, 2)]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join(timeout=90)
        assert not claimer.is_alive()
        if claimer.error:
            raise claimer.error
    said: dict[str, list[str]] = defaultdict(list)
    for line in db.tx(lambda session: session.scalars(sa.select(WebMessage).order_by(sa.text("id"))).all()):
        said[line.chat].append(line.body)
    heard: dict[str, list[str]] = defaultdict(list)
    for message in messages:
        heard[message.chat].append(message.id)
    db.close()
    assert said == heard
    return claimers


def test_nobody_shares_a_row(db_url: str) -> None:
    claimers = storm(db_url, timedelta(days=1), 0.0)
    first, second = ({number for number, _ in claimer.taken} for claimer in claimers)
    assert first & second == set()
    assert sum(len(claimer.taken) for claimer in claimers) == MESSAGES
    assert sum(claimer.lost for claimer in claimers) == 0


def test_lost_leases_and_retries_keep_the_order(db_url: str) -> None:
    claimers = storm(db_url, timedelta(seconds=4), 0.3)
    taken = Counter(number for claimer in claimers for number, _ in claimer.taken)
    leases = Counter(pair for claimer in claimers for pair in claimer.taken)
    assert set(leases.values()) == {1}
    assert sum(taken.values()) > MESSAGES + 50, "the storm was too calm to show anything"
    assert sum(claimer.lost for claimer in claimers) > 0, "no lease was ever lost"


def test_two_doors_hear_the_same_message_once(db_url: str) -> None:
    start = threading.Barrier(2)
    counts: list[int] = []

    def hear() -> None:
        db = Database(db_url, threads=1)
        start.wait(timeout=30)
        for n in range(0, 200, 10):
            batch = [letter(k) for k in range(n, n + 10)]
            counts.append(db.tx(lambda session, batch=batch: inbox.receive(session, batch, START)))  # type: ignore[misc]
        db.close()

    doors = [threading.Thread(target=hear) for _ in range(2)]
    for door in doors:
        door.start()
    for door in doors:
        door.join(timeout=60)
    assert len(counts) == 40
    assert sum(counts) == 200


@pytest.mark.parametrize("order", [1, -1])
def test_a_batch_the_database_refused_is_told_again(db_url: str, order: int) -> None:
    """Two doors hear the same long batches in opposite order: PostgreSQL ends one of two that wait for each other.
    The platform, not having been answered, tells it again; nothing is lost and nothing doubled."""
    start = threading.Barrier(2)
    counts: list[int] = []
    refused: list[sa.exc.OperationalError] = []

    def hear(step: int) -> None:
        db = Database(db_url, threads=1)
        start.wait(timeout=30)
        for n in range(8):
            batch = [letter(f"{n}-{k}") for k in range(200)][::step]
            while len(refused) < 50:
                try:
                    counts.append(db.tx(lambda session, batch=batch: inbox.receive(session, batch, START)))  # type: ignore[misc]
                    break
                except sa.exc.OperationalError as error:
                    refused.append(error)
        db.close()

    doors = [threading.Thread(target=hear, args=(step,)) for step in (1, order)]
    for door in doors:
        door.start()
    for door in doors:
        door.join(timeout=60)
    assert len(counts) == 16, refused
    assert sum(counts) == 8 * 200
