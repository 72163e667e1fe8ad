"""The numbers of n-grams, all texts at once, against a dictionary."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu import grams as module
from nlu.features import BUILDING, NAME
from nlu.grams import Grams, grams

SAID = st.text(alphabet=f"电梯坏了ab12 ，。~@^${NAME}{BUILDING}\x00𠮷", max_size=40)


@pytest.fixture(scope="module", params=[3, module.SLOT_BITS], autouse=True)
def slots(request: pytest.FixtureRequest) -> Iterator[None]:
    """With room for all, and where most n-grams find their slot taken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SLOT_BITS", request.param)
        yield


@given(known=SAID, texts=st.lists(SAID, min_size=1, max_size=5))
def test_numbers_are_those_of_the_n_grams(known: str, texts: list[str]) -> None:
    vocabulary = {gram: number for number, gram in enumerate([*grams(known), "~kind:text"])}
    found = Grams(vocabulary).once(texts)
    assert len(found.starts) == len(texts)
    for text, numbers in zip(texts, np.split(found.numbers, found.starts[1:]), strict=True):
        assert numbers[0] == len(vocabulary)
        assert sorted(numbers[1:]) == sorted(vocabulary[gram] for gram in grams(text) if gram in vocabulary)


@given(known=SAID, texts=st.lists(SAID, min_size=1, max_size=5))
def test_every_place_of_an_n_gram_is_found(known: str, texts: list[str]) -> None:
    vocabulary = {gram: number for number, gram in enumerate(grams(known))}
    found = Grams(vocabulary).all(texts)
    sized = [[[text[at : at + size] for at in range(len(text) - size + 1)] for size in (1, 2, 3)] for text in texts]
    inside = [gram for text in sized for some in text for gram in some]
    assert found.known.tolist() == [gram in vocabulary for gram in inside]
    assert found.numbers.tolist() == [vocabulary[gram] for gram in inside if gram in vocabulary]
    counts = [len(some) for text in sized for some in text]
    assert found.firsts.ravel().tolist() == [sum(counts[:at]) for at in range(len(counts))]


def test_half_a_character_is_unknown() -> None:
    assert Grams({"a": 0}).once(["\ud800a"]).numbers.tolist() == [1, 0]


def test_no_words_no_numbers() -> None:
    assert Grams({}).once(["电梯", ""]).numbers.tolist() == [0, 0]
    assert Grams({"电": 0}).once([""]).numbers.tolist() == [1]
    assert Grams({"电": 0}).all([""]).known.dtype == np.bool_
