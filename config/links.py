"""The points of config/link.yaml: what speaks for and against a message belonging to a ticket."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from config.tables import TableError, mapping, once


class LinkRules(BaseModel):
    """Fitted by `linsheng nlu fit link`. fixed: rules that no fit moves. prior: what a sign is worth as long as the
    towns say nothing else. points: sign to points; their sum is the logarithm of the odds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixed: dict[str, float]
    prior: dict[str, float]
    points: dict[str, float]


@once
def link_rules() -> LinkRules:
    """Read and check the table. Raises TableError naming each key that is wrong."""
    found: dict[str, Any] = mapping("link.yaml")
    try:
        return LinkRules.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TableError(f"link.yaml: {wrong}") from error
