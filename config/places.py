"""The points of config/place.yaml: what speaks for and against a place, and which kinds of matter are alike in that."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.tables import TableError, mapping, once


class PlaceRules(BaseModel):
    """Fitted by `linsheng nlu fit`. sure: the share of all candidates from which on nothing is asked. rival: the share
    from which on the second one is worth asking about. groups: name to categories (leaf or top). prior: what a sign
    is worth as long as the towns say nothing else. points: sign to points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sure: float = Field(ge=0, le=1)
    rival: float = Field(ge=0, le=1)
    groups: dict[str, tuple[str, ...]]
    prior: dict[str, float]
    points: dict[str, float]

    def group(self, category: str) -> str:
        """The group of a category: by its leaf, else by its top; `thing` for all others, `any` for an unknown one."""
        if not category:
            return "any"
        top = category.split(".", maxsplit=1)[0]
        for wanted in (category, top):
            for name, members in self.groups.items():
                if wanted in members:
                    return name
        return "thing"


@once
def place_rules() -> PlaceRules:
    """Read and check the table. Raises TableError naming each key that is wrong."""
    found: dict[str, Any] = mapping("place.yaml")
    try:
        return PlaceRules.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TableError(f"place.yaml: {wrong}") from error


def group_of(category: str) -> str:
    """The group of a category in the table that is in force."""
    return place_rules().group(category)
