"""Putting messages together: which open matter does this message belong to?

Candidates are the recent matters of the chat, of the sender, and of the neighbourhood where the kind is the same. Each
gets points for every sign (config/decisions.yaml); the best one wins if it has enough.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import col

from config.decisions import Decisions
from handlers.context import Context
from handlers.place import CHAT, Placement
from handlers.town import Town
from models.message import Incoming
from models.ticket import OPEN, Status, Supporter, Ticket, TicketMessage
from nlu.embedded import OBJECT
from nlu.normalize import normalize
from nlu.types import Matter

REACH = timedelta(days=14)
DONE_LATELY = timedelta(hours=48)
FEW = 25
UNLIKELY = 0.15


def _recent(*joined: sa.ColumnElement[bool]) -> sa.Select[int | None]:
    ids = sa.select(col(Ticket.id)).where(col(Ticket.last_message_at) > sa.bindparam("since"), *joined)
    return ids.order_by(sa.desc(col(Ticket.last_message_at))).limit(FEW)


# Built once: putting a statement together costs more than running it.
_CHANNEL: sa.BindParameter[str] = sa.bindparam("channel")
_CHAT: sa.BindParameter[str] = sa.bindparam("chat")
_SENDER: sa.BindParameter[str] = sa.bindparam("sender")
_IN_CHAT = _recent(col(Ticket.channel) == _CHANNEL, col(Ticket.chat) == _CHAT)
_BY_SENDER = _recent(
    col(Ticket.id).in_(
        sa.select(col(Supporter.ticket)).where(col(Supporter.channel) == _CHANNEL, col(Supporter.sender) == _SENDER)
    )
)
_NEAR = _recent(
    col(Ticket.category).in_(sa.bindparam("kinds", expanding=True)),
    col(Ticket.grid).in_(sa.bindparam("grids", expanding=True)),
)


def _any_of(*wanted: sa.Select[int | None]) -> sa.Select[Ticket]:
    found = [col(Ticket.id).in_(sa.select(ids.subquery().c.id)) for ids in wanted]
    return sa.select(Ticket).where(sa.or_(col(Ticket.id) == sa.bindparam("quoted"), *found))


HERE = _any_of(_IN_CHAT, _BY_SENDER)
HERE_AND_NEAR = _any_of(_IN_CHAT, _BY_SENDER, _NEAR)
_row = TicketMessage
# Of a ticket's messages only those of this sender and of this chat say anything about a message.
SAID = (
    sa.select(col(_row.ticket), col(_row.chat), col(_row.sender), col(_row.message), col(_row.role), col(_row.sent_at))
    .where(col(_row.ticket).in_(sa.bindparam("tickets", expanding=True)), col(_row.channel) == _CHANNEL)
    .where(sa.or_(col(_row.sender) == _SENDER, col(_row.chat) == _CHAT))
)


class Said(NamedTuple):
    """A message of a ticket, as far as it matters here."""

    ticket: int
    chat: str
    sender: str
    message: str
    role: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Linked:
    """A candidate with its points. own: the sender is among those who told of it. here: it was told in this chat."""

    ticket: Ticket
    points: float
    own: bool
    here: bool


def candidates(ctx: Context, matter: Matter | None) -> list[tuple[Ticket, list[Said]]]:
    """Recent tickets with their messages: of this chat, of this sender, and of the same kind near by."""
    m = ctx.message
    values: dict[str, object] = {
        "quoted": ctx.known.quoted_ticket,
        "since": m.sent_at - REACH,
        "channel": m.channel,
        "chat": m.chat,
        "sender": m.sender,
    }
    statement = HERE
    if matter is not None and (community := ctx.town.community(ctx.grid or _home_grid(ctx))):
        statement = HERE_AND_NEAR
        values["kinds"] = [code for code, share in matter.categories[:2] if share > UNLIKELY] or [matter.category]
        values["grids"] = ctx.town.around(community)
    return with_messages(ctx, ctx.session.scalars(statement, values).all())


def with_messages(ctx: Context, tickets: Sequence[Ticket]) -> list[tuple[Ticket, list[Said]]]:
    """Tickets with what this sender and this chat said about them."""
    said: dict[int, list[Said]] = {ticket.id or 0: [] for ticket in tickets}
    if said:
        m = ctx.message
        values = {"tickets": list(said), "channel": m.channel, "chat": m.chat, "sender": m.sender}
        for row in ctx.session.execute(SAID, values):
            said[row[0]].append(Said(*row))
    return [(ticket, said[ticket.id or 0]) for ticket in tickets if ticket.id in said]


def _home_grid(ctx: Context) -> str | None:
    home = ctx.town.places.get(ctx.person.home or "") if ctx.person else None
    return home.grid if home else None


def rank(ctx: Context, matter: Matter | None, placement: Placement) -> list[Linked]:
    """Candidates by points, best first."""
    return among(ctx, candidates(ctx, matter), matter, placement)


def among(
    ctx: Context, tickets: Iterable[tuple[Ticket, list[Said]]], matter: Matter | None, placement: Placement
) -> list[Linked]:
    """The same for given tickets."""
    found = [_score(ctx, ticket, messages, matter, placement) for ticket, messages in tickets]
    return sorted(found, key=lambda linked: (-linked.points, -(linked.ticket.id or 0)))


def _score(
    ctx: Context, ticket: Ticket, messages: Sequence[Said], matter: Matter | None, placement: Placement
) -> Linked:
    link, m = ctx.decisions.link, ctx.message
    mine = [row for row in messages if row.sender == m.sender and row.role != "status"]
    here = (ticket.channel, ticket.chat) == (m.channel, m.chat) or any(row.chat == m.chat for row in messages)
    belongs = ctx.understanding.p("detail", "join", "correct", "relay", "refuse")
    share, kin = _kind(ticket, matter)
    fresh = math.exp(-_minutes(m, ticket.last_message_at) / link.chat_minutes) if here else 0.0
    points = link.meant * belongs + link.category * share + link.kin * kin + link.chat * fresh
    if ctx.known.quoted_ticket == ticket.id or any(row.message == m.quote and row.chat == m.chat for row in messages):
        points += link.quoted
    if ticket.number.lower() in normalize(m.text):
        points += link.number
    if ctx.known.question is not None and ctx.known.question.ticket == ticket.id:
        points += link.asked
    if mine:
        age = min(_minutes(m, row.sent_at) for row in mine)
        points += max(link.own * math.exp(-age / link.own_minutes), link.own_old * min(1.0, share + kin))
    elif not here:
        points += link.elsewhere
    words = set(OBJECT.findall(normalize(m.words)))
    if words and words & set(OBJECT.findall(normalize(ticket.summary))):
        points += link.object
    where = _place_points(ctx.town, ctx.decisions, ticket, placement)
    # A shared place speaks for a fresh matter or one of the same kind, not for whatever happened there last week. A
    # different place speaks less against what says that it belongs.
    points += where * max(fresh, min(1.0, share + kin)) if where > 0 else where * (1.0 - 0.5 * belongs)
    if ticket.status not in OPEN and ticket.status != Status.RESOLVED:
        points += link.moved_on
    return Linked(ticket, points, bool(mine), here)


def _minutes(m: Incoming, then: datetime) -> float:
    return max(0.0, (m.sent_at - then).total_seconds() / 60)


def _kind(ticket: Ticket, matter: Matter | None) -> tuple[float, float]:
    """How likely the message is of the ticket's category, and of its top category."""
    if matter is None:
        return 0.0, 0.0
    top = ticket.category.split(".", maxsplit=1)[0]
    kin = sum(share for code, share in matter.categories if code.split(".", maxsplit=1)[0] == top)
    return dict(matter.categories).get(ticket.category, 0.0), kin


