"""Whether the tables of this deployment can be used: all of them, before the first message needs one."""

from collections.abc import Callable, Iterator, Mapping
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from config import tables
from config.decisions import decisions
from config.links import link_rules
from config.places import place_rules
from config.privacy import privacy
from config.tables import TableError
from handlers.limits import limits
from handlers.questions import answer_to
from handlers.texts import PARTS
from handlers.workdays import WorkCalendar
from nlu.lexicon import lexicon

REPLIES = "replies.yaml"


def faults(zone: ZoneInfo) -> list[str]:
    """What is wrong, each with its file; nothing when all can be used. zone: of the working calendar."""
    looks: dict[str, Callable[[], object]] = {
        "categories.csv": tables.categories, "decisions.yaml": decisions, "faq.yaml": lambda: answer_to("社区"),
        "lexicon.yaml": lexicon, "link.yaml": link_rules, "place.yaml": place_rules, "privacy.yaml": privacy,
        "tiers.yaml": limits, "workdays.yaml": lambda: WorkCalendar.configured(zone),
    }  # fmt: skip
    found = []
    for name, look in looks.items():
        try:
            look()
        except TableError as error:
            found.append(" ".join(str(error).split()))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            found.append(f"{name}: not of the shape of the one that ships ({type(error).__name__})")
    try:
        return [*found, *_replies(tables.mapping(REPLIES), tables.shipped(REPLIES))]
    except TableError as error:
        return [*found, " ".join(str(error).split())]


def check(zone: ZoneInfo) -> None:
    """Raises TableError that names all that is wrong."""
    if wrong := faults(zone):
        raise TableError("; ".join(wrong))


def _replies(own: Mapping[str, Any], shipped: Mapping[str, Any]) -> Iterator[str]:
    """Every sentence and word must be there, and a sentence has no blank that the shipped one leaves unfilled."""
    for name, sentence in shipped.items():
        if name in PARTS:
            words = own.get(name)
            missing = [one for one in sentence if not isinstance(words, Mapping) or words.get(one) is None]
            yield from (f"{REPLIES}: {name}: there is no {one!r}" for one in missing)
            continue
        said = own.get(name)
        if not isinstance(said, str):
            yield f"{REPLIES}: there is no sentence {name!r}"
            continue
        try:
            strange = _blanks(said) - _blanks(sentence)
        except ValueError as error:
            yield f"{REPLIES}: {name}: {error}"
            continue
        if strange:
            names = ", ".join(f"{{{one}}}" for one in sorted(strange))
            yield f"{REPLIES}: {name}: nothing fills {names}"


def _blanks(sentence: str) -> set[str]:
    """The names in braces. Raises ValueError for a brace without its other half."""
    return {field for _, field, _, _ in Formatter().parse(sentence) if field is not None}
