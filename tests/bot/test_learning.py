"""What staff put right becomes an example of what each message is in truth."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot import learning
from bot.learning import key_of, lessons
from models.base import utc_now
from models.correction import Correction, CorrectionKind
from models.database import Database
from models.sample import Sample, SampleState
from models.ticket import Status, Ticket, TicketMessage
from nlu.corpus import Example
from nlu.lessons import Lesson
from nlu.types import Context
from tests.bot.test_cli import Shell, home_db, shell
from tests.bot.test_cli_corrections import town

__all__ = ["home_db", "shell", "town"]  # fixtures
SAID = {"intents": {"report": 0.7}, "categories": [["facility.lighting", 0.9]], "urgent": 0.1, "sensitive": 0.1}


def learned(db: Database) -> list[Example]:
    return [one.example for one in db.tx(lessons)]


def words(text: str, message: str = "m1", role: str = "report") -> dict[str, str]:
    return {"channel": "web", "chat": "g1", "message": message, "role": role, "text": text}


def correction(db: Database, kind: CorrectionKind, after: dict[str, Any], **fields: Any) -> None:
    """A correction by C01 of ticket 1, which its reporter opened with 路灯不亮了."""
    row: dict[str, Any] = {
        "at": utc_now(), "by": "C01", "ticket": 1, "words": [words("路灯不亮了"), words("在门口", "m2", "detail")],
        "context": {"chat_ticket": 12.0}, "said": SAID, "engine": "embedded:1",
    }  # fmt: skip
    db.tx(lambda session: session.add(Correction(kind=kind, after=after, **(row | fields))))


@pytest.mark.parametrize(
    ("kind", "after", "fields", "is_"),
    [
        ("dismissed", {"status": "dismissed"}, {}, ("chatter", "", False, False)),
        ("category", {"category": "facility.elevator"}, {}, ("report", "facility.elevator", False, False)),
        ("category", {"category": "safety.gas"}, {}, ("report", "safety.gas", True, False)),
        ("category", {"category": "dispute.family"}, {}, ("report", "dispute.family", False, True)),
        ("missed", {"category": "city.noise"}, {"ticket": None}, ("report", "city.noise", False, False)),
        ("urgent", {"urgent": True}, {}, ("report", "", True, False)),
        ("urgent", {"urgent": False}, {"said": SAID | {"urgent": 0.9}}, ("report", "", False, False)),
        ("sensitive", {"sensitive": True}, {}, ("report", "", False, True)),
        ("merge", {"into": "LS00002", "category": "city.noise"}, {}, ("join", "city.noise", False, False)),
        (
            "merge", {"into": "LS00002", "category": "city.noise"},
            {"context": {"chat_ticket": 2.0, "own_ticket": 2.0}}, ("detail", "city.noise", False, False),
        ),
        (
            "merge", {"into": "LS00002", "category": "city.noise"}, {"context": {}},
            ("report", "city.noise", False, False),
        ),
    ],
)  # fmt: skip
def test_what_a_correction_says_of_the_message(
    town: Database, kind: str, after: dict[str, Any], fields: dict[str, Any], is_: tuple[str, str, bool, bool]
) -> None:
    correction(town, CorrectionKind(kind), after, **fields)
    (e,) = learned(town)
    assert (e.intent, e.leaf, e.urgent, e.sensitive) == is_
    assert (e.text, e.corrected, e.town) == ("路灯不亮了", True, "")
    assert e.context == Context(**fields.get("context", {"chat_ticket": 12.0}))


def test_a_place_says_nothing_that_could_be_learned(town: Database) -> None:
    correction(town, CorrectionKind.PLACE, {"place": "P-LA-B06"})
    assert learned(town) == []


def test_the_last_word_counts_and_what_nobody_touched_stays(town: Database) -> None:
    correction(town, CorrectionKind.CATEGORY, {"category": "facility.elevator"}, said=SAID | {"urgent": 0.8})
    correction(town, CorrectionKind.CATEGORY, {"category": "city.noise"}, said=SAID | {"urgent": 0.8})
    correction(town, CorrectionKind.SENSITIVE, {"sensitive": True}, said=SAID | {"urgent": 0.8})
    (e,) = learned(town)
    assert (e.intent, e.leaf, e.urgent, e.sensitive) == ("report", "city.noise", True, True)
    correction(town, CorrectionKind.DISMISSED, {"status": "dismissed"}, said=SAID | {"urgent": 0.8})
    (e,) = learned(town)
    assert (e.intent, e.leaf, e.urgent, e.sensitive) == ("chatter", "", False, False)


def test_a_message_that_was_another_matter(town: Database) -> None:
    after = {"ticket": "LS00009", "category": "facility.access", "place": None, "went": ["m2"]}
    correction(town, CorrectionKind.SPLIT, after, words=[words("门禁也坏了", "m2", "detail")])
    correction(town, CorrectionKind.CATEGORY, {"category": "city.noise"})
    other, first = sorted(db_lessons(town), key=lambda one: one.example.text, reverse=True)
    assert (other.example.text, other.example.leaf, other.example.context) == ("门禁也坏了", "facility.access", None)
    assert (first.example.leaf, first.example.context) == ("city.noise", Context(chat_ticket=12.0))
    assert other.group == first.group


def db_lessons(db: Database) -> list[Lesson]:
    return db.tx(lessons)


def test_the_opening_message_that_went_is_learned_as_where_it_went(town: Database) -> None:
    after = {"ticket": "LS00009", "category": "facility.access", "place": None, "went": ["m1"]}
    correction(town, CorrectionKind.SPLIT, after, words=[words("门禁坏了")])
    correction(town, CorrectionKind.CATEGORY, {"category": "city.noise"})
    (e,) = learned(town)
    assert (e.leaf, e.context) == ("facility.access", Context(chat_ticket=12.0))


def test_a_message_that_opened_two_tickets_is_left_out(town: Database) -> None:
    def twice(session: Any) -> None:
        at = utc_now()
        for number in (1, 2):
            session.add(
                TicketMessage(
                    ticket=number, channel="web", chat="g1", message="m1", sender="u05", kind="text", role="report",
                    text="路灯不亮了 电梯也坏了", sent_at=at,
                )
            )  # fmt: skip

    town.tx(twice)
    correction(town, CorrectionKind.DISMISSED, {"status": "dismissed"})
    assert learned(town) == []


def test_words_that_were_taken_back_are_not_learned(town: Database) -> None:
    correction(town, CorrectionKind.CATEGORY, {"category": "city.noise"}, words=[words("")])
    assert learned(town) == []
    assert town.tx(learning.alive) == {key_of(("web", "g", "m9"))}  # the sample


def test_tickets_from_before_readings_have_no_context(town: Database) -> None:
    correction(town, CorrectionKind.CATEGORY, {"category": "city.noise"}, said={}, context={})
    (e,) = learned(town)
    assert e.context is None


def test_reviewed_silence_is_talk_and_the_rest_is_nothing_yet(town: Database) -> None:
    assert learned(town) == []

    def review(session: Any) -> None:
        row = session.scalars(sa.select(Sample)).one()
        row.state, row.said, row.context = SampleState.FINE, SAID, {"direct": True}
        session.add(row)

    town.tx(review)
    (e,) = learned(town)
    assert (e.text, e.intent, e.context) == ("路灯罢工 00000000000", "chatter", Context(direct=True))


def test_names_phones_and_flats_stay_in_the_database(town: Database) -> None:
    said = "我是3单元501的@阿杰 打13812345678 柳岸花园6幢停水"
    correction(town, CorrectionKind.CATEGORY, {"category": "utility.water"}, words=[words(said)])
    (e,) = learned(town)
    assert e.text == "我是3单元000的@某某 打00000000000 柳岸花园6幢停水"
    assert e.names.find("柳岸花园6幢停水"), "the town's names are needed to mask them"


def test_the_command_lines_corrections_are_learned(shell: Shell, town: Database) -> None:
    assert shell("ticket", "category", "LS00001", "facility.elevator", "--by", "C01")[0] == 0
    assert shell("ticket", "urgent", "LS00001", "--by", "C01")[0] == 0
    assert shell("ticket", "merge", "LS00002", "LS00001", "--by", "C01")[0] == 0
    assert shell("review", "report", "1", "facility.lighting", "--by", "C01")[0] == 0
    found = {one.example.text: one for one in db_lessons(town)}
    first, second = found["6幢楼道灯不亮"], found["6栋的灯坏了"]
    assert (first.example.intent, first.example.leaf, first.example.urgent) == ("report", "facility.elevator", True)
    assert (second.example.intent, second.example.leaf) == ("report", "facility.elevator")
    assert first.group == second.group == "LS00001"
    missed = found["路灯罢工 00000000000"].example
    assert (missed.intent, missed.leaf) == ("report", "facility.lighting")


def test_a_split_of_the_command_line(shell: Shell, town: Database) -> None:
    assert shell("ticket", "split", "LS00001", "-m", "2", "--category", "facility.access", "--by", "C01")[0] == 0
    (one,) = db_lessons(town)
    assert (one.example.text, one.example.leaf) == ("打我00000000000 门禁也坏了", "facility.access")


def test_dismissed_by_the_command_line(shell: Shell, town: Database) -> None:
    before = datetime.now().astimezone() - timedelta(minutes=1)
    assert shell("ticket", "dismiss", "LS00001", "--by", "C01", "--note", "聊天")[0] == 0
    (one,) = db_lessons(town)
    assert (one.example.text, one.example.intent, one.example.leaf) == ("6幢楼道灯不亮", "chatter", "")
    assert one.at > before
    assert town.tx(lambda session: session.get_one(Ticket, 1).status) == Status.DISMISSED
