"""Which silence is looked at, and what people say to it."""

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.scheduler import Sweeper
from bot.worker import Worker, drain
from config.settings import WorkerSettings
from handlers.corrected import BadCorrection, NotYours
from handlers.desk import Desk
from handlers.sampling import chosen, fine, missed
from handlers.town import load
from handlers.workdays import WorkCalendar
from models import inbox
from models.correction import Correction
from models.database import Database
from models.inbox import Inbox
from models.message import Kind
from models.sample import Sample, SampleState, waiting
from nlu.types import INTENTS, Context, Matter, Names, Understanding, Utterance
from tests.conftest import HandClock
from tests.engines import Deaf
from tests.models.letters import letter

CALENDAR = WorkCalendar(ZoneInfo("Asia/Shanghai"))
GROUP = "g-QX-01-01-01"


class Chatter(Deaf):
    """Everything is chatter; for `missed` nothing has to be right."""

    name = "chatter"

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """The same answer for all."""
        sure = {name: float(name == "chatter") for name in INTENTS}
        return [
            Understanding(sure, (Matter(one.text, (("facility.lighting", 1.0),)),), engine="chatter:7") for one in batch
        ]


def worker(db: Database, clock: HandClock, share: float) -> Worker:
    return Worker(db, Chatter(), CALENDAR, clock=clock, settings=WorkerSettings(sample=share))


def samples(db: Database) -> list[Sample]:
    return db.tx(lambda session: list(session.scalars(sa.select(Sample).order_by(Sample.id))))  # type: ignore[arg-type]


def hear(db: Database, clock: HandClock, share: float, *texts: str) -> None:
    """Lines of talk arrive and are handled."""
    letters = [letter(n, GROUP, text=text, sent_at=clock()) for n, text in enumerate(texts)]
    db.tx(lambda session: inbox.receive(session, letters, clock()))
    drain(worker(db, clock, share))


def at_desk(session: Session, clock: HandClock) -> Desk:
    return Desk(session, load(session), clock(), CALENDAR, "test")


def test_the_share_is_about_what_was_asked_for() -> None:
    picked = sum(chosen(f"web:g1:m{number}", 0.015) for number in range(20_000))
    assert 240 <= picked <= 360
    assert not any(chosen(f"m{number}", 0.0) for number in range(1_000))
    assert all(chosen(f"m{number}", 1.0) for number in range(1_000))


def test_the_same_message_has_the_same_answer() -> None:
    keys = [f"web:g1:m{number}" for number in range(500)]
    assert [chosen(key, 0.1) for key in keys] == [chosen(key, 0.1) for key in keys]
    assert {key for key in keys if chosen(key, 0.1)} < {key for key in keys if chosen(key, 0.5)}


def test_silence_is_kept_with_what_the_engine_made_of_it(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "今天菜场的青菜真新鲜")
    (row,) = samples(town_db)
    assert (row.text, row.engine, row.grid, row.state) == (
        "今天菜场的青菜真新鲜", "chatter:7", "QX-01-01-01", SampleState.OPEN,
    )  # fmt: skip
    assert row.said["intents"]["chatter"] == 1.0
    assert Context(**row.context).kind == "text"
    assert "u01" not in str(row.model_dump())


def test_a_message_handled_again_is_kept_once(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "今天菜场的青菜真新鲜")
    again = {"finished_at": None, "outcome": "", "visible_at": clock()}
    town_db.tx(lambda session: session.connection().execute(sa.update(Inbox).values(**again)).rowcount)
    drain(worker(town_db, clock, 1.0))
    assert len(samples(town_db)) == 1


def test_nothing_is_kept_of_pictures_of_answers_and_at_no_share(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 0.0, "今天菜场的青菜真新鲜")
    photo = letter(8, GROUP, text="", kind=Kind.IMAGE, sent_at=clock())
    help_ = letter(9, GROUP, text="@邻声 你好", mentions=("bot",), sent_at=clock())
    town_db.tx(lambda session: inbox.receive(session, [photo, help_], clock()))
    drain(worker(town_db, clock, 1.0))
    assert samples(town_db) == []


def test_what_was_a_report_becomes_a_correction(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "路灯又罢工了")

    def review(session: Session) -> Correction:
        (row,) = waiting(session, 10)
        return missed(at_desk(session, clock), row, "facility.lighting", "C01")

    kept = town_db.tx(review)
    assert (kept.kind, kept.by, kept.ticket, kept.engine) == ("missed", "C01", None, "chatter:7")
    assert kept.after == {"intent": "report", "category": "facility.lighting"}
    assert [words["text"] for words in kept.words] == ["路灯又罢工了"]
    assert town_db.tx(lambda session: list(waiting(session, 10))) == []
    with pytest.raises(BadCorrection, match="sample: 1 was reviewed before: missed"):
        town_db.tx(lambda session: fine(at_desk(session, clock), session.get_one(Sample, 1), "C01"))


@pytest.mark.parametrize("by", ["W01", "U01", "L01", "C03", "P01", "nobody"])
def test_only_staff_of_the_place_review(town_db: Database, clock: HandClock, by: str) -> None:
    hear(town_db, clock, 1.0, "路灯又罢工了")
    with pytest.raises(NotYours):
        town_db.tx(lambda session: fine(at_desk(session, clock), session.get_one(Sample, 1), by))
    assert samples(town_db)[0].state == SampleState.OPEN


def test_an_unknown_category_leaves_the_sample_open(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "路灯又罢工了")
    with pytest.raises(BadCorrection, match=r'Did you mean "facility\.lighting"'):
        town_db.tx(
            lambda session: missed(at_desk(session, clock), session.get_one(Sample, 1), "facility.lightin", "C01")
        )
    assert samples(town_db)[0].state == SampleState.OPEN


def test_talk_taken_back_is_no_sample(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "今天菜场的青菜真新鲜")
    recall = letter("r", GROUP, text="", kind=Kind.RECALL, recalls="m0", sent_at=clock())
    town_db.tx(lambda session: inbox.receive(session, [recall], clock()))
    drain(worker(town_db, clock, 1.0))
    assert samples(town_db) == []


def test_samples_are_removed_in_time_reviewed_or_not(town_db: Database, clock: HandClock) -> None:
    hear(town_db, clock, 1.0, "今天菜场的青菜真新鲜", "下雨了收衣服")
    town_db.tx(lambda session: fine(at_desk(session, clock), session.get_one(Sample, 1), "C01"))
    sweeper = Sweeper(town_db, CALENDAR, clock=clock)
    clock.set(clock() + timedelta(days=60))
    assert sweeper.forget(90) == 0
    clock.forward(seconds=1)
    assert sweeper.forget(90, 61) == 0
    assert sweeper.forget(90) == 2
    assert samples(town_db) == []
