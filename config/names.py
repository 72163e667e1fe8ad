"""What settings there are, by their names: what is set under another one says nothing, and nobody would notice."""

import difflib
from collections.abc import Iterable, Iterator
from typing import get_origin

from pydantic import BaseModel

PREFIX = "LINSHENG_"
# Where settings lie; the names of compose.yaml and of the Makefile.
BESIDE = frozenset({f"{PREFIX}{name}" for name in ("SECRETS_DIR", "CONFIG", "DOMAIN", "PICTURES")})


def variables(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, bool]]:
    """Each name, and whether names below it are free: of a mapping, whose keys are the operator's own."""
    for name, field in model.model_fields.items():
        variable, kind = f"{prefix}{name.upper()}", field.annotation
        yield variable, get_origin(kind) is dict
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{variable}__")


def unknown(model: type[BaseModel], given: Iterable[str]) -> dict[str, str]:
    """Names that begin as ours do and are none, with the one that was perhaps meant ("" where none is near)."""
    free = dict(variables(model))
    names = [*free, *BESIDE]
    found = {}
    for name in sorted(given):
        told = name.upper()
        below = any(is_free and told.startswith(f"{one}__") for one, is_free in free.items())
        if told.startswith(PREFIX) and told not in names and not below:
            found[name] = next(iter(difflib.get_close_matches(told, names, 1)), "")
    return found
