"""What the task page offers to those who may correct a ticket: kinds, places near by, perhaps the same matter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from config.tables import categories
from handlers import dispatch
from handlers.desk import Desk
from handlers.dividing import TELLS
from handlers.texts import word
from models import suggestion
from models.ticket import Status, Ticket, TicketMessage
from nlu.normalize import normalize

FOUND = 20  # places of one search
# The page's own words, `page_…` of replies.yaml.
WORDS = (
    "correct", "change", "category", "place", "place_hint", "place_missing", "urgent_on", "urgent_off", "sensitive_on",
    "sensitive_off", "perhaps", "same", "same_sure", "apart", "split", "split_hint", "split_missing", "split_sure",
    "unchanged_category", "unchanged_place", "tick",
)  # fmt: skip


class _Words(Mapping[str, str]):
    """Read when they are asked for: the deployment's own table may come later than this module."""

    def __getitem__(self, name: str) -> str:
        if name not in WORDS:
            raise KeyError(name)
        return word(f"page_{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(WORDS)

    def __len__(self) -> int:
        return len(WORDS)


PAGE = _Words()


@dataclass(frozen=True, slots=True)
class Perhaps:
    """A suggestion: the other ticket, with its place and kind in words. Its residents' words stay on its own page."""

    id: int
    number: str
    what: str


@dataclass(frozen=True, slots=True)
class Correct:
    """What may be corrected by this person now.

    category: the ticket's code; kinds: (top's name, ((code, name), …)) as in the table. place: its name, or "".
    perhaps, split: for staff only; split: there are messages enough to divide.
    """

    category: str
    kinds: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    place: str
    urgent: bool
    sensitive: bool
    is_open: bool
    perhaps: tuple[Perhaps, ...]
    split: bool


def correctable(desk: Desk, ticket: Ticket, person: str, told: list[TicketMessage]) -> Correct | None:
    """What to offer, None for nothing. Only an offer: whoever presses is checked again by the handler.

    told: the ticket's messages.
    """
    if not _may(desk, ticket, person) or ticket.status == Status.MERGED:
        return None
    staff = _may(desk, ticket, person, staff_only=True)
    return Correct(
        category=ticket.category,
        kinds=tuple(_kinds()),
        place=desk.place_name(ticket),
        urgent=ticket.urgent,
        sensitive=ticket.sensitive,
        is_open=ticket.is_open,
        perhaps=tuple(_perhaps(desk, ticket, person)) if staff else (),
        split=staff and ticket.is_open and sum(row.role in TELLS for row in told) > 1,
    )


def _may(desk: Desk, ticket: Ticket, person: str, *, staff_only: bool = False) -> bool:
    return dispatch.may_correct(
        desk.town, person, ticket.grid, ticket.worker, ticket.category, staff_only=staff_only
    )  # fmt: skip


def _kinds() -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    known = categories().values()
    for top in known:
        if not top.parent:
            yield top.name, tuple((leaf.code, leaf.name) for leaf in known if leaf.parent == top.code)


def _perhaps(desk: Desk, ticket: Ticket, person: str) -> Iterator[Perhaps]:
    """Only where she may decide about the other ticket, too."""
    for row, one, two in suggestion.waiting(desk.session, ticket.id):
        other = two if one.id == ticket.id else one
        if _may(desk, other, person, staff_only=True):
            facts = desk.facts(other)
            yield Perhaps(row.id or 0, other.number, f"{facts['place']} {facts['category']} {facts['status']}")


def places_near(desk: Desk, ticket: Ticket, wanted: str) -> list[dict[str, str]]:
    """[{code, name}]: places of the community that the ticket's grid belongs to, whose name or nickname holds the
    words; of those with the same name, the grid beside it."""
    words = normalize(wanted).replace(" ", "")
    community = desk.town.community(ticket.grid) or desk.town.root
    if not words or community is None:
        return []
    inside = set(desk.town.around(community))
    found = []
    for place in desk.town.places.values():
        names = [normalize(name) for name in (place.name, *place.aliases.split("|"))]
        if place.grid in inside and any(words in name for name in names):
            found.append((not names[0].startswith(words), words not in names[0], len(names[0]), place))
    found.sort(key=lambda row: row[:3])
    rows = [row[3] for row in found[:FOUND]]
    names = [place.name for place in rows]
    return [
        {
            "code": place.code,
            "name": place.name if names.count(place.name) == 1 else f"{place.name} {desk.town.grids[place.grid].name}",
        }
        for place in rows
    ]
