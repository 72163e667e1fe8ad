"""A chat's recent past as the context of its next message."""

from typing import Any

from nlu.timeline import FORGET, Heard, Timeline
from nlu.types import Context


def heard(at: float, sender: str = "u01", **fields: Any) -> Heard:
    told: dict[str, Any] = {"chat": "g1", "id": f"m{at}", "text": "好"}
    return Heard(at=at, sender=sender, **(told | fields))


def test_the_first_message_knows_nothing() -> None:
    assert Timeline().context(heard(0)) == Context()


def test_what_the_message_says_of_itself() -> None:
    m = heard(0, direct=True, mentioned=True, role="leader", kind="voice", asked=True)
    assert Timeline().context(m) == Context(direct=True, mentioned=True, role="leader", kind="voice", asked=True)


def test_a_matter_colours_what_follows() -> None:
    line = Timeline()
    line.add(heard(0), tickets=("T1",))
    own, other = line.context(heard(10)), line.context(heard(10, "u02"))
    assert (own.own_ticket, own.chat_ticket, own.pause) == (10, 10, 10)
    assert (other.own_ticket, other.chat_ticket, other.pause) == (None, 10, None)
    assert line.context(heard(10, chat="g2")) == Context()


def test_the_latest_message_counts() -> None:
    line = Timeline()
    line.add(heard(0), tickets=("T1",))
    line.add(heard(30, "u02"), tickets=("T1",))
    line.add(heard(40), tickets=())
    context = line.context(heard(60))
    assert (context.own_ticket, context.chat_ticket, context.pause) == (60, 30, 20)


def test_a_matter_taken_back_is_not_the_senders_any_more() -> None:
    line = Timeline()
    line.add(heard(0), tickets=("T1",))
    line.add(heard(5), tickets=("T1",), ended=True)
    context = line.context(heard(6))
    assert (context.own_ticket, context.chat_ticket) == (None, 1)


def test_a_matter_taken_back_that_was_never_told() -> None:
    line = Timeline()
    line.add(heard(0), tickets=("T1",), ended=True)
    assert line.context(heard(1)).own_ticket is None


def test_a_fortnight_is_forgotten() -> None:
    line = Timeline()
    line.add(heard(0), tickets=("T1",))
    assert line.context(heard(FORGET)).own_ticket == FORGET
    later = line.context(heard(FORGET + 1))
    assert (later.own_ticket, later.chat_ticket, later.pause) == (None, None, None)


def test_a_clock_that_steps_back_gives_no_negative_age() -> None:
    line = Timeline()
    line.add(heard(10), tickets=("T1",))
    assert line.context(heard(9)).own_ticket == 0


def test_a_picture_waits_half_an_hour_for_its_words() -> None:
    line = Timeline()
    line.add(heard(0, kind="image", text=""), tickets=())
    assert line.context(heard(30)).own_photo == 30
    assert line.context(heard(31)).own_photo is None
    assert line.context(heard(5, "u02")).own_photo is None


def test_a_picture_that_belongs_to_something_waits_no_more() -> None:
    line = Timeline()
    line.add(heard(0, kind="image", text=""), tickets=())
    line.add(heard(2), tickets=("T1",))
    assert line.context(heard(3)).own_photo is None


def test_a_picture_with_words_speaks_for_itself() -> None:
    line = Timeline()
    line.add(heard(0, kind="image", text="看"), tickets=())
    assert line.context(heard(1)).own_photo is None


def test_quotes() -> None:
    line = Timeline()
    line.add(heard(0, id="a"), tickets=("T1",))
    line.add(heard(1, id="b"), tickets=())
    quoted = {quote: line.context(heard(2, quote=quote)).quotes for quote in ("a", "b", "before our time", None)}
    assert quoted == {"a": "ticket", "b": "other", "before our time": "other", None: ""}
    assert line.context(heard(2, chat="g2", quote="a")).quotes == "other"
