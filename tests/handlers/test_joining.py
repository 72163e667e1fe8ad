"""Suggestions, merging and splitting where the chat does not show it: who may, what passes on, who was first."""

from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from config.decisions import decisions
from handlers.assembly import Linked
from handlers.context import Context
from handlers.correct import category, dismiss, urgent
from handlers.corrected import BadCorrection, NotYours
from handlers.desk import Desk
from handlers.dispatch import may_correct
from handlers.dividing import split
from handlers.joining import merge
from handlers.retime import retime
from handlers.standing import followed, standing
from handlers.suggest import suggest
from handlers.town import Town
from handlers.workdays import WorkCalendar
from handlers.workflow import NotAllowed
from models.chat import Question
from models.database import Database
from models.deadline import Deadline
from models.suggestion import Suggestion, SuggestionState, waiting
from models.ticket import Status, Supporter, Ticket, TicketMessage
from tests.conftest import HandClock
from tests.models.letters import open_ticket

CALENDAR = WorkCalendar(ZoneInfo("Asia/Shanghai"))
SOUTH = "QX-01-01-01"


def desk(session: Session, clock: HandClock, town: Town) -> Desk:
    return Desk(session, town, clock(), CALENDAR, "test")


def a_ticket(session: Session, clock: HandClock, sender: str, **fields: object) -> Ticket:
    """One of the south of 柳岸花园, told by one message."""
    known = {"status": Status.ASSIGNED, "grid": SOUTH, "worker": "W01", "reporter": sender, "chat": "g-QX-01-01-01"}
    ticket = open_ticket(session, clock(), **(known | fields))
    session.add(
        TicketMessage(
            ticket=ticket.id or 0, channel="web", chat=ticket.chat, message=f"m-{sender}", sender=sender, kind="text",
            role="report", text=f"{sender} 说", sent_at=clock(),
        )
    )  # fmt: skip
    session.add(Supporter(ticket=ticket.id or 0, channel="web", chat=ticket.chat, sender=sender, since=clock()))
    session.flush()
    return ticket


def three(session: Session, clock: HandClock) -> list[Ticket]:
    return [a_ticket(session, clock, sender) for sender in ("u01", "u02", "u03")]


# --- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "corrects", "joins"),
    [
        ("C01", True, True),  # 社区
        ("S01", True, True),  # 街道
        ("D06", True, True),  # 区
        ("W01", True, False),  # the gridworker who is responsible
        ("D01", False, False),  # a department, not of this kind
        ("P01", False, False),  # 物业, although it works on such tickets
        ("C03", False, False),  # another community's
        ("W02", False, False),
        ("L01", False, False),
        ("U01", False, False),
        ("", False, False),
        ("nobody", False, False),
    ],
)
def test_who_may_correct(shared_town: Town, person: str, corrects: bool, joins: bool) -> None:
    about = (SOUTH, "W01", "facility.lighting")
    assert may_correct(shared_town, person, *about) is corrects
    assert may_correct(shared_town, person, *about, staff_only=True) is joins


def test_a_department_corrects_what_is_routed_to_it(shared_town: Town) -> None:
    assert may_correct(shared_town, "D01", SOUTH, "W01", "city.vendor", staff_only=True)
    assert not may_correct(shared_town, "D01", SOUTH, "W01", "facility.elevator")


def test_being_handed_a_ticket_gives_no_right_to_correct_it(shared_town: Town) -> None:
    assert not may_correct(shared_town, "P04", SOUTH, "P04", "facility.elevator")
    assert may_correct(shared_town, "W02", SOUTH, "W02", "facility.elevator")  # a gridworker who stands in
    assert not may_correct(shared_town, "W02", SOUTH, "W02", "facility.elevator", staff_only=True)


# --- suggestions ----------------------------------------------------------------------------------------------------


def linked(ticket: Ticket, points: float) -> Linked:
    return Linked(ticket, points, own=False, here=True)


