"""A message as features: what runs at run time against what training reads."""

import pytest

from nlu import features
from nlu.types import Span


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
