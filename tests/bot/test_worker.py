"""The worker: a message that cannot be handled stands in nobody's way."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot import worker as workers
from bot.worker import Worker
from config.settings import WorkerSettings
from handlers import past
from handlers.context import Context
from handlers.workdays import WorkCalendar
from models import inbox
from models.database import Database
from models.inbox import Inbox
from models.ticket import Status, Ticket
from nlu.types import Names, Understanding, Utterance
from tests.conftest import HandClock
from tests.engines import Deaf
from tests.models.letters import letter

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Choking(Deaf):
    """Everything is chatter, and one text makes it raise."""

    name = "choking"

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """The same for all."""
        if any("毒" in one.text for one in batch):
            raise RuntimeError("cannot take it")
        return super().parse(batch, names)


@pytest.fixture
def worker(town_db: Database, clock: HandClock) -> Worker:
    """Gives a message two tries."""
    calendar = WorkCalendar(ZoneInfo("Asia/Shanghai"))
    return Worker(town_db, Choking(), calendar, settings=WorkerSettings(attempts=2), clock=clock)


def heard(db: Database, *texts: str) -> None:
    """Each in a chat of its own, so that all are in one batch."""
    letters = [letter(number, f"c{number}", text=text) for number, text in enumerate(texts, 1)]
    db.tx(lambda session: inbox.receive(session, letters, NOW))


def rows(db: Database) -> list[Inbox]:
    return db.tx(lambda session: list(session.scalars(sa.select(Inbox).order_by(Inbox.id))))  # type: ignore[arg-type]


@pytest.mark.parametrize("payload", ["{", '{"id": "m2"}', '{"nobody": "knows this field"}'])
def test_a_row_that_cannot_be_read_is_buried_and_the_others_go_on(
    town_db: Database, worker: Worker, payload: str
) -> None:
    heard(town_db, "早", "早", "早")
    broken = sa.update(Inbox).where(Inbox.message == "m2").values(payload=payload)  # type: ignore[arg-type]
    town_db.tx(lambda session: session.connection().execute(broken))
    assert worker.step() == 3
    found = rows(town_db)
    assert [row.outcome == inbox.DEAD for row in found] == [False, True, False]
    assert all(row.finished_at for row in found)
    assert found[1].error == "the payload cannot be read"


def test_a_batch_of_nothing_but_broken_rows_is_no_end(town_db: Database, worker: Worker) -> None:
    """0 would say that there is nothing to do."""
    heard(town_db, "早")
    town_db.tx(lambda session: session.connection().execute(sa.update(Inbox).values(payload="")))
    assert (worker.step(), worker.step()) == (1, 0)


def test_what_the_engine_cannot_take_waits_and_is_buried_at_last(
    town_db: Database, worker: Worker, clock: HandClock
) -> None:
    heard(town_db, "早", "毒", "早")
    worker.step()
    first, guilty, last = rows(town_db)
    assert first.finished_at
    assert last.finished_at
    assert (guilty.finished_at, guilty.lease, guilty.error, guilty.attempts) == (None, None, "RuntimeError", 1)
    assert guilty.visible_at > clock()
    for _ in range(2):
        clock.forward(minutes=1)
        worker.step()
    assert rows(town_db)[1].outcome == inbox.DEAD


def test_a_past_that_cannot_be_recalled_stops_only_its_own(
    town_db: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recall(session: object, town: object, found: Sequence[Inbox]) -> object:
        if any(row.message == "m1" for row in found):
            raise ValueError("m1")
        return past.recall(session, town, found)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "recall", recall)
    heard(town_db, "早", "早")
    worker.step()
    assert [bool(row.finished_at) for row in rows(town_db)] == [False, True]


def test_a_ticket_that_another_worker_changed_meanwhile_is_handled_with_what_it_wrote(
    town_db: Database, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two transactions on one ticket: the second one sees that it is too late, and is done again at once."""
    tries: list[int] = []
    first = town_db.tx(_ticket)

    def meddling(ctx: Context) -> str:
        ticket = ctx.session.get_one(Ticket, first)
        ticket.summary += "我"
        tries.append(1)
        if len(tries) == 1:
            other = sa.update(Ticket).where(col(Ticket.id) == first)
            # Somebody else's transaction would have counted the version up.
            ctx.session.connection().execute(other.values(summary="别人", version=Ticket.version + 1))
        ctx.session.add(ticket)
        return "detail"

    monkeypatch.setattr(workers, "handle", meddling)
    heard(town_db, "早")
    assert worker.step() == 1
    (row,) = rows(town_db)
    assert (row.outcome, row.attempts, len(tries)) == ("detail", 1, 2)


def _ticket(session: Session) -> int:
    ticket = Ticket(
        status=Status.REPORTED, category="facility.lighting", tier=1, channel="web", chat="c1", reporter="u01",
        opened_at=NOW, last_message_at=NOW,
    )  # fmt: skip
    session.add(ticket)
    session.flush()
    return ticket.id or 0
