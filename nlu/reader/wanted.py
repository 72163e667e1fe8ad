"""The second reader that the settings ask for; what is wanted and cannot be had is said before anything starts."""

from collections.abc import Sequence
from pathlib import Path

from config.decisions import decisions
from config.settings import SettingsError
from nlu.reader.run import ALWAYS, NoReader, SecondReader
from nlu.types import INTENTS

OFF, UNCERTAIN, ALL = "off", "uncertain", "all"


def folder_of(home: Path) -> Path:
    """Where it lies in a data folder."""
    return home / "nlu" / "reader"


def wanted(mode: str, home: Path, leaves: Sequence[str]) -> SecondReader | None:
    """None where it is off. mode: LINSHENG_READER; `uncertain` asks it about messages of the band of
    config/decisions.yaml, `all` about every one. leaves: the categories a ticket may have.

    Raises SettingsError when it is missing, or cannot be used.
    """
    if mode == OFF:
        return None
    band = ALWAYS if mode == ALL else (decisions().reader.low, decisions().reader.high)
    try:
        return SecondReader.load(folder_of(home), {"intent": INTENTS, "leaf": tuple(leaves)}, band)
    except NoReader as why:
        raise SettingsError(f"LINSHENG_READER={mode}: {why}. LINSHENG_READER=off does without it.") from why
