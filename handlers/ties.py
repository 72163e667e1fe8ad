"""What speaks for and against "this message belongs to that ticket", as numbers. Their points are config/link.yaml."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from handlers.context import Context
from handlers.place import CHAT, Placement
from handlers.words import Words
from models.message import Incoming
from models.ticket import OPEN, Status, Ticket
from nlu.types import Matter

if TYPE_CHECKING:
    from handlers.assembly import Said

OWN, CHAT_NEAR, SOON = 45.0, 30.0, 5.0  # minutes after which a sign has faded to a third
SURELY_UNLIKE = 0.6
# Pairs of signs that together say something else than either does: 我们也是 at once, and an hour later.
BESIDE = (
    ("chat", "other, join"),
    ("chat", "own, alike"),
    ("chat", "category"),
    ("chat", "place other, meant"),
    ("own", "report"),
    ("own", "turns"),
    ("elsewhere", "place same"),
    ("place other", "unlike"),
    ("rivals", "other, join"),
)
BELONGING = ("detail", "join", "correct", "relay", "refuse")


def ties(
    ctx: Context, words: Words, ticket: Ticket, said: Sequence["Said"], matter: Matter | None, placement: Placement, *,
    latest: bool,
) -> dict[str, float]:  # fmt: skip
    """The signs of one candidate by itself; those that are missing are 0.

    words: what the message says. said: what this sender and this chat said about the ticket. latest: no other ticket
    was spoken of here since.
    """
    m = ctx.message
    u = ctx.understanding
    mine = [row for row in said if row.sender == m.sender and row.role != "status"]
    asked = ctx.known.question is not None and ctx.known.question.ticket == ticket.id
    here = asked or (ticket.channel, ticket.chat) == (m.channel, m.chat) or any(row.chat == m.chat for row in said)
    share, kin = kind_of(ticket, matter)
    alike = min(1.0, share + kin)
    belongs, report = u.p(*BELONGING), u.p("report")
    since = minutes(m, max((row.sent_at for row in said if row.chat == m.chat), default=ticket.last_message_at))
    fresh = math.exp(-since / CHAT_NEAR) if here else 0.0
    found = {"bias": 1.0, "meant": belongs, "report": report, "category": share, "kin": kin, "chat": fresh}
    found["soon"] = math.exp(-since / SOON) if here else 0.0
    if not here:
        found["elsewhere"] = 0.0 if mine else 1.0
    if latest:
        found["latest"] = 1.0
        found["latest, meant"] = belongs
    if matter is not None:
        # How surely the message is of another kind than the ticket.
        found["unlike"] = max(0.0, matter.categories[0][1] - share)
        found["unlike, report"] = found["unlike"] * report
    if mine:
        age = min(minutes(m, row.sent_at) for row in mine)
        found["own"] = math.exp(-age / OWN)
        found["own soon"] = math.exp(-age / SOON)
        found["own, alike"] = alike
        found["own, report"] = report
        found["own, unlike, report"] = found.get("unlike, report", 0.0)
        found["own, unlike"] = found.get("unlike", 0.0)
        found["own, refused"] = u.p("refuse")
        found["own, detail"] = u.p("detail", "correct")
    else:
        found["other, report"] = report
        found["other, report, alike"] = report * alike
        found["other, join"] = u.p("join", "relay")
        found["other, detail"] = u.p("detail", "correct")
        found |= _home(ctx, ticket, placement) | {f"other, {how}": 1.0 for how in words.told_apart}
    if asked:
        found["asked"] = 1.0
    found |= _said_so(ctx, words, ticket, said)
    found |= words.beside(ticket.summary, report)
    found |= _place(ctx, ticket, placement, fresh, alike, belongs)
    if "place other" in found:
        found |= _apart(ctx, ticket, placement, found, own=bool(mine))
    if ticket.status not in OPEN and ticket.status != Status.RESOLVED:
        found["moved on"] = 1.0
    elif ticket.status == Status.RESOLVED:
        found["resolved"] = 1.0
        found["resolved, refused"] = u.p("refuse")
        found["resolved, report"] = report
    return found


def beside(found: dict[str, float]) -> dict[str, float]:
    """The products of signs that say something together."""
    return {f"{one} & {two}": found[one] * found[two] for one, two in BESIDE if one in found and two in found}


def _apart(
    ctx: Context, ticket: Ticket, placement: Placement, found: dict[str, float], *, own: bool
) -> dict[str, float]:
    """What another place means beside who says it, and of what."""
    u = ctx.understanding
    report, join = u.p("report"), u.p("join")
    more = {"place other, report": found["place other"] * report}
    if found.get("unlike", 0.0) >= SURELY_UNLIKE:
        more["another matter's"] = 1.0  # another thing at another place
    if not own:
        more["place other, another's report"] = report + join
        if _two_buildings(ctx, ticket, placement) and report + join + u.p("relay") >= u.p("detail", "correct"):
            more["another building's"] = 1.0  # 我们4号楼也是: a matter of its own, whoever tells of it
    return more


def _home(ctx: Context, ticket: Ticket, placement: Placement) -> dict[str, float]:
    """A neighbour who says no place speaks of where she lives: 楼道灯也不亮."""
    if placement.weight > CHAT or not (placement.place and ticket.place):
        return {}
    if placement.place == ticket.place:
        return {"home same": 1.0}
    if ticket.urgent or not _two_buildings(ctx, ticket, placement):
        return {}  # who sees a danger tells of it, wherever she lives
    # A report or a joining is of her own building, what she adds is of the one that was told.
    return {"home other": ctx.understanding.p("report", "join")}


def _two_buildings(ctx: Context, ticket: Ticket, placement: Placement) -> bool:
    kinds = [place.kind for code in (ticket.place, placement.place) if (place := ctx.town.places.get(code or ""))]
    return kinds == ["building", "building"]


def minutes(m: Incoming, then: datetime) -> float:
    """How long before the message that was; never negative."""
    return max(0.0, (m.sent_at - then).total_seconds() / 60)


def kind_of(ticket: Ticket, matter: Matter | None) -> tuple[float, float]:
    """How likely the message is of the ticket's category, and of its top category."""
    if matter is None:
        return 0.0, 0.0
    top = ticket.category.split(".", maxsplit=1)[0]
    kin = sum(share for code, share in matter.categories if code.split(".", maxsplit=1)[0] == top)
    return dict(matter.categories).get(ticket.category, 0.0), kin


