"""The files of a town pack as lines and cells: encodings, headers, and how a fault is told."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely  # type: ignore[import-untyped, unused-ignore]

COLUMNS: dict[str, tuple[str, ...]] = {
    "grids.csv": ("code", "parent", "level", "name", "kind", "households"),
    "places.csv": ("code", "name", "aliases", "kind", "parent", "grid", "lon", "lat"),
    "people.csv": ("code", "name", "role", "grid", "department", "home", "channel", "user"),
    "chats.csv": ("channel", "chat", "kind", "grid", "name"),
    "routes.csv": ("category", "grid", "department"),
}
BOUNDARIES = "boundaries.geojson"
FILES = (*COLUMNS, BOUNDARIES)
NEEDED = {
    "grids.csv": ("code", "name", "level"),
    "places.csv": ("code", "name", "grid"),
    "people.csv": ("code", "name", "role", "grid"),
    "chats.csv": ("channel", "chat"),
    "routes.csv": ("category", "grid", "department"),
}
# Characters that the tables hold; PostgreSQL refuses what is longer, SQLite would not notice.
LIMITS = {"code": 64, "parent": 64, "grid": 64, "home": 64, "channel": 32} | dict.fromkeys(
    ("name", "department", "user", "chat"), 128
)


@dataclass(frozen=True, order=True)
class Fault:
    """One thing to mend. line: 1 is the header, 0 the file as a whole; in the GeoJSON the feature, counted from 1."""

    file: str
    line: int
    column: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: column `{self.column}`: {self.message}" if self.column else f"{where}: {self.message}"


class BadPack(Exception):
    """The pack cannot be used; `faults` holds all that is wrong, by file and line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        order = {name: number for number, name in enumerate(FILES)}
        self.faults = sorted(set(faults), key=lambda fault: (order.get(fault.file, -1), fault))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([*map(str, self.faults), f"{count} found, nothing was imported."]))


def decode(data: bytes) -> str:
    """Text as UTF-8, with or without a byte order mark, or as GB18030, which Excel writes in China.

    Raises ValueError naming the first byte that does not fit. Nearly any bytes pass for GB18030, so a file that
    starts with a mark, or with five Chinese characters in good UTF-8, counts as UTF-8 that was damaged.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        damaged = at != error.start or len(re.findall("[\u4e00-\u9fff]", data[:at].decode("utf-8"))) >= 5
    if not damaged:
        try:
            return data.decode("gb18030").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            at = max(at, error.start)
    raise ValueError(f'byte {at} is neither UTF-8 nor GB18030; save the file as "CSV UTF-8"')


class Row(dict[str, str]):
    """The cells of one line by column, without blanks around them; `line` is where it starts."""

    def __init__(self, file: str, line: int, cells: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(cells)
        self.file, self.line = file, line

    def fault(self, column: str, message: str) -> Fault:
        """A fault of this line."""
        return Fault(self.file, self.line, column, message)


@dataclass(frozen=True)
class Sheet:
    """A CSV file. rows: the lines with all their fields; codes: of the other lines too, so that nobody else is blamed.

    A file that is missing or has the wrong header has no rows, and `codes` is None: nothing can be said about it.
    """

    rows: tuple[Row, ...] = ()
    codes: frozenset[str] | None = None


def read_text(path: Path, faults: list[Fault]) -> str | None:
    """The file's content, or None and a fault."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        message = "the file is missing"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except ValueError as error:
        message = str(error)
    faults.append(Fault(path.name, 0, "", message))
    return None


def read_sheet(path: Path, faults: list[Fault]) -> Sheet:
    """A CSV file of the pack; its columns may stand in any order."""
    content = read_text(path, faults)
    if content is None:
        return Sheet()
    name, columns = path.name, COLUMNS[path.name]
    lines = _records(name, content, faults)
    head = [cell.strip() for cell in next(lines, (1, []))[1]]
    wrong = {
        "missing": [column for column in columns if column not in head],
        "unexpected": [column for column in head if column not in columns],
        "twice": [column for column in columns if head.count(column) > 1],
    }
    told = [f"{what} {', '.join(f'`{column}`' for column in found)}" for what, found in wrong.items() if found]
    if told:
        faults.append(Fault(name, 1, "", f"wrong header: {'; '.join(told)}"))
        return Sheet()
    rows, codes = [], set()
    for line, cells in lines:
        row = Row(name, line, zip(head, (cell.strip() for cell in cells), strict=False))
        codes.add(row.get("code", ""))
        if len(cells) == len(head):
            faults += _cell_faults(row)
            rows.append(row)
        else:
            faults.append(row.fault("", f"has {len(cells)} fields, the header has {len(head)}"))
    return Sheet(tuple(rows), frozenset(codes - {""}))


