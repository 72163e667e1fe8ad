"""What residents tell: reports, and everything that belongs to one."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from handlers.assembly import Linked, rank, same_matter
from handlers.context import Context
from handlers.filters import kind, wordless
from handlers.matters import attach, held_media, keep, open_ticket, words_before
from handlers.past import HELD
from handlers.place import CHAT, Placement, locate
from handlers.router import Router
from handlers.workflow import Actor, may, move
from models.chat import Question
from models.message import Incoming, Kind
from models.ticket import OPEN, Status, Ticket, TicketMessage
from nlu.types import Matter

intake = Router("intake")
BELONGING = ("detail", "join", "correct", "relay")
TAKE_BACK_MINUTES = 180
# Kinds that are about the community as a whole, or about a person: no question where exactly.
NOWHERE_IN_PARTICULAR = ("suggestion", "dispute", "welfare", "security.fraud", "utility", "city.construction")


@intake.on(kind(Kind.RECALL))
def recalled(ctx: Context) -> str:
    """A message was taken back: the matter it opened goes with it, if nobody else told of it."""
    taken = ctx.message.recalls
    rows = ctx.session.scalars(
        sa.select(TicketMessage).where(
            col(TicketMessage.channel) == ctx.message.channel, col(TicketMessage.chat) == ctx.message.chat,
            col(TicketMessage.message) == taken, col(TicketMessage.sender) == ctx.message.sender,
        )
    ).all()  # fmt: skip
    for row in rows:
        ticket = ctx.session.get_one(Ticket, row.ticket)
        keep(ctx, ticket, ctx.message, "withdraw")
        row.text = ""  # what was taken back is not kept
        ctx.session.add(row)
        if row.role == "report" and ctx.supporters(ticket) <= 1 and may(ticket, Status.WITHDRAWN, Actor.REPORTER):
            ticket.summary = ""
            _withdraw(ctx, ticket, say=False)
    return "withdraw" if rows else "silent"


@intake.on(wordless)
def without_words(ctx: Context) -> str:
    """A picture, voice, video or pin alone: it belongs to what its sender just said, or waits for what comes next."""
    m = ctx.message
    placement = locate(ctx.town, ctx.where())
    ticket = _latest_own(ctx, minutes=ctx.decisions.photo_minutes)
    quoted = next((linked for linked in rank(ctx, None, placement) if linked.points >= ctx.decisions.link.quoted), None)
    if m.quote and quoted:
        ticket = quoted.ticket
    if ticket is not None and ticket.status not in (Status.WITHDRAWN, Status.CLOSED):
        attach(ctx, ticket, "detail", placement if m.kind == Kind.LOCATION else Placement(None, None))
        return "detail"
    if m.kind == Kind.VOICE and ctx.direct:
        ctx.say("voice")
    return HELD


@intake.on(
    lambda ctx: ctx.understanding.intent == "withdraw" and ctx.understanding.p("withdraw") >= ctx.decisions.belongs
)
def taken_back(ctx: Context) -> str | None:
    """不用了 好了: the sender's own matter, told a short while ago, is withdrawn."""
    ticket = _latest_own(ctx, minutes=TAKE_BACK_MINUTES)
    if ticket is None or not may(ticket, Status.WITHDRAWN, Actor.REPORTER):
        return None
    keep(ctx, ticket, ctx.message, "withdraw")
    _withdraw(ctx, ticket, say=True)
    return "withdraw"


def _withdraw(ctx: Context, ticket: Ticket, *, say: bool) -> None:
    ctx.alert_worker(ticket, "alert_withdrawn", "withdrawn")
    move(ctx.session, ticket, Status.WITHDRAWN, Actor.REPORTER, ctx.who, ctx.now)
    if say and not ticket.quiet:
        ctx.say("withdrawn", ticket)


@intake.on(lambda ctx: ctx.understanding.p("report", *BELONGING) >= ctx.decisions.quiet)
def told(ctx: Context) -> str | None:
    """Something that somebody must deal with, or that belongs to such a thing."""
    u = ctx.understanding
    outcomes = [
        _one(ctx, matter, first=index == 0, several=len(u.matters) > 1) for index, matter in enumerate(u.matters)
    ]
    return next((outcome for outcome in outcomes if outcome), None)


def _one(ctx: Context, matter: Matter, *, first: bool, several: bool) -> str | None:
    u, rules = ctx.understanding, ctx.decisions
    report, belongs = u.p("report"), u.p(*BELONGING)
    media = held_media(ctx) if first and report + belongs >= rules.belongs else []
    pin = next((m for m in media if m.lon is not None), None)
    placement = locate(ctx.town, ctx.where(matter if several else None, pin=pin))
    if placement.weight <= CHAT and report >= rules.quiet and (said := words_before(ctx)):
        placement = locate(ctx.town, said[0])
        media = [*media, said[1]]
    ranked = rank(ctx, matter, placement)
    best = ranked[0] if ranked else None
    if report >= belongs or several:
        known = None if several else same_matter(ctx, matter, ranked)
        if known is None and report >= rules.quiet:
            return _open(ctx, matter, placement, media)
        best = known or best
    if best is not None and best.points >= rules.link.enough and report + belongs >= rules.belongs:
        return _belongs(ctx, best, placement, media)
    if report >= rules.quiet:
        return _open(ctx, matter, placement, media)
    return None


def _open(ctx: Context, matter: Matter, placement: Placement, media: list[Incoming]) -> str:
    u, rules = ctx.understanding, ctx.decisions
    urgent = ctx.is_urgent(matter)
    sensitive = u.sensitive >= rules.sensitive
    quiet = u.p("report") < rules.open and not (ctx.to_bot or (urgent and u.p("report") >= rules.quiet))
    before = _recurrence(ctx, matter, placement)
    ticket = open_ticket(ctx, matter, placement, media, quiet=quiet, urgent=urgent, sensitive=sensitive)
    if not quiet and _may_speak(ctx):
        _answer(ctx, ticket, placement, before)
    return "report"


