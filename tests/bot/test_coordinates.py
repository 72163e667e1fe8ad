"""GCJ-02 and back."""

import random

import pytest

from bot.channels.coordinates import gcj02_from_wgs84, wgs84_from_gcj02


def test_a_published_example() -> None:
    # README of wandergis/coordtransform
    assert gcj02_from_wgs84(116.404, 39.915) == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-9)


def test_the_round_trip_is_below_a_decimetre() -> None:
    dice = random.Random(7)
    for _ in range(5_000):
        lon, lat = dice.uniform(73.5, 135.0), dice.uniform(3.0, 53.5)
        assert wgs84_from_gcj02(*gcj02_from_wgs84(lon, lat)) == pytest.approx((lon, lat), abs=1e-6)
        assert gcj02_from_wgs84(*wgs84_from_gcj02(lon, lat)) == pytest.approx((lon, lat), abs=1e-6)


def test_the_shift_is_real_inside_and_nothing_outside() -> None:
    lon, lat = gcj02_from_wgs84(121.47, 31.23)
    assert 0.003 < lon - 121.47 < 0.006
    assert -0.004 < lat - 31.23 < -0.001
    assert gcj02_from_wgs84(2.35, 48.86) == (2.35, 48.86)
    assert wgs84_from_gcj02(2.35, 48.86) == (2.35, 48.86)
