"""What residents are told about their data, and what holds: config/privacy.yaml, checked."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.tables import TableError, mapping, once


class Privacy(BaseModel):
    """The table. version: of the notice. without: channels on which no notice is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, max_length=32)
    keeper: str = Field(min_length=1, max_length=64)
    message_days: int = Field(ge=1, le=3650)
    confirm_minutes: float = Field(gt=0, le=1440)
    without: frozenset[str] = frozenset()

    @property
    def confirm_within(self) -> timedelta:
        """How long a deletion asked for waits to be confirmed."""
        return timedelta(minutes=self.confirm_minutes)


@once
def privacy() -> Privacy:
    """Read and check the table. Raises TableError naming each key that is wrong."""
    found = mapping("privacy.yaml")
    try:
        return Privacy.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TableError(f"privacy.yaml: {wrong}") from error
