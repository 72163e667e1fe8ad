"""The grid tree and the gazetteer."""

from sqlmodel import Field, SQLModel


class Grid(SQLModel, table=True):
    """A grid at any level; the deepest ones are the micro-grids. `boundary` is a GeoJSON geometry in WGS-84."""

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=64)
    parent: str | None = Field(default=None, foreign_key="grid.code", index=True, max_length=64)
    level: int
    name: str = Field(max_length=128)
    kind: str = Field(default="", max_length=16)
    households: int = 0
    boundary: str = ""


class Place(SQLModel, table=True):
    """A named place: an estate, a building, a shop, a road. `aliases` are separated by `|`; `grid` holds it whole."""

    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=128)
    aliases: str = ""
    kind: str = Field(max_length=16)
    parent: str | None = Field(default=None, foreign_key="place.code", index=True, max_length=64)
    grid: str = Field(foreign_key="grid.code", index=True, max_length=64)
    lon: float | None = None
    lat: float | None = None


class Route(SQLModel, table=True):
    """The department a category goes to inside a grid and all below it, once the grid cannot settle it."""

    id: int | None = Field(default=None, primary_key=True)
    category: str = Field(max_length=64)
    grid: str = Field(foreign_key="grid.code", index=True, max_length=64)
    department: str = Field(max_length=128)