def _said_so(ctx: Context, words: Words, ticket: Ticket, said: Iterable["Said"]) -> dict[str, float]:
    m, found = ctx.message, {}
    if ctx.known.quoted_ticket == ticket.id or any(row.message == m.quote and row.chat == m.chat for row in said):
        found["quoted"] = 1.0
    if ticket.number.lower() in words.written:
        found["number"] = 1.0
    return found


def _place(
    ctx: Context, ticket: Ticket, placement: Placement, fresh: float, alike: float, belongs: float
) -> dict[str, float]:
    """A shared place speaks for a fresh matter or one of the same kind, not for whatever happened there last week. A
    different place speaks less against what says that it belongs."""
    town, rules = ctx.town, ctx.decisions
    if placement.weight <= CHAT or not (placement.place or placement.grid):
        return {"no place": 1.0, "no place, alike": alike}
    if ticket.place and ticket.place in placement.denied:
        return {"place denied": 1.0}
    shared, apart = max(fresh, alike), 1.0 - 0.5 * belongs
    if placement.place and ticket.place:
        if placement.place == ticket.place:
            return {"place same": shared, "place same, alike": alike}
        mine, theirs = list(town.above(placement.place)), list(town.above(ticket.place))
        if placement.place in theirs or ticket.place in mine:
            return {"place inside": shared}
        if ticket.category in rules.wide:
            return {"place other, wide": apart}
        return {"place other": apart, "place other, meant": belongs}
    if placement.place and not ticket.place and ticket.grid:
        near = town.within(placement.grid, ticket.grid) or town.within(ticket.grid, placement.grid)
        return {"place new": shared} if near else {"place other": apart}
    return {}
