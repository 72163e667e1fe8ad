"""The town in memory: grid tree, gazetteer, people and their duties, chats. Built from the database, then only read."""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from shapely import STRtree
from shapely.geometry import Point, shape
from sqlmodel import Session, col

from models.chat import Chat, ChatKind
from models.grid import Grid, Place, Route
from models.mark import TOWN, value
from models.person import Duty, Identity, Origin, Person, Role
from nlu import grammar
from nlu.gazetteer import STOP, Gazetteer
from nlu.normalize import normalize
from nlu.sounds import Sounds

GATE = "大门"  # of an estate that has one; elsewhere any door

NUMBERED = re.compile(r"^(?P<no>[a-z]?\d+|[a-z]|[一二三四五六七八九十百]+)(?:号楼|栋|幢|座|#|号|排|号院|号?楼)?$")

# 福民路80-120号, 双号: a row that stands for the houses of one side of a road.
RANGE = re.compile(r"(?P<first>\d+)\s?[-~—至到]\s?(?P<last>\d+)号?(?P<side>.*[单双])?")
WHOLE = frozenset({"estate", "village", "factory", "school", "market"})
WEB = "web"
MUTE = frozenset({"archive", "resident_report"})  # nobody can be told anything there: they only hand on
METRES_A_DEGREE = 111_000.0  # of latitude, at least; it is 111,195 on the sphere of `handlers.clues`
LETTERED = re.compile(r"^[a-z]\d{1,2}$")


