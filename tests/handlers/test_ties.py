"""Signs that a message belongs to a ticket."""

import pytest

from config.links import link_rules
from handlers.ties import BESIDE
from handlers.words import same_run


@pytest.mark.parametrize(
    ("mine", "theirs", "share"),
    [
        ("面包车我天天看到", "7幢旁边有辆破面包车 停了一年多", 1 / 3),
        ("那辆破面包车还在", "有辆破面包车 停了一年多", 1),
        ("破面包车", "有辆破面包车", 2 / 3),
        ("7 幢 12号", "7 幢 12号", 0),
        ("水管", "水管", 0),
        ("", "水管爆了", 0),
        ("水管爆了", "", 0),
    ],
)
def test_the_longest_piece_that_both_hold(mine: str, theirs: str, share: float) -> None:
    assert same_run(mine, theirs) == pytest.approx(share)


def test_all_products_have_points() -> None:
    points = link_rules().points
    for one, two in BESIDE:
        assert {one, two, f"{one} & {two}"} <= points.keys()
