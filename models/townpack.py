"""Read a town pack, the folder in which a deployment says what it knows; name every fault of it in one go.

The folder holds `grids.csv`, `places.csv`, `people.csv`, `chats.csv`, `routes.csv` and perhaps `boundaries.geojson`
(a FeatureCollection in WGS-84, `properties.code` the grid). No database here; `models.townimport` writes.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from config.tables import categories
from models.chat import ChatKind
from models.person import Role
from models.townfile import BOUNDARIES, COLUMNS, BadPack, Fault, Row, read_features, read_sheet

__all__ = ["BadPack", "ChatRow", "Fault", "GridRow", "Pack", "PersonRow", "PlaceRow", "RouteRow", "read_pack"]

GRID_KINDS = ("区", "街道", "社区", "片区", "楼道", "楼宇", "街面", "单位", "企业", "村民小组", "村")
PLACE_KINDS = (
    "estate", "building", "shop", "road", "junction", "poi", "gate", "village", "factory", "school", "market",
)  # fmt: skip
MOST = 2**31 - 1  # the integer column's
SUGGESTIONS = 20  # looking for the nearest of 20,000 codes takes a while; nobody reads more of them than this


@dataclass(frozen=True)
class GridRow:
    """A line of grids.csv."""

    code: str
    parent: str | None
    level: int
    name: str
    kind: str
    households: int


@dataclass(frozen=True)
class PlaceRow:
    """A line of places.csv; `aliases` separated by `|`, degrees in WGS-84, both or neither."""

    code: str
    name: str
    aliases: str
    kind: str
    parent: str | None
    grid: str
    lon: float | None
    lat: float | None


@dataclass(frozen=True)
class PersonRow:
    """All lines of people.csv with one code. duties: (role, grid, department); identities: (channel, user)."""

    code: str
    name: str
    home: str | None
    duties: tuple[tuple[Role, str, str], ...]
    identities: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChatRow:
    """A line of chats.csv; `person` is set for a direct chat whose other side is known."""

    channel: str
    code: str
    kind: ChatKind
    grid: str | None
    name: str
    person: str | None


@dataclass(frozen=True)
class RouteRow:
    """A line of routes.csv."""

    category: str
    grid: str
    department: str


@dataclass(frozen=True)
class Pack:
    """A pack without faults. Grids and places stand after their parents; boundaries: grid code to GeoJSON geometry."""

    grids: tuple[GridRow, ...]
    places: tuple[PlaceRow, ...]
    people: tuple[PersonRow, ...]
    chats: tuple[ChatRow, ...]
    routes: tuple[RouteRow, ...]
    boundaries: dict[str, str] = field(default_factory=dict)


def read_pack(folder: Path) -> Pack:
    """The pack in `folder`. Raises BadPack with every fault found; a file that cannot be read hides no other's."""
    if not folder.is_dir():
        raise BadPack([Fault(str(folder), 0, "", "there is no such folder")])
    reader = _Reader(folder)
    grids, places, people = reader.grids(), reader.places(), reader.people()
    pack = Pack(grids, places, people, reader.chats(people), reader.routes(), reader.boundaries(folder / BOUNDARIES))
    if reader.faults:
        raise BadPack(reader.faults)
    return pack


class _Names:
    """The codes that may be referred to; None when the file that defines them is unusable, and nobody may complain."""

    def __init__(self, what: str, codes: Collection[str] | None) -> None:
        self.what, self.codes = what, codes
        self._near: dict[str, str] = {}

    def wrong(self, code: str) -> str:
        """What is wrong with `code`; empty when it is known."""
        if self.codes is None or code in self.codes:
            return ""
        if code not in self._near and len(self._near) < SUGGESTIONS:
            alike = [name for name in self.codes if abs(len(name) - len(code)) <= 2]
            self._near[code] = next(iter(difflib.get_close_matches(code, alike, 1, 0.7)), "")
        near = self._near.get(code)
        return f'there is no {self.what} "{code}".' + (f' Did you mean "{near}"?' if near else "")


