"""Putting messages together: which open matter does this message belong to?

Candidates are the recent matters of the chat, of the sender, and of the neighbourhood where the kind is the same. Each
gets points for every sign (`handlers.ties`, `handlers.rivals`, config/link.yaml); the best one wins if it has enough.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import col

from config.decisions import Decisions
from config.links import link_rules
from handlers.context import Context
from handlers.place import Placement
from handlers.rivals import rivals
from handlers.standing import followed
from handlers.ties import beside, kind_of, minutes, ties
from handlers.words import Words
from models.ticket import OPEN, Status, Supporter, Ticket, TicketMessage
from models.whois import hers, named
from nlu.types import Matter

REACH = timedelta(days=14)
DONE_LATELY = timedelta(hours=48)
FEW = 25
UNLIKELY = 0.15

# Who looks on while the linker weighs: whoever fits its points. Nobody, in a worker.
Watcher = Callable[[Context, Ticket, dict[str, float]], None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Show `watcher` each candidate with its signs."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def _recent(*joined: sa.ColumnElement[bool]) -> sa.Select[int | None]:
    ids = sa.select(col(Ticket.id)).where(col(Ticket.last_message_at) > sa.bindparam("since"), *joined)
    return ids.order_by(sa.desc(col(Ticket.last_message_at))).limit(FEW)


# Built once: putting a statement together costs more than running it.
_CHANNEL: sa.BindParameter[str] = sa.bindparam("channel")
_CHAT: sa.BindParameter[str] = sa.bindparam("chat")
_IN_CHAT = _recent(col(Ticket.channel) == _CHANNEL, col(Ticket.chat) == _CHAT)
_BY_SENDER = _recent(
    col(Ticket.id).in_(sa.select(col(Supporter.ticket)).where(hers(col(Supporter.channel), col(Supporter.sender))))
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
    sa.select(
        col(_row.ticket), col(_row.channel), col(_row.chat), col(_row.sender), col(_row.message), col(_row.role),
        col(_row.sent_at),
    )
    .where(col(_row.ticket).in_(sa.bindparam("tickets", expanding=True)))
    .where(
        sa.or_(
            hers(col(_row.channel), col(_row.sender)),
            sa.and_(col(_row.channel) == _CHANNEL, col(_row.chat) == _CHAT),
        )
    )
)  # fmt: skip


class Said(NamedTuple):
    """A message of a ticket, as far as it matters here. What the sender said on another channel has her user id of this
    one, and no chat."""

    ticket: int
    chat: str
    sender: str
    message: str
    role: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Linked:
    """A candidate with its points. own: the sender is among those who told of it. here: it was told in this chat.
    named: the message quotes it, or says its number."""

    ticket: Ticket
    points: float
    own: bool
    here: bool
    named: bool = False


def candidates(ctx: Context, matter: Matter | None) -> list[tuple[Ticket, list[Said]]]:
    """Recent tickets with their messages: of this chat, of this sender, and of the same kind near by."""
    m = ctx.message
    values: dict[str, object] = {
        "quoted": ctx.known.quoted_ticket,
        "since": m.sent_at - REACH,
        "channel": m.channel,
        "chat": m.chat,
        **named(ctx.addresses),
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
        values = {"tickets": list(said), "channel": m.channel, "chat": m.chat, **named(ctx.addresses)}
        for ticket, channel, chat, sender, *rest in ctx.session.execute(SAID, values):
            who = m.sender if (channel, sender) in ctx.addresses else sender
            said[ticket].append(Said(ticket, chat if channel == m.channel else "", who, *rest))
    return [(ticket, said[ticket.id or 0]) for ticket in tickets if ticket.id in said]


def _home_grid(ctx: Context) -> str | None:
    home = ctx.town.places.get(ctx.person.home or "") if ctx.person else None
    return home.grid if home else ctx.person.grid if ctx.person else None


def rank(ctx: Context, matter: Matter | None, placement: Placement) -> list[Linked]:
    """Candidates by points, best first."""
    return followed(ctx.session, among(ctx, candidates(ctx, matter), matter, placement))


def among(
    ctx: Context, tickets: Iterable[tuple[Ticket, list[Said]]], matter: Matter | None, placement: Placement
) -> list[Linked]:
    """The same for given tickets."""
    known = list(tickets)
    told = {ticket.id: max((row.sent_at for row in said if row.chat == ctx.message.chat), default=None)
            for ticket, said in known}  # fmt: skip
    last = max((at for at in told.values() if at), default=None)
    words = Words.of(ctx.message, ctx.joined)
    weighed = [ties(ctx, words, ticket, said, matter, placement, latest=last is not None and told[ticket.id] == last)
               for ticket, said in known]  # fmt: skip
    found = []
    for (ticket, _), alone, against in zip(known, weighed, rivals(weighed), strict=True):
        signs = alone | against
        signs |= beside(signs)
        if watcher := _watcher.get():
            watcher(ctx, ticket, signs)
        named = "quoted" in signs or "number" in signs
        found.append(Linked(ticket, points(signs), "own" in signs, "elsewhere" not in signs, named))
    return sorted(found, key=lambda linked: (-linked.points, -(linked.ticket.id or 0)))


def points(signs: dict[str, float]) -> float:
    """What the signs are worth together; the logarithm of the odds that the message belongs."""
    rules = link_rules()
    return sum((rules.points.get(sign, 0.0) + rules.fixed.get(sign, 0.0)) * value for sign, value in signs.items())


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
        age = minutes(ctx.message, linked.ticket.last_message_at)
        burst = linked.own and linked.here and age <= rules.burst_minutes
        least = rules.link.enough if burst else rules.link.enough_report
        if linked.points < least or not in_window(rules, ctx, linked.ticket):
            continue
        if linked.ticket.resolved_at and ctx.now - linked.ticket.resolved_at > DONE_LATELY:
            continue  # it was settled a while ago: a new breakdown
        share, kin = kind_of(linked.ticket, matter)
        unsure = matter.categories[0][1] < rules.category
        alike = share >= rules.link.alike or (burst and (kin >= rules.link.alike or unsure))
        if alike and linked.ticket.status in (*OPEN, Status.RESOLVED):
            return linked
    return None
