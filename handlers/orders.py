"""Orders of 居民上报: matters for certain, told by way of a product that answers the resident itself.

The product's workers go on with their order there, and that moves its tickets here: the platform has checked who they
are, and it is the platform that says so. What a channel hands over stands in `Incoming.platform`, which nobody can
write into from outside: `order` is `new` (with `grid`, `grid_name`, `urgent`, `kind`), `more` (files of it) or `step`
(with `step`, `by`, `to`, and `more` where its words follow). An order that tells of several matters has several
tickets, and its steps are all of theirs. Platform pages 93513-93519.
"""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlmodel import col

from config.tables import leaves
from handlers import dispatch
from handlers.asking import asked, remember, sentence
from handlers.assembly import in_window, rank, same_matter
from handlers.context import Context
from handlers.dispatch import Assigned
from handlers.feedback import give_back
from handlers.matters import attach, keep, open_ticket
from handlers.place import Placement
from handlers.router import Router
from handlers.standing import standing
from handlers.suggest import suggest
from handlers.texts import say, word
from handlers.there import where_told
from handlers.town import Town
from handlers.workflow import Actor, may, move, record
from models.chat import Chat, ChatKind
from models.ticket import Status, Ticket, TicketMessage
from nlu.types import Matter

orders = Router("orders")
ORDER, NEW, STEP = "order", "new", "step"
KNOWN = "known"  # and no silence, of which a share is looked at to learn from
STAFF = ("resident_report", "wecom_app", "wecom_bot")  # one corporation: a worker has the same user id on all of them
ENDS = {"accepted": Status.ACCEPTED, "done": Status.RESOLVED, "refused": Status.DISMISSED}
NEWS = {"accepted": "accepted", "done": "resolved", "refused": "dismissed"}


@orders.on(lambda ctx: ctx.message.platform.get(ORDER) == NEW)
def ordered(ctx: Context) -> str:
    """What a resident reported: a ticket, or one more who tells of a matter that is there. The product answers her;
    only where it is she may be asked."""
    if _tickets(ctx):
        return KNOWN  # read again, long after the inbox has forgotten it
    m = ctx.message
    # A direct chat, in the order's grid: what was told there is nobody else's business.
    grid = grid_of(ctx.town, m.platform.get("grid", ""), m.platform.get("grid_name", ""))
    ctx.chat = Chat(channel=m.channel, code=m.chat, kind=ChatKind.DIRECT, grid=grid)
    matters = _matters(ctx)
    outcomes: list[str] = []
    there: Placement | None = None
    for matter in matters:
        there = where_told(ctx, matter, there, several=len(matters) > 1)
        outcomes.append(_one(ctx, matter, there, several=len(matters) > 1))
    return outcomes[0]


def _matters(ctx: Context) -> Sequence[Matter]:
    """What the order tells of; of one without words, the kind that the deployment has for what the product filed it
    under: those words are not hers."""
    told, kind = ctx.understanding.matters, ctx.message.platform.get("kind")
    return [replace(told[0], categories=((kind, 1.0),), credible=())] if kind in leaves() else told


def _one(ctx: Context, matter: Matter, placement: Placement, *, several: bool) -> str:
    m = ctx.message
    ranked = rank(ctx, matter, placement)
    found = None if several else same_matter(ctx, matter, ranked)
    if found is None:
        urgent, sensitive = ctx.is_urgent(matter), ctx.is_sensitive(matter)
        ticket = open_ticket(ctx, matter, placement, [], quiet=False, urgent=urgent, sensitive=sensitive)
        suggest(ctx, ticket, [linked for linked in ranked if in_window(ctx.decisions, ctx, linked.ticket)])
        _ask(ctx, ticket, placement)
        return "report"
    ticket = found.ticket
    if ticket.status == Status.RESOLVED and ticket.resolved_at is not None and m.sent_at > ticket.resolved_at:
        give_back(ctx, ticket, placement)
        return "refuse"
    attach(ctx, ticket, "join", placement)
    ticket.quiet = False  # two say so
    ctx.session.add(ticket)
    return "join"


def _ask(ctx: Context, ticket: Ticket, placement: Placement) -> None:
    """Where it is, on a channel of hers where she can answer. Who has none is not asked: the ticket stays in the
    order's grid, and whoever goes there finds it, or asks in the product."""
    question, other = asked(ticket, placement), next((one for one in ctx.addresses if ctx.town.speaks(one[0])), None)
    if question is None or other is None or ctx.person is None:
        return
    channel, user = other
    chat = ctx.town.direct_chat(channel, ctx.person.code, user)
    at = ctx.now  # the order may have waited
    name = sentence(ctx, question, channel, chat, user, at=at)
    ctx.post(channel, chat, say(name, **ctx.public(ticket), options=question.names(ctx)), ticket)
    remember(ctx, ticket, question, channel, chat, user, at=at)


