"""What Rasa's answers mean, and what it is asked: names, texts, spans."""

import pytest

from nlu.rasa_answer import Garbage, beside, merged, read
from nlu.types import Span
from nlu.wording import as_rasa_reads, fits, intent_name, meaning

LEAVES = ("facility.elevator", "utility.water")


def test_merging_covers_both_and_keeps_the_text() -> None:
    text = "东门外的小广场边"
    found = merged(Span(start, end, "location", text[start:end]) for start, end in [(3, 8), (0, 4), (1, 2)])
    assert found == (Span(0, 8, "location", text),)


def test_the_towns_own_names_keep_their_place_and_codes() -> None:
    own = [Span(0, 3, "location", "阳光里", ("P1",))]
    others = [Span(0, 5, "location", "阳光里3栋"), Span(5, 7, "object", "电梯"), Span(9, 11, "location", "北门")]
    assert beside(own, others) == (own[0], others[1], others[2])


def test_names_of_intents_there_and_back() -> None:
    assert meaning(intent_name("report", "facility.elevator")) == ("report", "facility.elevator")
    assert meaning("join") == ("join", "")
    assert meaning("nlu_fallback") is None
    assert meaning("::) 停水了") is None


def test_the_text_keeps_its_length_and_loses_rasas_marks() -> None:
    text = "［3幢］（東門）\r\n〔x〕[吐]{a}\u2028 /:rose"
    said = as_rasa_reads(text)
    assert len(said) == len(text)
    assert not set("[]\r\n\u2028") & set(said)
    assert fits(said)


def test_an_answer_without_reports_has_no_kinds() -> None:
    ranking = [{"name": "chatter", "confidence": 1.0}]
    assert read({"text": "嗯", "intent_ranking": ranking}, "嗯", LEAVES).categories == ()
    with pytest.raises(Garbage):
        read({"text": "嗯", "intent_ranking": [{"name": "chatter", "confidence": float("nan")}]}, "嗯", LEAVES)
