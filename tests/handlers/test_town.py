"""The demo town in memory, the same from both databases."""

from handlers.town import Town
from models.person import Role
from tests.conftest import HandClock


def test_both_databases_hold_the_same_town(demo_town: Town, shared_town: Town) -> None:
    assert demo_town.version == shared_town.version == 1
    for part in ("grids", "places", "people", "chats", "duties", "identities", "by_number", "children"):
        assert getattr(demo_town, part) == getattr(shared_town, part), part
    assert [(r.category, r.grid, r.department) for r in demo_town.routes] == [
        (r.category, r.grid, r.department) for r in shared_town.routes
    ]


def test_the_tree(shared_town: Town) -> None:
    assert list(shared_town.chain("QX-01-02-01")) == ["QX-01-02-01", "QX-01-02", "QX-01", "QX"]
    assert list(shared_town.chain(None)) == []
    assert shared_town.within("QX-01-02-01", "QX-01")
    assert not shared_town.within("QX-01", "QX-01-02-01")
    assert not shared_town.within("QX-01", None)
    assert shared_town.common(["QX-01-01-01", "QX-01-02-01"]) == "QX-01"
    assert shared_town.common(["QX-01-01-01"]) == "QX-01-01-01"
    assert shared_town.common([]) is None
    assert shared_town.community("QX-01-02-01") == shared_town.community("QX-01") == "QX-01"


def test_a_circle_in_the_tree_ends(sqlite_town: Town, clock: HandClock) -> None:
    sqlite_town.grids["QX"].parent = "QX-01"
    assert len(list(sqlite_town.chain("QX-01-01-01"))) <= 32


def test_every_boundary_holds_its_own_places(shared_town: Town) -> None:
    outside = [
        place.code
        for place in shared_town.places.values()
        if place.lon is not None and place.lat is not None and not shared_town.grids[place.grid].level < 4
        if shared_town.at(place.lon, place.lat) != place.grid
    ]
    assert outside == []
    assert shared_town.at(0.0, 0.0) is None


def test_people(shared_town: Town) -> None:
    person = shared_town.person("web", "w01")
    assert person is not None
    assert person.code == "W01"
    assert shared_town.person("web", "nobody") is None
    assert shared_town.person("wechat_mp", "w01") is None
    assert shared_town.roles("W01") == {Role.GRIDWORKER}
    assert shared_town.roles(None) == frozenset()
    assert [identity.user for identity in shared_town.addresses("W01")] == ["w01"]
    assert shared_town.direct_chat("web", "W01", "w01") == "d-w01"
    assert shared_town.direct_chat("wechat_mp", "W01", "openid") == "openid"
    assert shared_town.kind("web", "g-QX-01") == "group"
    # A chat that nobody has listed is a group, unless it is named after whoever writes there.
    assert shared_town.kind("web", "who knows") == "group"
    assert shared_town.kind("web", "d-w01", "w01") == "direct"
    assert shared_town.kind("wechat_mp", "openid", "openid") == "direct"
    assert shared_town.kind("wecom_bot", "wrk-unlisted", "u05") == "group"


def test_places_are_found_by_where_they_are(shared_town: Town) -> None:
    every = list(shared_town.places.values())
    assert shared_town.standing_in(shared_town.grids) == every
    for grid in shared_town.grids:
        assert shared_town.standing_in([grid, grid]) == [place for place in every if place.grid == grid]
        assert shared_town.lineage(grid) == tuple(shared_town.chain(grid))
    assert shared_town.standing_in(["nowhere"]) == []
    measured = [place for place in every if place.lat is not None]
    lat = measured[0].lat or 0.0
    near = shared_town.around_latitude(lat, 60)
    assert measured[0] in near
    assert {p.code for p in near} == {p.code for p in measured if abs((p.lat or 0.0) - lat) * 111_000 <= 60}
    assert len(near) < len(measured)
    assert shared_town.around_latitude(0.0, 60) == []