class _Reader:
    """Walks the files in order and collects the faults; what it returns is good only when there are none."""

    def __init__(self, folder: Path) -> None:
        self.faults: list[Fault] = []
        sheets = {name: read_sheet(folder / name, self.faults) for name in COLUMNS}
        self.rows = {name: sheet.rows for name, sheet in sheets.items()}
        self._grid = _Names("grid", sheets["grids.csv"].codes)
        self._place = _Names("place", sheets["places.csv"].codes)
        self._category = _Names("category", categories())

    def grids(self) -> tuple[GridRow, ...]:
        """The grid tree, parents first."""
        rows = self._by_code("grids.csv")
        levels = {code: self._integer(row, "level", least=1) for code, row in rows.items()}
        found = []
        for row in self._parents_first(rows, self._grid):
            level, above = levels[row["code"]], levels.get(row["parent"])
            self._one_of(row, "kind", GRID_KINDS)
            if level and not row["parent"] and level != 1:
                self._fault(row, "level", f"is {level}, but a grid without a parent is level 1")
            elif level and above and level != above + 1:
                self._fault(row, "level", f'is {level}, but the parent "{row["parent"]}" is level {above}')
            households = self._integer(row, "households", least=0)
            found.append(GridRow(row["code"], row["parent"] or None, level, row["name"], row["kind"], households))
        return tuple(found)

    def places(self) -> tuple[PlaceRow, ...]:
        """The gazetteer, parents first."""
        found = []
        for row in self._parents_first(self._by_code("places.csv"), self._place):
            self._one_of(row, "kind", PLACE_KINDS)
            self._known(row, "grid", self._grid)
            self._both(row, "lon", "lat")
            lon, lat = self._degrees(row, "lon", 180), self._degrees(row, "lat", 90)
            aliases = "|".join(alias.strip() for alias in row["aliases"].split("|") if alias.strip())
            found.append(
                PlaceRow(row["code"], row["name"], aliases, row["kind"], row["parent"] or None, row["grid"], lon, lat)
            )
        return tuple(found)

    def people(self) -> tuple[PersonRow, ...]:
        """Everybody, with the duties and identities of all lines of the same code."""
        lines: dict[str, list[Row]] = defaultdict(list)
        holders: dict[tuple[str, str], Row] = {}
        for row in self.rows["people.csv"]:
            self._one_of(row, "role", tuple(Role))
            self._known(row, "grid", self._grid)
            self._known(row, "home", self._place)
            self._both(row, "channel", "user")
            if row["channel"] and row["user"]:
                holder = holders.setdefault((row["channel"], row["user"]), row)
                if holder["code"] != row["code"]:
                    self._fault(row, "user", f'"{row["user"]}" is {holder["code"]} already, on line {holder.line}')
            if row["code"]:
                lines[row["code"]].append(row)
        return tuple(self._person(code, rows) for code, rows in lines.items())

    def _person(self, code: str, rows: list[Row]) -> PersonRow:
        first = rows[0]
        seen: dict[Hashable, int] = {}
        for row in rows:
            for column in ("name", "home"):
                if row[column] != first[column]:
                    self._fault(row, column, f'is not "{first[column]}", as on line {first.line} for "{code}"')
            self._unique(row, "code", tuple(row.values()), seen)
        duties = [(Role(row["role"]), row["grid"], row["department"]) for row in rows if row["role"] in tuple(Role)]
        identities = [(row["channel"], row["user"]) for row in rows if row["user"]]
        once = tuple(dict.fromkeys(duties)), tuple(dict.fromkeys(identities))
        return PersonRow(code, first["name"], first["home"] or None, *once)

    def chats(self, people: Iterable[PersonRow]) -> tuple[ChatRow, ...]:
        """The groups, and the direct chats with the person on the other side, where it is one of `people` for sure."""
        users: dict[tuple[str, str], str] = {}
        names: dict[tuple[str, str], set[str]] = defaultdict(set)
        for person in people:
            for channel, user in person.identities:
                users[channel, user] = person.code
                names[channel, person.name].add(person.code)
        found, lines = [], dict[Hashable, int]()
        for row in self.rows["chats.csv"]:
            channel, code, kind = row["channel"], row["chat"], row["kind"]
            self._unique(row, "chat", (channel, code), lines)
            self._one_of(row, "kind", tuple(ChatKind))
            self._known(row, "grid", self._grid)
            if kind == ChatKind.GROUP and not row["grid"]:
                self._fault(row, "grid", "is empty, but a group belongs to a grid")
            if kind == ChatKind.DIRECT and row["grid"]:
                self._fault(row, "grid", "must be empty: a direct chat belongs to a person")
            known = None
            if kind == ChatKind.DIRECT:
                # The user id goes before the name: neighbours share names, and homes are told in direct chats only.
                known = users.get((channel, code.removeprefix("d-"))) if code.startswith("d-") else None
                named = names.get((channel, row["name"]), set())
                known = known or (next(iter(named)) if len(named) == 1 else None)
            if kind in tuple(ChatKind):
                found.append(ChatRow(channel, code, ChatKind(kind), row["grid"] or None, row["name"], known))
        return tuple(found)

    def routes(self) -> tuple[RouteRow, ...]:
        """Which department takes what, where."""
        lines: dict[Hashable, int] = {}
        for row in self.rows["routes.csv"]:
            self._known(row, "category", self._category)
            self._known(row, "grid", self._grid)
            self._unique(row, "category", (row["category"], row["grid"]), lines)
        return tuple(RouteRow(row["category"], row["grid"], row["department"]) for row in self.rows["routes.csv"])

    def boundaries(self, path: Path) -> dict[str, str]:
        """Geometry texts by grid code; empty when the pack has no such file."""
        found: dict[str, str] = {}
        lines: dict[Hashable, int] = {}
        for row, geometry in read_features(path, self.faults) if path.exists() else ():
            if row["code"]:
                self._known(row, "code", self._grid)
                self._unique(row, "code", row["code"], lines)
                found[row["code"]] = geometry
        return found

    def _by_code(self, name: str) -> dict[str, Row]:
        """The first line of each code, in the file's order."""
        found: dict[str, Row] = {}
        lines: dict[Hashable, int] = {}
        for row in self.rows[name]:
            if row["code"]:
                self._unique(row, "code", row["code"], lines)
                found.setdefault(row["code"], row)
        return found

    def _parents_first(self, rows: dict[str, Row], names: _Names) -> list[Row]:
        """The rows, each after its parent. A parent that does not exist, and a circle of parents, are faults."""
        done: dict[str, Row] = {}
        for start in rows:
            path: dict[str, Row] = {}
            code = start
            while code in rows and code not in done and code not in path:
                path[code] = rows[code]
                code = rows[code]["parent"]
            if code in path:
                circle = list(path)[list(path).index(code) :]
                self._fault(rows[code], "parent", f"goes round in a circle: {' -> '.join([*circle, code])}")
            done |= dict(reversed(path.items()))
        for row in rows.values():
            self._known(row, "parent", names)
        return list(done.values())

    def _fault(self, row: Row, column: str, message: str) -> None:
        self.faults.append(row.fault(column, message))

    def _known(self, row: Row, column: str, names: _Names) -> None:
        if row[column] and (wrong := names.wrong(row[column])):
            self._fault(row, column, wrong)

    def _unique(self, row: Row, column: str, key: Hashable, lines: dict[Hashable, int]) -> None:
        first = lines.setdefault(key, row.line)
        if first != row.line:
            self._fault(row, column, f'"{row[column]}" stands in {row.file}:{first} already')

    def _both(self, row: Row, one: str, other: str) -> None:
        if bool(row[one]) != bool(row[other]):
            self._fault(row, other if row[one] else one, f"is empty; give both `{one}` and `{other}`, or neither")

    def _one_of(self, row: Row, column: str, words: tuple[str, ...]) -> None:
        if row[column] not in words:
            near = difflib.get_close_matches(row[column], words, 1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            self._fault(row, column, f'"{row[column]}" is none of {" ".join(words)}.{hint}')

    def _integer(self, row: Row, column: str, *, least: int) -> int:
        """The cell as a number, 0 where it is empty or wrong."""
        cell = row[column]
        if re.fullmatch(r"[0-9]{1,10}", cell) and least <= int(cell) <= MOST:
            return int(cell)
        if cell:
            self._fault(row, column, f'"{cell}" is not a whole number from {least} up')
        return 0

    def _degrees(self, row: Row, column: str, most: int) -> float | None:
        cell = row[column]
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell) and -most <= float(cell) <= most:
            return float(cell)
        if cell:
            self._fault(row, column, f'"{cell}" is not a number of degrees from -{most} to {most}')
        return None