def test_the_likeliest_open_ticket_is_suggested(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    least = decisions().link.suggest

    def work(session: Session) -> list[tuple[int | None, int | None]]:
        ctx = Context(session, demo_town, clock(), CALENDAR, "test")
        first, second, new = three(session, clock)
        done = a_ticket(session, clock, "u04", status=Status.RESOLVED)
        ranked = [linked(done, least + 2), linked(new, least + 1), linked(first, least), linked(second, least - 0.01)]
        assert suggest(ctx, new, ranked) is first
        assert suggest(ctx, new, ranked) is first  # the same message, handled again
        assert suggest(ctx, second, [linked(first, least - 0.01)]) is None
        assert suggest(ctx, second, []) is None
        (kept,) = (row for row, _, _ in waiting(session))
        assert kept.points == pytest.approx(least, abs=1e-3)
        return [(one.id, two.id) for _, one, two in waiting(session)]

    assert town_db.tx(work) == [(3, 1)]


# --- merging --------------------------------------------------------------------------------------------------------


def test_what_waits_for_the_one_waits_for_the_other(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def work(session: Session) -> None:
        kept, gone, third = three(session, clock)
        session.add(
            Question(channel="web", chat="g", sender="u02", ticket=gone.id or 0, about="place", asked_at=clock())
        )
        for one, two in ((gone, kept), (third, gone), (third, kept)):
            session.add(Suggestion(ticket=one.id or 0, other=two.id or 0, points=2, at=clock()))
        session.flush()
        merge(desk(session, clock, demo_town), gone, kept, "C01")
        session.flush()
        assert session.scalars(sa.select(Question.ticket)).all() == [kept.id]  # type: ignore[call-overload]
        assert [(one.id, two.id) for _, one, two in waiting(session)] == [(third.id, kept.id)]
        states = {(row.ticket, row.other): row.state for row in session.scalars(sa.select(Suggestion))}
        assert states[gone.id or 0, kept.id or 0] == SuggestionState.ACCEPTED

    town_db.tx(work)


def test_merged_in_a_row_and_followed_to_the_end(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def work(session: Session) -> None:
        first, second, third = three(session, clock)
        merge(desk(session, clock, demo_town), third, second, "C01")
        merge(desk(session, clock, demo_town), second, first, "C01")
        session.flush()
        assert standing(session, third) is standing(session, second) is standing(session, first) is first
        found = followed(session, [linked(third, 5.0), linked(first, 1.0), linked(second, 2.0)])
        assert [(one.ticket, one.points) for one in found] == [(first, 5.0)]
        people = session.scalars(sa.select(Supporter.sender).where(Supporter.ticket == first.id).order_by("sender"))  # type: ignore[call-overload]
        assert people.all() == ["u01", "u02", "u03"]
        for gone, kept in ((third, first), (first, third), (second, second)):
            with pytest.raises(BadCorrection, match=r"was merged into LS0000[12]"):
                merge(desk(session, clock, demo_town), gone, kept, "C01")

    town_db.tx(work)


def test_only_open_tickets_of_ones_own_are_merged(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def work(session: Session) -> None:
        kept, gone, _ = three(session, clock)
        away = a_ticket(session, clock, "u05", grid="QX-02-01-01", worker="W03")
        for one, two in ((away, kept), (kept, away)):
            with pytest.raises(NotYours, match="C01 has no duty to correct LS00004"):
                merge(desk(session, clock, demo_town), one, two, "C01")
        with pytest.raises(NotYours):
            merge(desk(session, clock, demo_town), gone, kept, "W01")
        with pytest.raises(BadCorrection, match="into: LS00001 cannot be merged into itself"):
            merge(desk(session, clock, demo_town), kept, kept, "C01")
        dismiss(desk(session, clock, demo_town), gone, "C01")
        with pytest.raises(BadCorrection, match="ticket: LS00002 has ended"):
            merge(desk(session, clock, demo_town), gone, kept, "C01")
        with pytest.raises(BadCorrection, match="into: LS00002 has ended"):
            merge(desk(session, clock, demo_town), kept, gone, "C01")
        with pytest.raises(NotAllowed, match="LS00002 is dismissed"):
            dismiss(desk(session, clock, demo_town), gone, "C01")
        with pytest.raises(BadCorrection, match="urgent: LS00002 has ended"):
            urgent(desk(session, clock, demo_town), gone, "C01", on=True)
        assert session.scalar(sa.select(sa.func.count()).select_from(TicketMessage)) == 4

    town_db.tx(work)


@pytest.mark.parametrize("which", ["kept", "gone"])
def test_who_changed_one_of_them_meanwhile_was_first(
    town_db: Database, demo_town: Town, clock: HandClock, which: str
) -> None:
    town_db.tx(lambda session: three(session, clock))

    def work(session: Session) -> None:
        kept, gone = (session.get_one(Ticket, number) for number in (1, 2))
        other = kept if which == "kept" else gone
        session.connection().execute(
            sa.text("UPDATE ticket SET version = version + 1 WHERE id = :id"), {"id": other.id}
        )
        merge(desk(session, clock, demo_town), gone, kept, "C01")

    with pytest.raises(StaleDataError):
        town_db.tx(work)
    statuses = town_db.tx(lambda session: session.scalars(sa.select(Ticket.status)).all())  # type: ignore[call-overload]
    assert set(statuses) == {Status.ASSIGNED}


def test_a_split_respects_who_was_first_too(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def write(session: Session) -> None:
        ticket = three(session, clock)[0]
        session.add(
            TicketMessage(
                ticket=ticket.id or 0, channel="web", chat="g", message="m9", sender="u09", kind="text", role="join",
                text="道闸坏了", sent_at=clock(),
            )
        )  # fmt: skip

    town_db.tx(write)

    def work(session: Session) -> None:
        ticket = session.get_one(Ticket, 1)
        row = session.scalars(sa.select(TicketMessage).where(TicketMessage.message == "m9")).one()  # type: ignore[arg-type]
        session.connection().execute(sa.text("UPDATE ticket SET version = version + 1 WHERE id = 1"))
        split(desk(session, clock, demo_town), ticket, [row.id or 0], "C01")

    with pytest.raises(StaleDataError):
        town_db.tx(work)
    assert town_db.tx(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Ticket))) == 3


# --- deadlines ------------------------------------------------------------------------------------------------------


def test_a_deadline_that_was_escalated_stays(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def work(session: Session) -> None:
        ticket = three(session, clock)[0]
        at = desk(session, clock, demo_town)
        at.schedule(ticket, clock())
        session.flush()
        rows = session.scalars(sa.select(Deadline)).all()
        for row in rows:
            row.done_at, row.fired = clock(), True
        before = [(row.kind, row.due_at) for row in rows]
        clock.forward(days=30)
        category(desk(session, clock, demo_town), ticket, "facility.building", "C01")
        session.flush()
        assert [(row.kind, row.due_at) for row in session.scalars(sa.select(Deadline))] == before

    town_db.tx(work)


def test_a_closed_ticket_is_corrected_for_the_record_only(town_db: Database, demo_town: Town, clock: HandClock) -> None:
    def work(session: Session) -> None:
        ticket = a_ticket(session, clock, "u01", status=Status.CLOSED)
        at = desk(session, clock, demo_town)
        category(at, ticket, "facility.building", "C01")
        retime(at, ticket, "C01")
        session.flush()
        assert at.spoken == []
        assert session.scalars(sa.select(Deadline)).all() == []
        assert (ticket.category, ticket.status) == ("facility.building", Status.CLOSED)

    town_db.tx(work)