def _place_points(town: Town, rules: Decisions, ticket: Ticket, placement: Placement) -> float:
    link = rules.link
    if placement.weight <= CHAT or not (placement.place or placement.grid):
        return 0.0
    if placement.place and ticket.place:
        if placement.place == ticket.place:
            return link.place_same
        mine, theirs = list(town.above(placement.place)), list(town.above(ticket.place))
        if placement.place in theirs or ticket.place in mine:
            return link.place_inside
        return link.place_other_wide if ticket.category in rules.wide else link.place_other
    if placement.place and not ticket.place and ticket.grid:
        near = town.within(placement.grid, ticket.grid) or town.within(ticket.grid, placement.grid)
        return link.place_inside / 2 if near else link.place_other
    return 0.0


def in_window(rules: Decisions, ctx: Context, ticket: Ticket) -> bool:
    """Recent enough for a fresh report of the same kind to be the same matter."""
    age = (ctx.message.sent_at - ticket.last_message_at).total_seconds() / 60
    return age <= rules.window(ticket.category)


def same_matter(ctx: Context, matter: Matter, ranked: Iterable[Linked]) -> Linked | None:
    """The ticket that a fresh report is about already: the same kind, a place that fits, told lately.

    What the same person adds within minutes is the same matter even if its words point elsewhere.
    """
    rules = ctx.decisions
    for linked in ranked:
        if linked.points < rules.link.enough_report or not in_window(rules, ctx, linked.ticket):
            continue
        if linked.ticket.resolved_at and ctx.now - linked.ticket.resolved_at > DONE_LATELY:
            continue  # it was settled a while ago: a new breakdown
        share, kin = _kind(linked.ticket, matter)
        burst = (
            linked.own and linked.here and _minutes(ctx.message, linked.ticket.last_message_at) <= rules.burst_minutes
        )
        alike = share >= rules.link.alike or (
            burst and (kin >= rules.link.alike or matter.categories[0][1] < rules.category)
        )
        if alike and linked.ticket.status in (*OPEN, Status.RESOLVED):
            return linked
    return None
