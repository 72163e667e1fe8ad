"""Where: from residents' words, a pin, the registered home and the chat's grid to a place and a micro-grid.

Every clue is an `Evidence` with a weight; the strongest wins, and all of them are kept for the staff to see.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from handlers.town import Town
from nlu import grammar
from nlu.normalize import normalize
from nlu.types import Span

# How much a clue counts. A named place beats the pin, the pin beats the home, the home beats the chat's own grid.
NAMED, NUMBERED, PIN, HOME, CHAT = 5.0, 4.5, 3.0, 2.5, 1.0
# A name that several places carry counts less when none of them lies near the chat.
FAR = 2.0
NEAR_METRES = 60.0
TOO_FAR = 9
BARE_REACH = 4  # a bare number means a building near by, or none
KINDS = {"building": 5, "shop": 5, "gate": 4, "poi": 4, "junction": 3, "school": 3, "market": 3, "factory": 3,
         "road": 2, "village": 2, "estate": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Where:
    """What there is to go by. home: the writer's registered place; chat_grid: the group's grid, "" in a direct chat."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    home: str | None = None
    chat_grid: str | None = None
    lon: float | None = None
    lat: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a matter is. place: the finest gazetteer row, or None; grid: the finest grid that certainly holds it.

    spot: unit and floor in words (never a room). weight: how good the best clue is. options: places to ask about when
    `unsure`, at most three. evidence: every clue, in words for the staff. from_home: nobody said it, the register did.
    """

    grid: str | None
    place: str | None
    weight: float = 0.0
    spot: str = ""
    evidence: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wide: bool = False
    from_home: bool = False

    @property
    def unsure(self) -> bool:
        """One question would settle it."""
        return len(self.options) > 1


@dataclass(frozen=True, slots=True)
class Clue:
    """One place that the words may mean."""

    place: str
    weight: float
    start: int
    why: str
    spot: str = ""
    rivals: tuple[str, ...] = ()


def locate(town: Town, where: Where) -> Placement:
    """Weigh all clues. Without any, the chat's grid and no place; without a chat's grid, the home's."""
    text = normalize(where.text)
    clues = list(_named(town, where)) + list(_numbered(town, where, text))
    clues = _without_containers(town, _meant(text, clues))
    strong = [clue for clue in clues if clue.weight >= NUMBERED - FAR]
    if strong:
        return _from_words(town, where, strong)
    pinned = _pinned(town, where)
    if pinned:
        return pinned
    if where.home and (grammar.says_home(text) or not where.chat_grid) and where.home in town.places:
        if grammar.says_home(text):
            grid = town.places[where.home].grid
            return Placement(grid, where.home, HOME, evidence=(f"home: {where.home}",), from_home=True)
        return Placement(town.places[where.home].grid, None, HOME - 1, evidence=(f"home's grid: {where.home}",))
    if where.chat_grid:
        return Placement(where.chat_grid, None, CHAT, evidence=(f"chat's grid: {where.chat_grid}",))
    return Placement(None, None)


def _from_words(town: Town, where: Where, clues: Sequence[Clue]) -> Placement:
    best = max(clues, key=lambda clue: (clue.weight, KINDS.get(town.places[clue.place].kind, 0), -clue.start))
    evidence = tuple(f"{clue.why}: {clue.place}" for clue in clues)
    buildings = list(dict.fromkeys(c.place for c in clues if town.places[c.place].kind == "building" and not c.rivals))
    if len(buildings) > 1 and _spread(normalize(where.text)):
        shared = _common_place(town, buildings)
        grid = town.common(town.places[code].grid for code in buildings)
        return Placement(grid, shared, best.weight, evidence=evidence, wide=True)
    place = town.places[best.place]
    options = tuple(dict.fromkeys((best.place, *best.rivals)))[:3] if best.rivals else ()
    return Placement(place.grid, best.place, best.weight, best.spot, evidence, options)


def _spread(text: str) -> bool:
    """Several buildings in one breath: a range, or a list that all of it holds for; not one here and one there."""
    found = grammar.buildings(text)
    return bool(grammar.RANGE.search(text)) or any(
        text[left.end : right.start].strip(" 、,和跟与及") == ""
        for left, right in pairwise(found)
        if left.end <= right.start
    )


def _meant(text: str, clues: list[Clue]) -> list[Clue]:
    """Without the places that are only named to be taken back; after a correction only what follows it counts."""
    kept = [clue for clue in clues if not grammar.NOT_THERE.search(text[max(0, clue.start - 5) : clue.start])]
    marks = [match.end() for match in grammar.CORRECTION.finditer(text)]
    if marks and (after := [clue for clue in kept if clue.start >= marks[0]]):
        return after
    return kept or clues