def _may_speak(ctx: Context) -> bool:
    """Sure enough to say something in front of everybody; who speaks to the bot always gets an answer."""
    sure = ctx.decisions.speak_urgent if ctx.is_urgent() else ctx.decisions.speak
    return ctx.to_bot or ctx.understanding.p("report", *BELONGING) >= sure


def _answer(ctx: Context, ticket: Ticket, placement: Placement, before: Ticket | None) -> None:
    if _burst(ctx):
        return
    if ticket.sensitive and not ctx.direct:
        if not ctx.whisper("opened_direct", ticket):
            ctx.say("opened_quietly")
        return
    asks = not ticket.category.startswith(NOWHERE_IN_PARTICULAR) and not ticket.urgent
    if placement.unsure and asks:
        names = [ctx.town.places[code].name for code in placement.options]
        ctx.say("opened_which", ticket, options="、".join(names))
        _ask(ctx, ticket, list(placement.options))
    elif ticket.place is None and placement.weight <= CHAT and asks:
        ctx.say("opened_nowhere", ticket)
        _ask(ctx, ticket, [])
    elif ticket.urgent:
        ctx.say("opened_urgent", ticket)
    elif before is not None:
        ctx.say("recurred", ticket, before=before.number)
    elif ticket.category.startswith("suggestion"):
        ctx.say("suggestion_noted", ticket)
    else:
        ctx.say("opened_direct" if ctx.direct else "opened", ticket)


def _ask(ctx: Context, ticket: Ticket, options: list[str]) -> None:
    """Remember the question: the answer refines the ticket; no answer holds nothing back."""
    ctx.session.add(
        Question(
            channel=ctx.message.channel, chat=ctx.message.chat, sender=ctx.message.sender, ticket=ticket.id or 0,
            about="place", options=options, asked_at=ctx.message.sent_at,
        )
    )  # fmt: skip


def _burst(ctx: Context) -> bool:
    """The sender was answered here a moment ago: one answer for a burst (an urgent matter is always answered)."""
    if ctx.is_urgent():
        return False
    m = ctx.message
    since = m.sent_at - timedelta(minutes=ctx.decisions.burst_minutes)
    last = ctx.session.scalars(
        sa.select(col(Ticket.id)).where(
            col(Ticket.channel) == m.channel, col(Ticket.chat) == m.chat, col(Ticket.reporter) == m.sender,
            col(Ticket.opened_at) > since, col(Ticket.opened_at) < m.sent_at, col(Ticket.quiet).is_(False),
        )
    ).first()  # fmt: skip
    return last is not None and not ctx.direct


def _recurrence(ctx: Context, matter: Matter, placement: Placement) -> Ticket | None:
    """A matter of the same kind at the same place that ended a short while ago: a new breakdown, said to be one."""
    if placement.place is None:
        return None
    since = ctx.message.sent_at - timedelta(days=ctx.decisions.reopen_hint_days)
    return ctx.session.scalars(
        sa.select(Ticket)
        .where(col(Ticket.place) == placement.place, col(Ticket.category) == matter.category)
        .where(col(Ticket.status).in_([Status.RESOLVED, Status.CLOSED]), col(Ticket.opened_at) > since)
        .order_by(sa.desc(col(Ticket.opened_at)))
        .limit(1)
    ).first()


def _belongs(ctx: Context, best: Linked, placement: Placement, media: list[Incoming]) -> str:
    u, ticket = ctx.understanding, best.ticket
    likeliest = max(("report", *BELONGING), key=lambda name: u.intents.get(name, 0.0))
    role = _role(ctx, likeliest, own=best.own)
    for earlier in media:
        keep(ctx, ticket, earlier, "detail")
    added = attach(ctx, ticket, role, placement)
    if added is None:
        return role
    if ticket.quiet and role in ("join", "report", "relay"):
        ticket.quiet = False  # two people say so: no doubt any more
        ctx.session.add(ticket)
        if _may_speak(ctx):
            ctx.say("opened", ticket)
    elif added.moved and (role == "correct" or ctx.known.question is not None):
        ctx.say("corrected" if role == "correct" else "placed", ticket)
    elif added.joined and not ticket.sensitive and ticket.status in OPEN and _may_speak(ctx):
        ctx.say("joined", ticket, people=ctx.supporters(ticket))
    return role


def _role(ctx: Context, likeliest: str, *, own: bool) -> str:
    """What the message is to the ticket: the reporter's own further words are details, a neighbour's are a joining."""
    if likeliest == "correct":
        return "correct" if own else "detail"
    if own:
        return "detail"
    if likeliest == "relay" or (likeliest == "report" and ctx.is_leader):
        return "relay"
    return "join" if likeliest in ("join", "report") else "detail"


def _latest_own(ctx: Context, *, minutes: float) -> Ticket | None:
    """The ticket to which the sender said something here within the last `minutes`."""
    m = ctx.message
    row = ctx.session.scalars(
        sa.select(TicketMessage)
        .where(
            col(TicketMessage.channel) == m.channel,
            col(TicketMessage.chat) == m.chat,
            col(TicketMessage.sender) == m.sender,
        )
        .where(col(TicketMessage.sent_at) >= m.sent_at - timedelta(minutes=minutes))
        .order_by(sa.desc(col(TicketMessage.sent_at)), sa.desc(col(TicketMessage.id)))
        .limit(1)
    ).first()
    return ctx.session.get(Ticket, row.ticket) if row else None
