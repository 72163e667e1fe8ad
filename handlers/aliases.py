"""Nicknames learned: words of residents that named no place, or the wrong one, where staff said which was meant."""

import re
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa
from sqlmodel import col

from handlers.desk import Desk
from models import mark
from models.alias import AliasProposal, AliasState, with_learned
from models.correction import Correction
from models.grid import Place
from nlu import grammar
from nlu.gazetteer import STOP
from nlu.look import OBJECT
from nlu.normalize import normalize

LONGEST, SHORTEST = 8, 2
# What stands before these is where something is: 老槐树旁边, 铁皮棚那里.
_BESIDE = re.compile(r"(?:门口|旁边|旁|那里|那边|那儿|附近|对面|后面|前面|楼下)")
# A name ends, going back, at a mark, a blank or a word that is no part of one.
_RUN = re.compile(r"[\u4e00-\u9fffa-z0-9]+$")
_LEAD = re.compile(
    r"^.*(?:在|去|从|到|离|往|是|就|的|把|被|跟|我们|咱们|大家|这个|那个|这边|那边|这里|那里|一个|有个|还有|请问)"
)
_KEPT = 100


def guesses(desk: Desk, text: str, wrong: str | None, right: str, places: Iterable[str] = ()) -> Iterator[str]:
    """Words of a message that may be a name of the place `right`: those before 门口 or 那边 that name nothing,
    nicknames that named `wrong`, and those of `places` (words that look like one, see `nlu.spans`) without 门口."""
    said = normalize(text)
    spans = desk.town.names.find(said)
    official = {normalize(desk.town.places[code].name) for code in (wrong, right) if code in desk.town.places}
    holders = set(desk.town.above(right))
    for span in spans:
        if wrong in span.codes and not holders & set(span.codes) and span.text not in official:
            yield span.text
    for match in _BESIDE.finditer(said):
        run = _RUN.search(said[: match.start()])
        words = _LEAD.sub("", run.group()) if run else ""
        if _may_name(words) and not desk.town.names.find(words):
            yield words
    for place in places:
        beside = _BESIDE.search(place)
        words = _LEAD.sub("", place[: beside.start()] if beside else place)
        # Two characters that only look like a place are mostly 车棚 or 楼道.
        if words in said and len(words) > SHORTEST and _may_name(words) and not desk.town.names.find(words):
            yield words


def _may_name(words: str) -> bool:
    """Neither too short nor too long, no number of a building, no own home, no thing that stands everywhere."""
    return (
        SHORTEST <= len(words) <= LONGEST
        and not words.isdigit()
        and words not in STOP
        and not grammar.buildings(words)
        and not any(pattern.search(words) for pattern in (grammar.OWN_HOME, grammar.UNIT, grammar.FLOOR))
        and not OBJECT.fullmatch(words)
    )


def propose(
    desk: Desk, correction: Correction, texts: Iterable[str], *, wrong: str | None, right: str,
    places: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Propose the names in `texts` for the place that staff said; the same one again counts once more. Returns them.
    places: what of the texts looks like a place, as `guesses` has it.

    What staff refused stays refused, however often it is seen.
    """
    found = list(dict.fromkeys(words for text in texts for words in guesses(desk, text, wrong, right, places)))
    for words in found:
        known = sa.select(AliasProposal).where(col(AliasProposal.words) == words, col(AliasProposal.place) == right)
        row = desk.session.scalars(known).first()
        if row is None:
            row = AliasProposal(words=words, place=right, seen=0, at=desk.now)
        row.seen += 1
        row.corrections = [*row.corrections, correction.id or 0][-_KEPT:]
        desk.session.add(row)
    desk.session.flush()
    return found


def confirm(desk: Desk, row: AliasProposal, by: str) -> None:
    """From now on the words name the place, in this process and in all others."""
    place = desk.session.scalars(sa.select(Place).where(col(Place.code) == row.place)).one()
    place.aliases = with_learned(place.aliases, [row.words])
    desk.session.add(place)
    _decide(desk, row, AliasState.CONFIRMED, by)
    mark.bump(desk.session, mark.TOWN)


def refuse(desk: Desk, row: AliasProposal, by: str) -> None:
    """They do not name it, and it is not proposed again."""
    _decide(desk, row, AliasState.REFUSED, by)


def _decide(desk: Desk, row: AliasProposal, state: AliasState, by: str) -> None:
    row.state, row.by, row.decided_at = state, by, desk.now
    desk.session.add(row)
