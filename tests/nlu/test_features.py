"""A message as features: what runs at run time against what training reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu import features
from nlu.features import BUILDING, NAME, Grams
from nlu.types import Span

SAID = st.text(alphabet=f"电梯坏了ab12 ，。~@^${NAME}{BUILDING}\x00𠮷", max_size=40)


@given(known=SAID, text=SAID)
def test_numbers_are_those_of_the_n_grams(known: str, text: str) -> None:
    vocabulary = {gram: number for number, gram in enumerate([*features.grams(known), "~kind:text"])}
    found = Grams(vocabulary).once(text)
    assert sorted(found) == sorted(vocabulary[gram] for gram in features.grams(text) if gram in vocabulary)


@given(known=SAID, text=SAID)
def test_every_place_of_an_n_gram_is_found(known: str, text: str) -> None:
    vocabulary = {gram: number for number, gram in enumerate(features.grams(known))}
    numbers, there = Grams(vocabulary).all(text)
    inside = [text[at : at + size] for size in (1, 2, 3) for at in range(len(text) - size + 1)]
    assert there.tolist() == [gram in vocabulary for gram in inside]
    assert numbers.tolist() == [vocabulary[gram] for gram in inside if gram in vocabulary]


def test_half_a_character_is_unknown() -> None:
    assert Grams({"a": 0}).once("\ud800a").tolist() == [0]


def test_no_words_no_numbers() -> None:
    assert Grams({}).once("电梯").tolist() == []
    assert Grams({"电": 0}).once("").tolist() == []
    assert Grams({"电": 0}).all("")[1].dtype == np.bool_


@pytest.mark.parametrize(
    "text", ["@邻声 3栋 电梯坏了 !", "  @张三丰 你看，，12单元", "。。！。。", "@bot", "a@b c", "@小邻 @小邻"]
)
@pytest.mark.parametrize("spans", [[], [Span(0, 2, "location", "")], [Span(1, 4, "location", "", ("P",))]])
def test_masked_with_or_without_positions(text: str, spans: list[Span]) -> None:
    seen, at = features.masked(text, spans)
    assert features.mask(text, spans) == seen
    assert len(at) == len(seen) + 1


@pytest.mark.parametrize(
    ("age", "token"), [(None, "~own:none"), (0.0, "~own:3"), (3.0, "~own:3"), (3.1, "~own:15"), (9e9, "~own:more")]
)
def test_ages_fall_into_steps(age: float | None, token: str) -> None:
    assert features._bucket("own", age) == token


def test_no_pause_is_a_long_one() -> None:
    assert features._bucket("pause", None) == "~pause:more"
