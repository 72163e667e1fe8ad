"""The bot's sentences, from config/replies.yaml."""

from typing import Any

from config.tables import TableError, mapping, once

PARTS = ("words", "statuses", "levels")


@once
def _replies() -> dict[str, Any]:
    return mapping("replies.yaml")


def say(name: str, **values: object) -> str:
    """The sentence `name` with its blanks filled. Raises TableError naming what is missing."""
    sentence = _replies().get(name)
    if not isinstance(sentence, str):
        raise TableError(f"replies.yaml: there is no sentence {name!r}")
    try:
        return sentence.format(**values)
    except KeyError as error:
        raise TableError(f"replies.yaml: {name}: there is no value for {error}") from error


def word(name: str, part: str = "words") -> str:
    """A word inside sentences: a fact's name, a status, a level."""
    found = _replies().get(part, {}).get(name)
    if found is None:
        raise TableError(f"replies.yaml: {part}: there is no {name!r}")
    return str(found)
