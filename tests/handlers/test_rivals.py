"""What the other candidates say against one."""

import pytest

from handlers.rivals import rivals


def test_alone_there_is_no_rival() -> None:
    assert rivals([{"chat": 1.0, "place same": 1.0}]) == [{"rivals": 0.0}]
    assert rivals([]) == []


def test_what_is_talked_of_here_counts_for_the_others() -> None:
    assert [found["rivals"] for found in rivals([{"chat": 1.0}, {"chat": 0.5}, {"chat": 0.0}])] == [0.125, 0.25, 0.375]


def test_more_than_a_few_are_all_alike() -> None:
    assert {found["rivals"] for found in rivals([{"chat": 1.0}] * 9)} == {1.0}


def test_the_place_of_another_one_is_named() -> None:
    found = rivals([{"chat": 0.0, "place same": 0.9}, {"chat": 0.0, "place same": 0.2}, {"chat": 0.0}])
    assert [against.get("a rival's place", 0.0) for against in found] == pytest.approx([0.0, 0.7, 0.9])
