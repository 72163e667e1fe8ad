"""Who has to deal with it, in the demo town."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from handlers.dispatch import department, department_people, may_act, present, responsible, staff_above, stand_in
from handlers.town import Town
from models.person import Role
from tests.conftest import HandClock

SOUTH, COMMUNITY, STREET = "QX-01-01-01", "QX-01", "QX"
Leave = Callable[..., None]


@pytest.fixture
def leave(sqlite_town: Town, clock: HandClock) -> Leave:
    """Send somebody on leave for a day: `leave("W01", deputy="W02")`."""

    def go(person: str, deputy: str | None = None) -> None:
        sqlite_town.people[person].away_until = clock() + timedelta(days=1)
        sqlite_town.people[person].deputy = deputy

    return go


def who(town: Town, grid: str | None, clock: HandClock) -> tuple[str, str] | None:
    found = responsible(town, grid, clock())
    return (found.person, found.why) if found else None


def test_the_gridworker_of_the_grid_above_a_micro_grid(sqlite_town: Town, clock: HandClock) -> None:
    # The micro-grid's leader (L01, 秀英姐) listens; it is the gridworker above her who acts.
    assert sqlite_town.on_duty(SOUTH, Role.LEADER)[0].person == "L01"
    assert who(sqlite_town, SOUTH, clock) == ("W01", "gridworker QX-01-01")
    assert who(sqlite_town, "QX-01-01", clock) == ("W01", "gridworker QX-01-01")
    assert who(sqlite_town, "QX-03-02-02", clock) == ("W07", "gridworker QX-03-02")


def test_every_micro_grid_has_somebody(sqlite_town: Town, clock: HandClock) -> None:
    without = [code for code in sqlite_town.grids if responsible(sqlite_town, code, clock()) is None]
    assert without == []


def test_a_whole_community_goes_to_its_staff(sqlite_town: Town, clock: HandClock) -> None:
    assert who(sqlite_town, COMMUNITY, clock) == ("C01", "community QX-01")
    assert who(sqlite_town, STREET, clock) == ("S01", "street QX")


def test_on_leave_the_deputy(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("W01", deputy="W02")
    assert who(sqlite_town, SOUTH, clock) == ("W02", "deputy of W01")
    clock.forward(days=1)
    assert who(sqlite_town, SOUTH, clock) == ("W01", "gridworker QX-01-01")


def test_the_deputys_deputy(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("W01", deputy="W02")
    leave("W02", deputy="W03")
    assert who(sqlite_town, SOUTH, clock) == ("W03", "deputy of W01")


def test_deputies_in_a_circle_are_nobody(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("W01", deputy="W02")
    leave("W02", deputy="W01")
    assert stand_in(sqlite_town, sqlite_town.people["W01"], clock()) is None
    assert who(sqlite_town, SOUTH, clock) == ("C01", "community QX-01")


def test_nobody_but_the_communitys_staff(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("W01")
    assert who(sqlite_town, SOUTH, clock) == ("C01", "community QX-01")
    leave("C01")
    assert who(sqlite_town, SOUTH, clock) == ("C02", "community QX-01")
    leave("C02")
    assert who(sqlite_town, SOUTH, clock) == ("S01", "street QX")


def test_a_colleague_who_is_there_before_a_deputy(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("C01", deputy="C06")
    assert who(sqlite_town, COMMUNITY, clock) == ("C02", "community QX-01")


def test_everybody_away(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    for person in list(sqlite_town.people):
        leave(person)
    # Somebody must know, so the gridworker hears of it all the same.
    assert who(sqlite_town, SOUTH, clock) == ("W01", "away, and nobody stands in")


def test_nobody_at_all(sqlite_town: Town, clock: HandClock) -> None:
    assert responsible(sqlite_town, "QX-99", clock()) is None


@pytest.mark.parametrize("grid", [None, ""])
def test_a_matter_without_a_grid_goes_to_the_root(sqlite_town: Town, clock: HandClock, grid: str | None) -> None:
    found = responsible(sqlite_town, grid, clock())
    assert found is not None
    assert (found.person, found.why) == ("S01", "street QX")


def test_present(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    assert present(sqlite_town, "W01", clock())
    assert not present(sqlite_town, "W99", clock())
    leave("W01")
    assert not present(sqlite_town, "W01", clock())


def test_all_staff_of_a_level(sqlite_town: Town, clock: HandClock, leave: Leave) -> None:
    leave("S02", deputy="C01")
    found = staff_above(sqlite_town, SOUTH, Role.STREET, clock())
    assert [assigned.person for assigned in found] == ["S01", "S03", "C01"]
    assert [assigned.person for assigned in staff_above(sqlite_town, SOUTH, Role.COMMUNITY, clock())] == ["C01", "C02"]
    assert staff_above(sqlite_town, None, Role.STREET, clock()) == found


@pytest.mark.parametrize(
    ("category", "grid", "name"),
    [
        ("facility.lighting", SOUTH, "柳岸物业"),
        ("facility.lighting", "QX-03-01-01", "城建办"),
        ("facility.elevator", SOUTH, "顺达电梯维保"),
        ("facility.elevator", "QX-03-01-01", "顺达电梯维保"),
        # The nearest grid wins, so the estate's property takes it although the street has a route for the leaf.
        ("facility.manhole", SOUTH, "柳岸物业"),
        ("safety.gas", SOUTH, "清溪水气公司"),
        ("facility.lighting", None, None),
        ("nothing.such", SOUTH, None),
    ],
)
def test_department(sqlite_town: Town, category: str, grid: str | None, name: str | None) -> None:
    assert department(sqlite_town, category, grid) == name


def test_people_of_a_department(sqlite_town: Town, clock: HandClock) -> None:
    assert [a.person for a in department_people(sqlite_town, "柳岸物业", SOUTH, clock())] == ["P01"]
    assert [a.person for a in department_people(sqlite_town, "清溪派出所", SOUTH, clock())] == ["D02"]
    assert department_people(sqlite_town, "柳岸物业", "QX-02-01-01", clock()) == []


@pytest.mark.parametrize(
    ("person", "allowed"),
    [
        ("W01", True),  # the gridworker of the grid above
        ("C01", True),  # staff of the community
        ("S02", True),  # and of the street
        ("D06", True),  # and of the district
        ("P01", True),  # the department it is routed to
        ("nobody", False),  # a stranger
        ("", False),
        ("U03", False),  # a resident of that very building
        ("L01", False),  # the leader listens
        ("W02", False),  # another grid of the same community
        ("W03", False),  # another community
        ("C03", False),
        ("P02", False),  # another estate's property
        ("P03", False),  # another department of the same street
    ],
)
def test_may_act(sqlite_town: Town, person: str, *, allowed: bool) -> None:
    assert may_act(sqlite_town, person, SOUTH, None, "facility.lighting") is allowed


def test_the_tickets_own_worker_may_act_wherever_it_lies(sqlite_town: Town) -> None:
    assert may_act(sqlite_town, "W07", SOUTH, "W07", "facility.lighting")
    assert not may_act(sqlite_town, "W07", SOUTH, "W01", "facility.lighting")


def test_a_department_acts_on_its_own_categories_only(sqlite_town: Town) -> None:
    assert may_act(sqlite_town, "D02", SOUTH, None, "security.theft")
    assert not may_act(sqlite_town, "D02", SOUTH, None, "sanitation.garbage")


def test_without_a_grid_nobody_but_the_worker_acts(sqlite_town: Town) -> None:
    assert may_act(sqlite_town, "W01", None, "W01", "facility.lighting")
    assert not may_act(sqlite_town, "W01", None, None, "facility.lighting")
