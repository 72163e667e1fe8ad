"""The tables a deployment may change: categories, tiers, replies, answers, lexicon. Read once, checked when read.

A deployment puts a file of the same name into its data folder to replace one. `use` says where that folder is; until
it is called the environment alone does.
"""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import _lru_cache_wrapper, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")


class TableError(Exception):
    """A table cannot be used; the message names file, line or key."""


class _Own:
    """This process' data folder, once it is said, and the tables that were read."""

    home: Path | None = None
    kept: tuple["_lru_cache_wrapper[Any]", ...] = ()


def once(read: Callable[[], T]) -> "_lru_cache_wrapper[T]":
    """Decorates a function that reads a table: it reads once, and anew after `use` has named another data folder."""
    kept = lru_cache(maxsize=1)(read)
    _Own.kept = (*_Own.kept, kept)
    return kept


def use(home: Path | None) -> None:
    """From now on the deployment's own tables are those in `home`/config; tables of another folder are forgotten.

    home: the data folder of the settings, relative ones counted from where the process stands now; None: what the
    environment says, as if nobody had called.
    """
    found = home.resolve() if home is not None else None
    if found == _Own.home:
        return
    _Own.home = found
    for kept in _Own.kept:
        kept.cache_clear()


def text(name: str) -> str:
    """The content of a table file: the deployment's own, else the one that ships."""
    own = (_Own.home or Path(os.environ.get("LINSHENG_HOME", "var"))) / "config" / name
    if own.is_file():
        return own.read_text(encoding="utf-8")
    return _shipped(name)


def mapping(name: str) -> dict[str, Any]:
    """A YAML file whose top is a mapping: the deployment's own, else the one that ships."""
    return _parsed(name, text)


def shipped(name: str) -> dict[str, Any]:
    """The YAML file that ships, whatever the deployment has in its place."""
    return _parsed(name, _shipped)


def _shipped(name: str) -> str:
    return (files("config") / name).read_text(encoding="utf-8")


def _parsed(name: str, read: Callable[[str], str]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(read(name))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, such as 2027-02-30
        raise TableError(f"{name}: {error}") from error
    if not isinstance(found, dict):
        raise TableError(f"{name}: the top must be a mapping")
    return found


@dataclass(frozen=True)
class Category:
    """A kind of matter. code: `facility.elevator`; parent: `facility`, empty at the top; tier: 1 to 4."""

    code: str
    parent: str
    name: str
    tier: int
    covers: tuple[str, ...]


@once
def categories() -> dict[str, Category]:
    """All categories by code, tops and leaves."""
    found: dict[str, Category] = {}
    for line, row in enumerate(csv.DictReader(text("categories.csv").splitlines()), 2):
        try:
            category = Category(row["code"], row["parent"], row["name"], int(row["tier"]), tuple(row["covers"].split()))
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(f"categories.csv:{line}: {error}") from error
        if category.parent and category.parent not in found:
            raise TableError(f"categories.csv:{line}: column `parent`: there is no category {category.parent!r} above")
        found[category.code] = category
    return found


def leaves() -> list[str]:
    """Codes of the categories that a ticket may have, in the table's order."""
    return [code for code in categories() if "." in code]


def category_name(code: str) -> str:
    """The Chinese name, top and leaf: 公共设施/电梯."""
    known = categories()
    own = known.get(code)
    if own is None:
        return code
    return f"{known[own.parent].name}/{own.name}" if own.parent else own.name