@orders.on(lambda ctx: ctx.message.platform.get(ORDER) == "more")
def more(ctx: Context) -> str:
    """Files of an order that came as a message of their own."""
    kept = [keep(ctx, ticket, ctx.message, "detail") for ticket in _tickets(ctx)]
    return "detail" if any(kept) else KNOWN


@orders.on(lambda ctx: ctx.message.platform.get(ORDER) == STEP)
def stepped(ctx: Context) -> str:
    """A step of the product's workers: a line of the ticket's history, and its next status where that may follow.

    Of a ticket that the order only joined it is a note: others told of that matter, and it is not the product's to end.
    """
    kept = [ticket for ticket in _tickets(ctx) if keep(ctx, ticket, ctx.message, "step")]
    for ticket in kept:
        _step(ctx, standing(ctx.session, ticket))
    return "work" if kept else KNOWN


def _step(ctx: Context, ticket: Ticket) -> None:
    told, step, by = ctx.message, ctx.message.platform.get(STEP, ""), ctx.message.platform.get("by", "")
    person = _person(ctx, by)
    who = person or f"{told.channel}:{by or 'staff'}"
    own = (ticket.channel, ticket.chat) == (told.channel, told.chat)
    to = ENDS.get(step)
    if own and to is not None and may(ticket, to, Actor.WORKER):
        move(ctx.session, ticket, to, Actor.WORKER, who, ctx.now, note=told.text)
        _taken(ctx, ticket, person, ended=to != Status.ACCEPTED)
        ticket.quiet = False
        ctx.tell_supporters(ticket, NEWS[step])
        return
    if "more" not in told.platform:
        note = f"{word('channel_resident_report')}{word(f'order_{step}')} {told.text}".strip()
        record(ctx.session, ticket, "note", who, ctx.now, note)
    if own and to == ticket.status == Status.ACCEPTED:
        _taken(ctx, ticket, person)  # 办理中 is over, and says only now who it was
    if own and step in ("assigned", "passed"):
        _hand_on(ctx, ticket, _person(ctx, told.platform.get("to", "")))


def _taken(ctx: Context, ticket: Ticket, person: str | None, *, ended: bool = False) -> None:
    """It is this person's now. Who takes it in the product and is nobody's here cannot be reminded of it: then it stays
    with ours."""
    if ticket.worker != person and (person is not None or ended):
        ctx.alert_worker(ticket, "alert_taken", "by way of the order")
    ticket.worker = person or ticket.worker
    ctx.session.add(ticket)


def _hand_on(ctx: Context, ticket: Ticket, to: str | None) -> None:
    """The product gave it to one of ours who may act on it."""
    if to is None or to == ticket.worker or not may(ticket, Status.ASSIGNED, Actor.SYSTEM):
        return
    if dispatch.may_act(ctx.town, to, ticket.grid, ticket.worker, ticket.category):
        ctx.alert_worker(ticket, "alert_taken", "handed on")
        ctx.assign(ticket, Assigned(to, "order"), name="alert_transferred")


def _tickets(ctx: Context) -> Sequence[Ticket]:
    """The tickets that the order became, or joined."""
    m = ctx.message
    mine = sa.select(col(TicketMessage.ticket)).where(
        col(TicketMessage.channel) == m.channel, col(TicketMessage.chat) == m.chat,
        col(TicketMessage.role).in_(("report", "join", "refuse")),
    )  # fmt: skip
    return ctx.session.scalars(sa.select(Ticket).where(col(Ticket.id).in_(mine)).order_by(col(Ticket.id))).all()


def grid_of(town: Town, code: str, name: str) -> str | None:
    """The town's grid for one of the product's: by its code, else by a name that only one grid has."""
    if code in town.grids:
        return code
    named = [grid.code for grid in town.grids.values() if name and grid.name == name]
    return named[0] if len(named) == 1 else None


def _person(ctx: Context, user: str) -> str | None:
    """Whose user id of the corporation that is, if she has a duty here."""
    for channel in STAFF if user else ():
        person = ctx.town.identities.get((channel, user))
        if person is not None and ctx.town.duties.get(person):
            return person
    return None
