"""Where: from residents' words, a pin, the registered home and the chat's grid to a place and a micro-grid.

Every candidate (`handlers.clues`) gets the points of its signs (config/place.yaml, fitted); the best wins. The clues of
all candidates are kept for the staff to see, and a close second becomes one short question.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from config.places import place_rules
from handlers.clues import Candidate, Where, candidates
from handlers.town import Town
from nlu.scrub import scrub

__all__ = ["CHAT", "HOME", "NAMED", "PIN", "Placement", "Where", "chosen", "locate", "points", "said"]

# How much stands behind a placement: words over the pin, the pin over the register, the register over the chat.
NAMED, PIN, HOME, CHAT, NOTHING = 5.0, 3.0, 2.5, 1.0, 0.0
_WEIGHTS = {"named": NAMED, "numbered": NAMED, "pin": PIN, "home": HOME, "register": CHAT, "chat": CHAT}
CHOICES = 3
SHOWN = 6
SAID = "said: "  # begins the line of evidence with a resident's own words for a place that nobody knows


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a matter is. place: the finest gazetteer row, or None; grid: the finest grid that certainly holds it.

    spot: unit and floor in words (never a room). weight: what stands behind it, NAMED down to NOTHING. options: places
    to ask about when `unsure`, at most three. evidence: the clues, in words for the staff. from_home: nobody said it,
    the register did. wide: it holds several places that were named, or all of an estate. denied: places of which it was
    said that they are not it. corrects: her words say so, and that it is here instead.
    """

    grid: str | None
    place: str | None
    weight: float = 0.0
    spot: str = ""
    evidence: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wide: bool = False
    from_home: bool = False
    denied: frozenset[str] = frozenset()
    corrects: bool = False

    @property
    def unsure(self) -> bool:
        """One question would settle it."""
        return len(self.options) > 1


def points(candidate: Candidate) -> float:
    """The sum of what its signs are worth."""
    worth = place_rules().points
    return sum(worth.get(sign, 0.0) for sign in candidate.signs)


def locate(town: Town, where: Where) -> Placement:
    """The likeliest place. With nothing to go by, the chat's grid and no place. Words for a place that nobody knows are
    evidence where neither words nor a pin settled it."""
    found = chosen(candidates(town, where))
    if found.weight > HOME:
        return found
    return replace(found, evidence=(*found.evidence, *_unknown(where)))


def _unknown(where: Where) -> Iterator[str]:
    """Words for a place that named none, without flats and telephones."""
    text = scrub(where.text)
    for span in where.spans:
        if not span.codes:
            yield f"{SAID}«{text[span.start : span.end]}»"


def said(evidence: Iterable[str]) -> list[str]:
    """The words of residents in lines of evidence."""
    return [line.removeprefix(SAID).strip("«»") for line in evidence if line.startswith(SAID)]


def chosen(found: Sequence[Candidate]) -> Placement:
    """The candidate with the most points, and what a question would have to offer."""
    if not found:
        return Placement(None, None)
    ranked = sorted(((points(candidate), candidate) for candidate in found), key=lambda pair: -pair[0])
    best = ranked[0][1]
    powers = [math.exp(score - ranked[0][0]) for score, _ in ranked]
    shares = [power / sum(powers) for power in powers]
    return Placement(
        grid=best.grid,
        place=best.place,
        weight=_WEIGHTS[best.source] if best.grid else NOTHING,
        spot=best.spot,
        evidence=tuple(dict.fromkeys(candidate.why for _, candidate in ranked))[:SHOWN],
        options=_options(ranked, shares),
        wide=best.wide,
        from_home=best.source in ("home", "register"),
        denied=frozenset(c.place for c in found if c.place and "taken back" in c.signs),
        corrects="instead" in best.signs,
    )


def _options(ranked: Sequence[tuple[float, Candidate]], shares: Sequence[float]) -> tuple[str, ...]:
    """What to ask about: places that were named, when none of them stands out."""
    rules = place_rules()
    if shares[0] >= rules.sure or ranked[0][1].source not in ("named", "numbered"):
        return ()
    worth = [
        candidate.place
        for (_, candidate), share in zip(ranked, shares, strict=True)
        if candidate.place
        and candidate.source in ("named", "numbered")
        and share >= rules.rival
        and not candidate.wide
        and "holds another" not in candidate.signs
    ]
    options = tuple(dict.fromkeys(worth))[:CHOICES]
    return options if len(options) > 1 else ()
