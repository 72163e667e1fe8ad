"""An alert that did not reach whom it was for: to whom it goes on, and where that ends."""

from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from handlers.desk import Desk
from handlers.town import load
from handlers.unreached import not_reached
from handlers.workdays import WorkCalendar
from models.database import Database
from models.message import Card, Outgoing, Purpose
from models.person import Identity, leave
from models.ticket import Status, Ticket, TicketEvent
from tests.conftest import HandClock
from tests.models.letters import TASK, open_ticket


def alert(person: str, ticket: int, *, card: Card | None = TASK) -> Outgoing:
    return Outgoing(
        channel="web", chat=person.lower(), text="【新任务】", purpose=Purpose.ALERT, ticket=ticket, to_person=person,
        card=card,
    )  # fmt: skip


class Story:
    """One ticket of 网格员小顾's (W01), and one alert after another that nobody gets."""

    def __init__(self, db: Database, clock: HandClock) -> None:
        self.db, self.clock = db, clock
        told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
        self.ticket = db.tx(lambda session: open_ticket(session, clock(), **told).id or 0)

    def lost(self, person: str, *, card: Card | None = TASK) -> tuple[str, list[str]]:
        """What follows, and who hears of it."""

        def work(session: Session) -> tuple[str, list[str]]:
            desk = Desk(session, load(session), self.clock(), WorkCalendar.configured(ZoneInfo("Asia/Shanghai")), "t")
            outcome = not_reached(desk, alert(person, self.ticket, card=card))
            return outcome, [out.to_person or "" for out in desk.spoken]

        return self.db.tx(work)

    @property
    def worker(self) -> str | None:
        return self.db.tx(lambda session: session.get_one(Ticket, self.ticket).worker)

    def becomes(self, status: Status) -> None:
        def write(session: Session) -> None:
            session.get_one(Ticket, self.ticket).status = status

        self.db.tx(write)

    def unreachable(self) -> list[str]:
        notes = sa.select(col(TicketEvent.note)).where(col(TicketEvent.what) == "unreachable")
        return list(self.db.tx(lambda session: session.scalars(notes.order_by(col(TicketEvent.id))).all()))


@pytest.fixture
def story(town_db: Database, clock: HandClock) -> Story:
    return Story(town_db, clock)


def test_to_the_next_one_and_the_staff(story: Story) -> None:
    assert story.lost("W01") == ("next", ["C01", "C02"])
    assert (story.worker, story.unreachable()) == ("C01", ["W01"])
    outcome, heard = story.lost("C01")
    assert (outcome, heard[0], story.worker) == ("next", "C02", "C02")
    assert not {"W01", "C01"} & set(heard)


def test_to_the_deputy_first(story: Story) -> None:
    story.db.tx(lambda session: leave(session, "W01", story.clock.now.replace(month=4), "W02"))
    assert (story.lost("W01")[0], story.worker) == ("next", "W02")


def test_it_ends_where_nobody_is_left(story: Story) -> None:
    story.db.tx(lambda session: session.connection().execute(sa.delete(Identity).where(col(Identity.person) != "W01")))
    assert story.lost("W01") == ("nobody", [])
    assert story.worker == "W01"


def test_staff_who_were_told_are_followed_by_the_next_level(story: Story) -> None:
    assert story.lost("C01") == ("staff", ["C02"])
    assert (story.lost("C02")[0], story.worker) == ("staff", "W01")
    assert story.unreachable() == ["C01", "C02"]


def test_who_has_accepted_keeps_it_and_staff_hear_of_it(story: Story) -> None:
    story.becomes(Status.ACCEPTED)
    assert (story.lost("W01")[0], story.worker) == ("staff", "W01")


def test_news_that_nobody_has_to_act_on_goes_nowhere(story: Story) -> None:
    assert story.lost("W01", card=None) == ("noted", [])
    assert story.lost("W01", card=Card(title="有人在问", link="https://l.example/task/1")) == ("noted", [])
    story.becomes(Status.RESOLVED)
    assert story.lost("W01") == ("noted", [])
    assert story.unreachable() == ["W01"] * 3


def test_she_gets_it_on_her_other_channel_too(story: Story) -> None:
    def link(session: Session) -> None:
        session.add(Identity(person="W01", channel="wechat_mp", user="o-w01"))

    story.db.tx(link)
    outcome, heard = story.lost("W01")
    assert (outcome, heard) == ("next", ["W01", "C01", "C02"])