@dataclass
class Town:
    """All that the deployment knows about itself. Codes are the keys everywhere. on: the channels it has; None: any."""

    version: int
    grids: dict[str, Grid]
    places: dict[str, Place]
    people: dict[str, Person]
    chats: dict[tuple[str, str], Chat]
    duties: dict[str, list[Duty]]
    identities: dict[tuple[str, str], str]
    routes: list[Route]
    names: Gazetteer
    on: frozenset[str] | None = None
    by_number: dict[str, list[str]] = field(default_factory=dict)
    ranges: dict[str, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    _direct: dict[tuple[str, str], str] = field(default_factory=dict)
    _addresses: dict[str, list[Identity]] = field(default_factory=dict)
    _around: dict[str, list[str]] = field(default_factory=dict)
    _estates: dict[str, str | None] = field(default_factory=dict)
    _by_grid: dict[str, list[tuple[int, Place]]] = field(default_factory=dict)
    _lineages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _by_latitude: list[tuple[float, Place]] = field(default_factory=list)
    _junctions: list[Place] | None = None
    _near: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _sounds: dict[str, Sounds] = field(default_factory=dict)
    _nouns: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _tree: STRtree | None = None
    _tree_codes: list[str] = field(default_factory=list)
    _in_grid: dict[str, list[Duty]] = field(default_factory=dict)

    # --- the tree -----------------------------------------------------------------------------------------------

    def chain(self, grid: str | None) -> Iterator[str]:
        """A grid and the grids above it, finest first."""
        seen = 0
        while grid and seen < 32:
            yield grid
            found = self.grids.get(grid)
            grid = found.parent if found else None
            seen += 1

    def lineage(self, grid: str) -> tuple[str, ...]:
        """`chain` of a grid, kept: distances ask for it a thousand times a message."""
        if grid not in self._lineages:
            self._lineages[grid] = tuple(self.chain(grid))
        return self._lineages[grid]

    def within(self, grid: str | None, above: str | None) -> bool:
        """`grid` is `above` or lies inside it."""
        return above is not None and above in self.chain(grid)

    def common(self, grids: Iterable[str]) -> str | None:
        """The finest grid that holds all of `grids`."""
        chains = [list(self.chain(grid)) for grid in grids]
        if not chains:
            return None
        return next((code for code in chains[0] if all(code in chain for chain in chains[1:])), None)

    def community(self, grid: str | None) -> str | None:
        """The 社区 that a grid belongs to; the grid itself where the tree names none above it."""
        chain = list(self.chain(grid))
        for code in chain:
            if self.grids[code].kind in ("社区", "村"):
                return code
        return chain[min(1, len(chain) - 1)] if chain else None

    @property
    def root(self) -> str | None:
        """The grid at the top of the tree."""
        return next((code for code, grid in self.grids.items() if grid.parent is None), None)

    def around(self, grid: str) -> list[str]:
        """A grid, all grids below it and all above it."""
        if grid not in self._around:
            below, todo = [], [grid]
            while todo:
                code = todo.pop()
                below.append(code)
                todo += self.children.get(code, [])
            self._around[grid] = [*below, *list(self.chain(grid))[1:]]
        return self._around[grid]

    def at(self, lon: float, lat: float) -> str | None:
        """The finest grid whose boundary holds a point (WGS-84 degrees), if boundaries are known."""
        if self._tree is None:
            return None
        hits = [self._tree_codes[i] for i in self._tree.query(Point(lon, lat), predicate="intersects")]
        return max(hits, key=lambda code: self.grids[code].level, default=None)

    # --- places -------------------------------------------------------------------------------------------------

    def above(self, place: str | None) -> Iterator[str]:
        """A place and the places that hold it, finest first."""
        seen = 0
        while place and seen < 16:
            yield place
            found = self.places.get(place)
            place = found.parent if found else None
            seen += 1

    def standing_in(self, grids: Iterable[str]) -> list[Place]:
        """The places of these grids, in the order of the gazetteer; looks at no others."""
        if not self._by_grid:
            rows: dict[str, list[tuple[int, Place]]] = {}
            for number, place in enumerate(self.places.values()):
                rows.setdefault(place.grid, []).append((number, place))
            self._by_grid = rows  # whole at once: other threads look too
        found = [row for grid in dict.fromkeys(grids) for row in self._by_grid.get(grid, ())]
        return [place for _, place in sorted(found, key=lambda row: row[0])]

    def estate_of(self, grid: str) -> str | None:
        """The one estate, village or dormitory that a grid consists of, or lies in; None where there are several."""
        if grid not in self._estates:
            own = [p for p in self.standing_in([grid]) if p.kind in WHOLE]
            around = [p for p in self.standing_in(list(self.chain(grid))[1:2]) if p.kind in WHOLE]
            found = [p for p in own if not p.parent] or own or around
            self._estates[grid] = found[0].code if len(found) == 1 else None
        return self._estates[grid]

    def names_near(self, grid: str | None) -> list[tuple[str, str]]:
        """(name, place code) of the places in a grid's community, for looking up a name with a slip in it."""
        near = self.community(grid) if grid else None
        if near is None:
            return []
        if near not in self._near:
            found = {normalize(n): p.code for p in self.standing_in(self.around(near))
                     for n in [p.name, *p.aliases.split("|")] if n}  # fmt: skip
            self._near[near] = list(found.items())
        return self._near[near]

    def sounds_near(self, grid: str | None) -> Sounds:
        """The same names by their sound: 垃及房 for 垃圾房."""
        near = (self.community(grid) if grid else None) or ""
        if near not in self._sounds:
            codes: dict[str, list[str]] = {}
            for place in self.standing_in(self.around(near)) if near else ():
                for name in filter(None, [place.name, *place.aliases.split("|")]):
                    codes.setdefault(normalize(name), []).append(place.code)
            self._sounds[near] = Sounds(codes.items())
        return self._sounds[near]

    def nouns_near(self, grid: str | None) -> dict[str, list[str]]:
        """The last two or three characters of what stands in a grid and in its community: 驿站, 幼儿园, 北门 …"""
        if grid is None:
            return {}
        if grid not in self._nouns:
            found: dict[str, list[str]] = {}
            for place in self.standing_in(self.around(self.community(grid) or grid)):
                if place.kind in ("poi", "shop", "school", "market", "factory", "gate"):
                    name = normalize(place.name)
                    for noun in {name[-2:], name[-3:]}:
                        own_gate = noun == GATE and place.kind == "gate" and place.grid == grid
                        common = noun in STOP and not own_gate
                        if len(name) > len(noun) and not common and noun.isalpha() and not noun[0].isascii():
                            found.setdefault(noun, []).append(place.code)
            self._nouns[grid] = found
        return self._nouns[grid]

    def crossing(self, one: str, other: str) -> list[str]:
        """Junctions whose name holds the names of both roads."""
        if self._junctions is None:
            self._junctions = [place for place in self.places.values() if place.kind == "junction"]
        names = [short(self.places[code].name) for code in (one, other)]
        return [p.code for p in self._junctions
                if all(any(name in said for said in [p.name, *p.aliases.split("|")]) for name in names)]  # fmt: skip

    def around_latitude(self, lat: float, metres: float) -> list[Place]:
        """Places whose latitude is within `metres` of this one (WGS-84 degrees), wherever they lie east or west."""
        if not self._by_latitude:
            known = ((place.lat, place) for place in self.places.values() if place.lat is not None)
            self._by_latitude = sorted(known, key=lambda row: row[0])
        degrees = metres / METRES_A_DEGREE
        first = bisect_left(self._by_latitude, lat - degrees, key=lambda row: row[0])
        last = bisect_right(self._by_latitude, lat + degrees, key=lambda row: row[0])
        return [place for _, place in self._by_latitude[first:last]]

    def numbered_on(self, road: str, number: str) -> list[str]:
        """Places of a road whose name gives a range of numbers that holds this one: 福民路80-120号."""
        if not number.isdigit():
            return []
        return [code for code, first, last, step in self.ranges.get(road, ())
                if first <= int(number) <= last and (int(number) - first) % step == 0]  # fmt: skip

    # --- people -------------------------------------------------------------------------------------------------

    def person(self, channel: str, user: str) -> Person | None:
        """Who writes under this user id."""
        code = self.identities.get((channel, user))
        return self.people.get(code) if code else None

    def roles(self, person: str | None) -> frozenset[Role]:
        """All roles somebody holds, anywhere."""
        return frozenset(duty.role for duty in self.duties.get(person or "", ()))

    def on_duty(self, grid: str, role: Role) -> list[Duty]:
        """Duties of a role in exactly this grid."""
        return [duty for duty in self._in_grid.get(grid, ()) if duty.role == role]

    def direct_chat(self, channel: str, person: str, user: str) -> str:
        """The code of somebody's direct chat: as the town pack has it, else as the channel makes it of the user id."""
        return self._direct.get((channel, person)) or (f"d-{user}" if channel == WEB else user)

    def kind(self, channel: str, chat: str, sender: str = "") -> ChatKind:
        """Group or direct. sender: who wrote there. A chat that the deployment does not know is direct only where the
        channel names it after her; a bot can be taken into groups that nobody has listed, and others read along there.
        """
        if (known := self.chats.get((channel, chat))) is not None:
            return known.kind
        own = f"d-{sender}" if channel == WEB else sender
        return ChatKind.DIRECT if sender and chat == own else ChatKind.GROUP

    def addresses(self, person: str) -> list[Identity]:
        """The channels on which somebody can be reached, in the order they were linked."""
        return [one for one in self._addresses.get(person, ()) if self.has(one.channel)]

    def has(self, channel: str) -> bool:
        """Whether this deployment has that channel: people may be listed for more of them."""
        return self.on is None or channel in self.on

    def speaks(self, channel: str) -> bool:
        """Whether something can be said there."""
        return channel not in MUTE and self.has(channel)


def load(session: Session, on: frozenset[str] | None = None) -> Town:
    """Read the whole town. on: see `Town`. A district of 10,000 grids and 20,000 people takes about a second.

    People who made themselves known (绑定, 扫码) are not in it: they are looked up when they write (`models.whois`).
    """
    grids = {grid.code: grid for grid in session.scalars(sa.select(Grid))}
    places = {place.code: place for place in session.scalars(sa.select(Place))}
    registered = sa.select(Person).where(col(Person.origin) == Origin.REGISTER, col(Person.erased_at).is_(None))
    people = {person.code: person for person in session.scalars(registered)}
    known = sa.select(Identity).join(Person, col(Person.code) == col(Identity.person))
    known = known.where(col(Person.origin) == Origin.REGISTER)
    identities = list(session.scalars(known.order_by(col(Identity.id))))
    town = Town(
        version=value(session, TOWN),
        grids=grids,
        places=places,
        people=people,
        chats={(chat.channel, chat.code): chat for chat in session.scalars(sa.select(Chat))},
        duties={},
        identities={(row.channel, row.user): row.person for row in identities},
        routes=list(session.scalars(sa.select(Route))),
        names=Gazetteer(_names(places)),
        on=on,
    )
    for duty in session.scalars(sa.select(Duty).order_by(col(Duty.id))):
        town.duties.setdefault(duty.person, []).append(duty)
        town._in_grid.setdefault(duty.grid, []).append(duty)
    for person in list(people.values()):
        if (now := _now(people, person)) is not person:  # histories still name her by her old code
            people[person.code] = now
            town.duties[person.code] = town.duties.setdefault(now.code, [])
    for row in identities:
        town._addresses.setdefault(row.person, []).append(row)
    for chat in town.chats.values():
        if chat.kind == ChatKind.DIRECT and chat.person:
            town._direct[(chat.channel, chat.person)] = chat.code
    for grid in grids.values():
        if grid.parent:
            town.children.setdefault(grid.parent, []).append(grid.code)
    index_numbers(town)
    bounded = [(shape(json.loads(grid.boundary)), grid.code) for grid in grids.values() if grid.boundary]
    if bounded:
        town._tree = STRtree([geometry for geometry, _ in bounded])
        town._tree_codes = [code for _, code in bounded]
    session.expunge_all()
    return town


def _now(people: dict[str, Person], person: Person) -> Person:
    """Who somebody turned out to be."""
    for _ in range(16):
        found = people.get(person.merged_into or "")
        if found is None:
            break
        person = found
    return person


def index_numbers(town: Town) -> None:
    """Find places by the number people call them by."""
    for place in town.places.values():
        for no in numbers_of(place):
            town.by_number.setdefault(no, []).append(place.code)
        match = RANGE.search(normalize(place.name))
        if match and place.parent and town.places[place.parent].kind == "road":
            first, last = int(match["first"]), int(match["last"])
            step = 2 if match["side"] else 1
            town.ranges.setdefault(place.parent, []).append((place.code, first, last, step))


def short(road: str) -> str:
    """A road as people say it at a crossing: 建设路 → 建设."""
    return road[:-1] if len(road) > 2 and road[-1] in "路街巷道" else road


def numbers_of(place: Place) -> set[str]:
    """The numbers under which people name a building or a house: 3 for 柳岸花园3幢, 15 for 老街15号, A for A座."""
    found: set[str] = set()
    for name in [place.name, *place.aliases.split("|")]:
        text = normalize(name).strip()
        if bare := NUMBERED.match(text):
            found.update(b.no for b in grammar.buildings(text) or grammar.buildings(f"{bare['no']}栋"))
        elif place.kind in ("building", "shop", "poi", "gate"):
            # A number at the very end of a full name; anything after it makes it another thing (3幢旁边垃圾亭).
            found.update(b.no for b in grammar.buildings(text) if b.end == len(text) and place.kind == "building")
    return found


def _names(places: dict[str, Place]) -> Iterator[tuple[str, str]]:
    """Names that are no bare numbers (those are found by the grammar), and the short form inside the holder's name:
    柳岸花园中心广场 is 中心广场 to everybody in 柳岸花园."""
    for place in places.values():
        names = [place.name, *place.aliases.split("|")]
        holder = places.get(place.parent or "")
        if holder and place.name.startswith(holder.name):
            names.append(place.name.removeprefix(holder.name))
        for name in names:
            text = normalize(name).strip()
            if text and (not NUMBERED.match(text) or LETTERED.match(text)):
                yield name, place.code
