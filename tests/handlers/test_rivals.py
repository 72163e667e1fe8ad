"""What the other candidates say against one."""

import pytest

from handlers.rivals import rivals


def of(kind: float, chat: float = 1.0, **signs: float) -> dict[str, float]:
    return {"category": kind, "chat": chat, **{name.replace("_", " "): value for name, value in signs.items()}}


def against(*weighed: dict[str, float]) -> list[float]:
    return [found["rivals"] for found in rivals(weighed)]


def test_alone_there_is_no_rival() -> None:
    assert against(of(0.9)) == [0.0]
    assert against() == []


def test_what_is_talked_of_here_counts_for_the_others() -> None:
    assert against(of(0.5, 1.0), of(0.5, 0.5), of(0.5, 0.0)) == [0.125, 0.25, 0.375]


def test_matters_of_another_kind_are_no_rivals_however_many() -> None:
    assert against(of(0.9), *[of(0.0) for _ in range(9)]) == [0.0] + [1.0] * 9


def test_more_than_a_few_are_all_alike() -> None:
    assert set(against(*[of(0.5) for _ in range(9)])) == {1.0}


@pytest.mark.parametrize("pointed", ["quoted", "number", "asked"])
def test_who_says_which_one_is_meant_means_it(pointed: str) -> None:
    assert against(of(0.1) | {pointed: 1.0}, of(0.9)) == [0.0, 0.0]


def test_what_is_over_is_no_rival() -> None:
    assert against(of(0.5), of(0.5, moved_on=1.0)) == [0.0, 0.25]
