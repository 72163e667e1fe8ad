"""Who has to deal with it: by grid and duty, upward until somebody is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from handlers.town import Town
from models.person import Duty, Person, Role

# Whom to look for at a grid before going one level up. The micro-grid's leader listens, she does not act.
ACTS = (Role.GRIDWORKER, Role.COMMUNITY, Role.STREET, Role.DISTRICT)
LEVELS = (Role.COMMUNITY, Role.STREET, Role.DISTRICT)


@dataclass(frozen=True, slots=True)
class Assigned:
    """A person to alert, and why: `gridworker LJ-01-01`, `deputy of H052`, `urgent`."""

    person: str
    why: str


def present(town: Town, person: str, now: datetime) -> bool:
    """Not on leave."""
    known = town.people.get(person)
    return known is not None and (known.away_until is None or known.away_until <= now)


def stand_in(town: Town, person: Person, now: datetime) -> str | None:
    """The deputy, or the deputy's deputy, who is there."""
    seen = {person.code}
    deputy = person.deputy
    while deputy and deputy not in seen:
        if present(town, deputy, now):
            return deputy
        seen.add(deputy)
        known = town.people.get(deputy)
        deputy = known.deputy if known else None
    return None


def _there(town: Town, duties: list[Duty], now: datetime) -> Iterator[Assigned]:
    for duty in duties:
        if present(town, duty.person, now):
            yield Assigned(duty.person, f"{duty.role.value} {duty.grid}")
    for duty in duties:
        person = town.people.get(duty.person)
        if person and not present(town, duty.person, now) and (deputy := stand_in(town, person, now)):
            yield Assigned(deputy, f"deputy of {duty.person}")


def responsible(town: Town, grid: str | None, now: datetime) -> Assigned | None:
    """The gridworker (网格员) of the grid or the nearest one above; on leave, the deputy; where no gridworker is to be
    had, the community's, street's, district's staff. Where all of them are away, the first of them all the same:
    somebody must know. None when the deployment has nobody at all.

    A grid that is wider than a gridworker's own (a whole community) goes to its community's staff; a matter that
    nobody can place goes to the staff at the root.
    """
    chain = list(town.chain(grid or town.root))
    duties = [duty for role in ACTS for code in chain for duty in town.on_duty(code, role)]
    there = (_there(town, town.on_duty(code, role), now) for role in ACTS for code in chain)
    found = next((one for some in there for one in some), None)
    if found is None and duties:
        return Assigned(duties[0].person, "away, and nobody stands in")
    return found


def staff_above(town: Town, grid: str | None, role: Role, now: datetime) -> list[Assigned]:
    """Everybody of a level (社区, 街道, 区) who is responsible for a grid."""
    for code in town.chain(grid or town.root):
        if found := list(_there(town, town.on_duty(code, role), now)):
            return found
    return []


def department(town: Town, category: str, grid: str | None) -> str | None:
    """The department that a category goes to, from the routes: the nearest grid wins, then the finer category."""
    top = category.split(".", maxsplit=1)[0]
    for code in town.chain(grid):
        here = {route.category: route.department for route in town.routes if route.grid == code}
        if found := here.get(category) or here.get(top):
            return found
    return None


def department_people(town: Town, name: str, grid: str | None, now: datetime) -> list[Assigned]:
    """Who works for a department in a grid or above it."""
    out = []
    for code in town.chain(grid):
        for role in (Role.PART_TIME, Role.DEPARTMENT, *LEVELS):
            duties = [duty for duty in town.on_duty(code, role) if duty.department == name]
            out += list(_there(town, duties, now))
    return out


def may_act(town: Town, person: str, ticket_grid: str | None, worker: str | None, category: str) -> bool:
    """Whether somebody may move a ticket: its worker, a gridworker or staff of its grid or one above, or somebody of
    the department it is routed to. A card's key proves nothing; this is asked for every click and word."""
    if person == worker:
        return True
    routed = department(town, category, ticket_grid)
    chain = set(town.chain(ticket_grid or town.root))
    for duty in town.duties.get(person, ()):
        if duty.grid in chain and duty.role in ACTS:
            return True
        if duty.grid in chain and duty.role in (Role.PART_TIME, Role.DEPARTMENT) and duty.department == routed:
            return True
    return False


def may_correct(
    town: Town, person: str, ticket_grid: str | None, worker: str | None, category: str, *, staff_only: bool = False
) -> bool:  # fmt: skip
    """Whether somebody may say that a ticket is something else, or somewhere else: staff of its grid or one above, of
    the department it is routed to, or the gridworker who is responsible.

    staff_only: not the gridworker, for what joins or divides tickets. Being handed a ticket alone gives no such right.
    """
    chain = set(town.chain(ticket_grid or town.root))
    duties = [duty for duty in town.duties.get(person, ()) if duty.grid in chain]
    if any(duty.role in LEVELS for duty in duties):
        return True
    routed = department(town, category, ticket_grid)
    if any(duty.role == Role.DEPARTMENT and duty.department == routed for duty in duties):
        return True
    if staff_only:
        return False
    stands_in = person == worker and Role.GRIDWORKER in town.roles(person)
    return stands_in or any(duty.role == Role.GRIDWORKER for duty in duties)
