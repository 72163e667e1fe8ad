"""The table of moves, and what a move does."""

from datetime import timedelta
from itertools import product

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from handlers.workflow import ENDED, MOVES, Actor, NotAllowed, may, move
from models.database import Database
from models.deadline import Deadline
from models.ticket import OPEN, Status, Ticket, TicketEvent
from tests.conftest import START, HandClock
from tests.models.letters import open_ticket

ALLOWED = [(here, to, actor) for here, ways in MOVES.items() for to, actors in ways.items() for actor in sorted(actors)]
FORBIDDEN = [way for way in product(Status, Status, Actor) if way not in ALLOWED]


def history(session: Session, ticket: Ticket) -> list[TicketEvent]:
    found = sa.select(TicketEvent).where(TicketEvent.ticket == ticket.id).order_by(sa.text("id"))  # type: ignore[arg-type]
    return list(session.scalars(found))


def as_written(ticket: Ticket) -> dict[str, object]:
    return ticket.model_dump()


def test_every_status_is_in_the_table() -> None:
    assert set(MOVES) == set(Status)


def test_nothing_moves_without_an_actor() -> None:
    assert [(here, to) for here, ways in MOVES.items() for to, actors in ways.items() if not actors] == []
    assert all(isinstance(actor, Actor) for _, _, actor in ALLOWED)


def test_every_status_can_be_reached_and_open_ones_can_be_ended() -> None:
    reached = {to for ways in MOVES.values() for to in ways} | {Status.REPORTED}
    assert reached == set(Status)
    assert all(set(MOVES[status]) & ENDED for status in OPEN)
    assert set(OPEN) & ENDED == set()
    assert set(OPEN) | ENDED == set(Status)


def test_only_the_reporter_withdraws_and_only_workers_dismiss() -> None:
    who = {to: {actor for _, way, actor in ALLOWED if way == to} for to in Status}
    assert who[Status.WITHDRAWN] == {Actor.REPORTER}
    assert who[Status.DISMISSED] == {Actor.WORKER}
    assert who[Status.RESOLVED] == who[Status.ACCEPTED] == {Actor.WORKER}
    assert Actor.WORKER not in who[Status.CLOSED]


@pytest.mark.parametrize(("here", "to", "actor"), ALLOWED)
def test_an_allowed_move(sqlite_db: Database, clock: HandClock, here: Status, to: Status, actor: Actor) -> None:
    def work(session: Session) -> None:
        ticket = open_ticket(session, clock(), status=here)
        before = ticket.version
        move(session, ticket, to, actor, "W01", clock.forward(hours=1), note="好")
        session.flush()
        assert (ticket.status, ticket.version > before) == (to, to != here)
        assert ticket.resolved_at == (clock() if to == Status.RESOLVED else None)
        assert ticket.closed_at == (clock() if to == Status.CLOSED else None)
        (event,) = history(session, ticket)
        assert (event.what, event.status, event.actor, event.at, event.note) == (to.value, to, "W01", clock(), "好")

    sqlite_db.tx(work)


def test_a_forbidden_move_changes_nothing(sqlite_db: Database, clock: HandClock) -> None:
    def work(session: Session) -> None:
        for here, to, actor in FORBIDDEN:
            ticket = open_ticket(session, clock(), status=here)
            session.add(Deadline(ticket=ticket.id or 0, kind="due", since=clock(), due_at=clock()))
            session.flush()
            before = as_written(ticket)
            assert not may(ticket, to, actor)
            with pytest.raises(NotAllowed, match=ticket.number):
                move(session, ticket, to, actor, "W01", clock())
            session.flush()
            assert as_written(ticket) == before
            assert history(session, ticket) == []
        waiting = sa.select(sa.func.count()).select_from(Deadline).where(sa.text("done_at IS NULL"))
        assert session.scalar(waiting) == len(FORBIDDEN)

    sqlite_db.tx(work)


@pytest.mark.parametrize("to", sorted(ENDED))
def test_what_has_ended_is_not_due_any_more(db: Database, clock: HandClock, to: Status) -> None:
    here, _, actor = next(way for way in ALLOWED if way[1] == to)

    def work(session: Session) -> None:
        ticket, other = open_ticket(session, clock(), status=here), open_ticket(session, clock())
        for number in (ticket.id or 0, other.id or 0):
            session.add(Deadline(ticket=number, kind="due", since=clock(), due_at=clock() + timedelta(days=1)))
        session.flush()
        move(session, ticket, to, actor, "W01", clock.forward(hours=1))
        left = session.execute(sa.text("SELECT ticket FROM deadline WHERE done_at IS NULL")).scalars().all()
        assert left == [other.id]

    db.tx(work)


def test_an_event_has_a_name_of_its_own_and_room_for_a_long_note(db: Database, clock: HandClock) -> None:
    def work(session: Session) -> None:
        ticket = open_ticket(session, clock(), status=Status.ASSIGNED)
        move(session, ticket, Status.ASSIGNED, Actor.SYSTEM, "system", clock(), what="transferred", note="长" * 5_000)
        session.flush()
        (event,) = history(session, ticket)
        assert (event.what, event.note) == ("transferred", "长" * 2_000)

    db.tx(work)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ways=st.lists(st.tuples(st.sampled_from(list(Status)), st.sampled_from(list(Actor))), max_size=25))
def test_history_only_grows(sqlite_db: Database, ways: list[tuple[Status, Actor]]) -> None:
    def work(session: Session) -> None:
        ticket = open_ticket(session, START)
        told: list[tuple[int | None, Status]] = []
        for step, (to, actor) in enumerate(ways):
            allowed = may(ticket, to, actor)
            try:
                move(session, ticket, to, actor, "somebody", START + timedelta(minutes=step))
            except NotAllowed:
                assert not allowed
            session.flush()
            now = [(event.id, event.status) for event in history(session, ticket)]
            assert now[: len(told)] == told
            assert len(now) == len(told) + allowed
            told = now
        assert ticket.status == (told[-1][1] if told else Status.REPORTED)

    sqlite_db.tx(work)