def _records(name: str, content: str, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts on; the empty lines that Excel leaves at the end are passed over."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(name, start, "", f"cannot be read from here on: {error}"))


def _cell_faults(row: Row) -> Iterator[Fault]:
    for column, cell in row.items():
        if not cell and column in NEEDED[row.file]:
            yield row.fault(column, "is empty")
        if len(cell) > LIMITS.get(column, len(cell)):
            yield row.fault(column, f"has {len(cell)} characters, at most {LIMITS[column]} fit")
        if "\x00" in cell:
            yield row.fault(column, "holds a zero byte")


def read_features(path: Path, faults: list[Fault]) -> list[tuple[Row, str]]:
    """The features of a GeoJSON file: a row with `code` whose line is the feature's number, and the geometry's text."""
    content = read_text(path, faults)
    if content is None:
        return []
    try:
        top = json.loads(content)
    except json.JSONDecodeError as error:
        faults.append(Fault(path.name, error.lineno, "", f"is not JSON: {error.msg}, at character {error.colno}"))
        return []
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets
        faults.append(Fault(path.name, 0, "", f"is no JSON for us: {error}"))
        return []
    features = top.get("features") if isinstance(top, dict) and top.get("type") == "FeatureCollection" else None
    if not isinstance(features, list):
        faults.append(Fault(path.name, 0, "", "must be a FeatureCollection with a list of features"))
        return []
    return [_feature(Row(path.name, number), feature, faults) for number, feature in enumerate(features, 1)]


def _feature(row: Row, feature: Any, faults: list[Fault]) -> tuple[Row, str]:
    found = feature if isinstance(feature, dict) else {}
    properties = found.get("properties")
    geometry: Any = found.get("geometry")
    code = properties.get("code") if isinstance(properties, dict) else None
    row["code"] = code.strip() if isinstance(code, str) else ""
    if not row["code"]:
        faults.append(row.fault("code", "is empty; `properties.code` names the grid"))
    if wrong := geometry_fault(geometry):
        faults.append(row.fault("", wrong))
        return row, ""
    kept = {"type": geometry["type"], "coordinates": geometry["coordinates"]}
    return row, json.dumps(kept, separators=(",", ":"))


def geometry_fault(geometry: Any) -> str:
    """Why a GeoJSON geometry cannot be a boundary; empty when it can. Rules: RFC 7946, 3.1.6, and no crossing lines."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        return "the geometry must be a Polygon or a MultiPolygon"
    polygons = geometry.get("coordinates")
    polygons = [polygons] if kind == "Polygon" else polygons
    if not isinstance(polygons, list) or not polygons:
        return "the geometry has no rings"
    for polygon in polygons:
        if not isinstance(polygon, list) or not polygon:
            return "the geometry has no rings"
        for number, ring in enumerate(polygon, 1):
            if wrong := _ring_fault(ring):
                return f"ring {number} {wrong}"
    shapes = [shapely.Polygon(_flat(polygon[0]), [_flat(hole) for hole in polygon[1:]]) for polygon in polygons]
    shape = shapely.MultiPolygon(shapes)
    return "" if shape.is_valid else f"the rings cross or touch: {shapely.is_valid_reason(shape)}"


def _flat(ring: list[list[float]]) -> list[tuple[float, float]]:
    return [(point[0], point[1]) for point in ring]  # a third number is a height


def _ring_fault(ring: Any) -> str:
    if not isinstance(ring, list) or not all(_is_position(point) for point in ring):
        return "must be a list of [lon, lat] in degrees"
    if len(ring) < 4 or ring[0] != ring[-1]:
        return "must have four positions or more, the last the same as the first"
    return ""


def _is_position(point: Any) -> bool:
    if not isinstance(point, list) or len(point) not in (2, 3):
        return False
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in point):
        return False
    lon, lat = point[0], point[1]
    return bool(-180 <= lon <= 180 and -90 <= lat <= 90)  # also false for NaN, which Python's JSON lets through
