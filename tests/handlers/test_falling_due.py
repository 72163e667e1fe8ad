"""Deadlines when the working calendar changes: counted anew from where they were counted."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot import scheduler
from bot.scheduler import Sweeper
from handlers.desk import Desk
from handlers.falling_due import recount
from handlers.town import Town
from handlers.workdays import WorkCalendar
from handlers.workflow import Actor, move
from models.database import Database
from models.deadline import Deadline
from models.ticket import Status, Ticket, TicketEvent
from tests.conftest import HandClock
from tests.models.letters import open_ticket

SHANGHAI = ZoneInfo("Asia/Shanghai")
OLD = WorkCalendar(SHANGHAI)
# The Thursday of that week turns out to be free; nothing else differs.
NEW = WorkCalendar(SHANGHAI, extra_free=frozenset({date(2026, 3, 5)}))


class Diary:
    """Tickets opened on Monday 2026-03-02 08:00 and counted with the old calendar; then the clock stands at `now`."""

    def __init__(self, db: Database, town: Town, clock: HandClock) -> None:
        self.db, self.town, self.clock = db, town, clock

    def desk(self, session: Session, calendar: WorkCalendar) -> Desk:
        return Desk(session, self.town, self.clock(), calendar, "test")

    def opened(self, **fields: object) -> int:
        """A ticket of tier 3 unless told otherwise, with its deadlines. Returns its id."""

        def write(session: Session) -> int:
            ticket = open_ticket(session, self.clock(), **({"tier": 3} | fields))
            self.desk(session, OLD).schedule(ticket, self.clock())
            return ticket.id or 0

        return self.db.tx(write)

    def change(self, ticket: int, work: Callable[[Session, Ticket], object]) -> None:
        self.db.tx(lambda session: work(session, session.get_one(Ticket, ticket)))

    def recount(self, calendar: WorkCalendar = NEW, limit: int = 100) -> int:
        return self.db.tx(lambda session: recount(self.desk(session, calendar), limit))

    def rows(self, ticket: int) -> dict[str, Deadline]:
        found = sa.select(Deadline).where(Deadline.ticket == ticket).order_by(Deadline.id)  # type: ignore[arg-type]
        return self.db.tx(lambda session: {row.kind: row for row in session.scalars(found)})

    def ends(self, ticket: int) -> str:
        return f"{self.rows(ticket)['settle'].due_at.astimezone(SHANGHAI):%m-%d %H:%M}"

    def history(self, ticket: int) -> list[tuple[str, str]]:
        found = sa.select(TicketEvent).where(TicketEvent.ticket == ticket)  # type: ignore[arg-type]
        return self.db.tx(lambda session: [(event.what, event.note) for event in session.scalars(found)])


@pytest.fixture
def diary(town_db: Database, demo_town: Town, clock: HandClock) -> Diary:
    return Diary(town_db, demo_town, clock)


def test_a_row_says_what_it_was_counted_from_and_with(diary: Diary) -> None:
    rows = diary.rows(diary.opened())
    assert {row.since for row in rows.values()} == {datetime(2026, 3, 2, tzinfo=UTC)}
    assert {row.calendar for row in rows.values()} == {OLD.version} != {NEW.version}


def test_a_day_that_became_free_moves_deadline_and_reminder(diary: Diary) -> None:
    ticket = diary.opened()
    assert diary.ends(ticket) == "03-10 00:00"
    before = diary.rows(ticket)
    diary.clock.forward(days=1)

    assert diary.recount() == 2
    assert diary.ends(ticket) == "03-11 00:00"
    assert diary.history(ticket) == [("recounted", "2026-03-09 24:00 → 2026-03-10 24:00")]
    after = diary.rows(ticket)
    since = before["settle"].since
    share = (before["remind"].due_at - since) / (before["settle"].due_at - since)
    assert (after["remind"].due_at - since) / (after["settle"].due_at - since) == pytest.approx(share)
    assert {row.calendar for row in after.values()} == {NEW.version}


def test_once_is_enough(diary: Diary) -> None:
    ticket = diary.opened()
    diary.recount()
    assert diary.recount() == 0
    assert len(diary.history(ticket)) == 1


def test_and_back_again(diary: Diary) -> None:
    ticket = diary.opened()
    diary.recount()
    diary.recount(OLD)
    assert diary.ends(ticket) == "03-10 00:00"
    assert [what for what, _ in diary.history(ticket)] == ["recounted", "recounted"]


def test_a_limit_without_working_days_keeps_its_moment_and_says_nothing(diary: Diary) -> None:
    ticket = diary.opened(tier=2)
    before = diary.rows(ticket)
    assert diary.recount() == 2
    assert {kind: row.due_at for kind, row in diary.rows(ticket).items()} == {k: r.due_at for k, r in before.items()}
    assert (diary.history(ticket), diary.recount()) == ([], 0)


def test_an_urgent_matter_is_left_alone(diary: Diary) -> None:
    def hurry(session: Session, ticket: Ticket) -> None:
        ticket.urgent = True
        diary.desk(session, OLD).hurry(ticket)

    ticket = diary.opened()
    diary.change(ticket, hurry)
    nearer = diary.ends(ticket)
    assert nearer < "03-03"
    assert diary.recount() == 0
    assert diary.ends(ticket) == nearer


def test_what_is_over_is_left_alone(diary: Diary) -> None:
    def done(session: Session, ticket: Ticket) -> None:
        move(session, ticket, Status.RESOLVED, Actor.WORKER, "W01", diary.clock())

    ticket = diary.opened()
    diary.change(ticket, done)
    assert diary.recount() == 0
    assert diary.ends(ticket) == "03-10 00:00"


def test_a_reminder_that_went_out_does_not_come_again(diary: Diary) -> None:
    ticket = diary.opened()
    reminded = diary.clock.forward(days=6)
    told = sa.update(Deadline).where(Deadline.kind == "remind").values(done_at=reminded, fired=True)  # type: ignore[arg-type]
    diary.db.tx(lambda session: session.connection().execute(told))
    assert diary.recount() == 1
    row = diary.rows(ticket)["remind"]
    assert (row.done_at, row.calendar) == (reminded, OLD.version)


def test_what_comes_back_is_counted_from_when_it_came_back(diary: Diary) -> None:
    ticket = diary.opened()
    diary.clock.forward(days=2, hours=1)

    def again(session: Session, found: Ticket) -> None:
        move(session, found, Status.RESOLVED, Actor.WORKER, "W01", diary.clock())
        move(session, found, Status.REOPENED, Actor.REPORTER, "web:u01", diary.clock())
        diary.desk(session, OLD).schedule(found, diary.clock(), round_=found.version)

    diary.change(ticket, again)
    diary.recount()
    assert diary.ends(ticket) == "03-13 00:00"  # the 6th, 9th, 10th, 11th and, for the 5th, the 12th
    assert diary.history(ticket)[-1] == ("recounted", "2026-03-11 24:00 → 2026-03-12 24:00")


def test_the_sweeper_goes_on_until_all_are_done(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "BATCH", 3)
    tickets = [diary.opened() for _ in range(4)]
    sweeper = Sweeper(diary.db, NEW, clock=diary.clock)
    assert sweeper.recount() == 8
    assert sweeper.recount() == 0
    assert [len(diary.history(ticket)) for ticket in tickets] == [1] * 4


async def test_a_process_recounts_when_it_starts(diary: Diary) -> None:
    ticket = diary.opened()
    sweeper = Sweeper(diary.db, NEW, clock=diary.clock)
    running = scheduler.start(diary.db, sweeper, keep_days=90)
    try:
        assert running.get_job("recount").trigger.get_next_fire_time(None, datetime.now(UTC)) is not None
        for _ in range(100):
            if diary.history(ticket):
                break
            await asyncio.sleep(0.05)
    finally:
        await scheduler.stop(running)
    assert diary.ends(ticket) == "03-11 00:00"


def test_rows_that_another_process_holds_are_left_to_it(diary: Diary) -> None:
    if diary.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time: nobody else can hold rows")
    diary.opened()
    other = Database(diary.db.url)

    def hold(session: Session) -> None:
        assert recount(diary.desk(session, NEW), 100) == 2
        assert other.tx(lambda session: recount(diary.desk(session, NEW), 100)) == 0

    diary.db.tx(hold)
    other.close()


def test_a_moment_that_is_past_by_the_new_days_falls_due_at_once(diary: Diary) -> None:
    worked = WorkCalendar(SHANGHAI, extra_work=frozenset({date(2026, 3, 7)}))
    ticket = diary.opened()
    diary.clock.set(datetime(2026, 3, 9, 4, tzinfo=UTC))  # noon of the last day as counted before
    diary.recount(worked)
    assert diary.ends(ticket) == "03-08 00:00"
    sweeper = Sweeper(diary.db, worked, clock=diary.clock)
    assert sweeper.deadlines() == 2
    assert [what for what, _ in diary.history(ticket)][:1] == ["recounted"]
    assert diary.clock() - diary.rows(ticket)["settle"].due_at > timedelta(days=1)
