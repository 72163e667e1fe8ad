"""The thresholds of config/decisions.yaml, checked."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.tables import TableError, mapping, once


class Link(BaseModel):
    """From how many points on a message belongs to a ticket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enough: float
    enough_report: float
    refused: float
    suggest: float
    alike: float = Field(ge=0, le=1)


class Errors(BaseModel):
    """Of messages of a kind, the share that may be taken wrongly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    opened: float = Field(gt=0, lt=1)
    spoken: float = Field(gt=0, lt=1)
    leaf: float = Field(gt=0, lt=1)


class Band(BaseModel):
    """Shares of a matter, from `low` to `high`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class Decisions(BaseModel):
    """From what probability on the bot does something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: float = Field(ge=0, le=1)
    speak: float = Field(ge=0, le=1)
    speak_urgent: float = Field(ge=0, le=1)
    quiet: float = Field(ge=0, le=1)
    quiet_urgent: float = Field(ge=0, le=1)
    quiet_placed: float = Field(ge=0, le=1)
    belongs: float = Field(ge=0, le=1)
    orphan: float = Field(ge=0, le=1)
    answer: float = Field(ge=0, le=1)
    urgent: float = Field(ge=0, le=1)
    urgent_together: float = Field(ge=0, le=1)
    urgent_kinds: frozenset[str]
    urgent_kind: float = Field(ge=0, le=1)
    sensitive_kinds: frozenset[str]
    sensitive_direct: frozenset[str]
    sensitive_kind: float = Field(ge=0, le=1)
    sensitive: float = Field(ge=0, le=1)
    category: float = Field(ge=0, le=1)
    errors: Errors
    link: Link
    reader: Band
    wide: frozenset[str]
    indoors: frozenset[str]
    window_hours: dict[str, float]
    burst_minutes: float = Field(gt=0)
    photo_minutes: float = Field(gt=0)
    reopen_hint_days: float = Field(gt=0)

    def window(self, category: str) -> float:
        """Minutes within which the same kind at the same place is the same matter."""
        top = category.split(".", maxsplit=1)[0]
        hours = self.window_hours
        return 60.0 * hours.get(category, hours.get(top, hours.get("other", 96.0)))


@once
def decisions() -> Decisions:
    """Read and check the table. Raises TableError naming each key that is wrong."""
    found: dict[str, Any] = mapping("decisions.yaml")
    try:
        return Decisions.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TableError(f"decisions.yaml: {wrong}") from error