def _named(town: Town, where: Where) -> Iterable[Clue]:
    for span in where.spans:
        if span.kind != "location" or not span.codes:
            continue
        codes = [code for code in span.codes if code in town.places]
        # A named estate narrows the nicknames beside it: 白石新苑的垃圾房 is not the one of the group's own estate.
        holders = {code for other in where.spans if other is not span for code in other.codes}
        inside = [code for code in codes if holders & set(list(town.above(code))[1:])]
        ranked = _nearest(town, inside or codes, where)
        if not ranked:
            continue
        (best, distance), *others = ranked
        rivals = tuple(code for code, far in others if far == distance)
        weight = NAMED + 0.05 * min(len(span.text), 8) - (FAR if rivals else 0.0)
        weight += 0.1 * KINDS.get(town.places[best].kind, 0)
        yield Clue(best, weight, span.start, f"named «{span.text}»", rivals=rivals)


def _numbered(town: Town, where: Where, text: str) -> Iterable[Clue]:
    named = [s for s in where.spans if s.kind == "location" and s.codes]
    for building in grammar.buildings(text):
        if any(span.start <= building.start and building.end <= span.end for span in named):
            continue  # the number is part of a name: 3幢旁边垃圾亭
        holders = [s for s in named if s.end <= building.start and building.start - s.end <= 3]
        codes = town.by_number.get(building.no, [])
        if not codes:
            continue
        spot = "".join(f"{value}{unit}" for value, unit in ((building.unit, "单元"), (building.floor, "楼")) if value)
        if holders:
            inside = [c for c in codes if any(h in town.above(c) for h in holders[-1].codes)]
            if inside:
                ranked = _nearest(town, inside, where)
                yield Clue(ranked[0][0], NAMED + 1.0, building.start, "number in a named place", spot)
                continue
        ranked = _nearest(town, codes, where)
        (best, distance), *others = ranked
        if min(distance) >= BARE_REACH and (where.chat_grid or where.home):
            continue
        rivals = tuple(code for code, far in others if far == distance)
        yield Clue(best, NUMBERED + (0.5 if not rivals else -1.0), building.start, "number", spot, rivals)


def _nearest(town: Town, codes: Iterable[str], where: Where) -> list[tuple[str, tuple[int, int]]]:
    """Places, nearest first, with how far they are from the chat's grid and from the home: 0 inside, 1 a level up …"""
    out = [(code, (_from_chat(town, code, where), _from_home(town, code, where))) for code in codes]
    return sorted(out, key=lambda item: item[1])


def _from_chat(town: Town, code: str, where: Where) -> int:
    if not where.chat_grid:
        return 0
    grid = town.places[code].grid
    chain = list(town.chain(where.chat_grid))
    if town.within(grid, where.chat_grid):
        return 0
    if grid in chain:
        return 1
    return next((i + 1 for i, above in enumerate(chain) if town.within(grid, above)), TOO_FAR)


def _from_home(town: Town, code: str, where: Where) -> int:
    home = town.places.get(where.home or "")
    if home is None:
        return 0 if not where.chat_grid else TOO_FAR
    holders = set(town.above(code))
    shared = next((i for i, above in enumerate(town.above(home.code)) if above in holders), TOO_FAR)
    if shared <= 1:  # the home itself, or a sibling in the same estate
        return 0
    grid = town.places[code].grid
    return next((i + 2 for i, above in enumerate(town.chain(home.grid)) if town.within(grid, above)), TOO_FAR)


def _without_containers(town: Town, clues: list[Clue]) -> list[Clue]:
    """Drops a place when a finer one inside it is named too: the estate, when a building of it is."""
    finer = {above for clue in clues for above in list(town.above(clue.place))[1:]}
    return [clue for clue in clues if clue.place not in finer]


def _common_place(town: Town, places: Sequence[str]) -> str | None:
    chains = [list(town.above(place)) for place in places]
    return next((code for code in chains[0] if all(code in chain for chain in chains[1:])), None)


def _pinned(town: Town, where: Where) -> Placement | None:
    if where.lon is None or where.lat is None:
        return None
    grid = town.at(where.lon, where.lat)
    near = [
        (metres, place)
        for place in town.places.values()
        if place.lon is not None and place.lat is not None
        for metres in [_metres(where.lon, where.lat, place.lon, place.lat)]
        if metres <= NEAR_METRES
    ]
    if near:
        metres, place = min(near, key=lambda item: (item[0], -KINDS.get(item[1].kind, 0)))
        return Placement(place.grid, place.code, PIN, evidence=(f"pin {metres:.0f} m from: {place.code}",))
    return Placement(grid, None, PIN, evidence=(f"pin inside: {grid}",)) if grid else None


def _metres(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Distance of two near points (equirectangular; good to a metre over a town)."""
    x = math.radians(lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return 6_371_000 * math.hypot(x, math.radians(lat2 - lat1))
