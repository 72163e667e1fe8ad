"""What residents tell: reports, and everything that belongs to one."""

import re
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from handlers.asking import asked, remember, say_placed, sentence
from handlers.assembly import Linked, in_window, rank, same_matter
from handlers.context import Context
from handlers.feedback import give_back, unhappy
from handlers.filters import QUESTION, kind, wordless
from handlers.matters import attach, forget, held_media, keep, open_ticket, tell_again, words_before
from handlers.past import HELD
from handlers.pieces import told_as_one
from handlers.place import CHAT, SAID, Placement, locate
from handlers.router import Router
from handlers.suggest import suggest
from handlers.there import done_elsewhere, where_told
from handlers.voices import ask_to_type
from handlers.workflow import Actor, may, move, record
from models import inbox
from models.inbox import Inbox
from models.message import Incoming, Kind
from models.ticket import OPEN, Status, Ticket, TicketMessage
from models.voices import heard_id
from nlu.types import Matter, Understanding

intake = Router("intake")
BELONGING = ("detail", "join", "correct", "relay")
PICTURES = (Kind.IMAGE, Kind.VIDEO)
TAKE_BACK_MINUTES = 180
LATEST = 20  # rows
SEVERAL, EVERY = 3, 10
POINTS = re.compile(r"处理|解决|反映|登记|安排|跟进|派人|(?:记|报|看|管|修|弄)(?:一下|一哈|下|个)")


@intake.on(kind(Kind.RECALL))
def recalled(ctx: Context) -> str:
    """A message was taken back: its words are forgotten, and the matter it opened goes with it, if nobody else told
    of it."""
    m = ctx.message
    taken = (m.recalls or "", heard_id(m.recalls or ""))  # what was heard in a voice goes with it
    for message in taken:
        forget(ctx, message)
    rows = ctx.session.scalars(
        sa.select(TicketMessage)
        .where(col(TicketMessage.channel) == m.channel, col(TicketMessage.chat) == m.chat)
        .where(col(TicketMessage.message).in_(taken), col(TicketMessage.sender) == m.sender)
    ).all()
    for row in rows:
        ticket = ctx.session.get_one(Ticket, row.ticket)
        keep(ctx, ticket, m, "withdraw")
        row.text = ""
        ticket.evidence = [line for line in ticket.evidence if not line.startswith(SAID)]
        ctx.session.add_all([row, ticket])
        ctx.session.flush()
        tell_again(ctx, ticket)
        if row.role == "report" and ctx.supporters(ticket) <= 1 and may(ticket, Status.WITHDRAWN, Actor.REPORTER):
            _withdraw(ctx, ticket, say=False)
    return "withdraw" if rows else "silent"


@intake.on(wordless)
def without_words(ctx: Context) -> str:
    """A picture, voice, video or pin alone: it belongs to what its sender just said, or waits for what comes next."""
    m = ctx.message
    placement = locate(ctx.town, ctx.where())
    minutes = ctx.decisions.photo_minutes
    ticket = _shown(ctx, minutes=minutes) if m.kind in PICTURES else _latest_own(ctx, minutes=minutes)
    quoted = next((linked for linked in rank(ctx, None, placement) if linked.named), None)
    if m.quote and quoted:
        ticket = quoted.ticket
    if ticket is not None and ticket.status not in (Status.WITHDRAWN, Status.CLOSED):
        attach(ctx, ticket, "detail", placement if m.kind == Kind.LOCATION else Placement(None, None))
        return "detail"
    heard = ctx.hears and any(media.path or media.platform_id for media in m.media)
    if m.kind == Kind.VOICE and ctx.direct and not heard:
        ask_to_type(ctx, m, direct=True)  # in a group she is given the time to type by herself (`bot.scheduler`)
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
    others = ctx.supporters(ticket) - (1 if ctx.supports(ticket) else 0)
    if ctx.reported(ticket) and others == 0:
        _withdraw(ctx, ticket, say=True)
        return "withdraw"
    ctx.leave(ticket)  # she is out of it, the others are not
    record(ctx.session, ticket, "left", ctx.who, ctx.now)
    if not ticket.quiet:
        ctx.say("withdrawn_partly", ticket)
    return "withdraw"


def _withdraw(ctx: Context, ticket: Ticket, *, say: bool) -> None:
    ctx.alert_worker(ticket, "alert_withdrawn", "withdrawn")
    move(ctx.session, ticket, Status.WITHDRAWN, Actor.REPORTER, ctx.who, ctx.now)
    if say and not ticket.quiet:
        ctx.say("withdrawn", ticket)


@intake.on(lambda ctx: ctx.known.quoted_message is not None and bool(POINTS.search(ctx.message.text)))
def pointed_to(ctx: Context) -> str:
    """Somebody points the bot to what another one said: "@邻声 这个麻烦处理一下" is a report in the other's words."""
    quoted = ctx.known.quoted_message
    matter = ctx.understanding.matters[0]
    return open_matter(ctx, matter, locate(ctx.town, ctx.where()), [quoted] if quoted else [])


@intake.on(lambda ctx: ctx.understanding.p("report", *BELONGING) >= ctx.least)
def told(ctx: Context) -> str | None:
    """Something that somebody must deal with, or that belongs to such a thing."""
    return _each(ctx)


@intake.on(told_as_one)
def told_in_pieces(ctx: Context, whole: Understanding, words: str, rows: Sequence[Inbox]) -> str | None:
    """Something that several messages say together."""
    ctx.understanding, ctx.joined = whole, words
    outcome = _each(ctx, [inbox.read(row) for row in rows])
    if outcome is not None:
        for row in rows:
            row.outcome = "detail"
            ctx.session.add(row)
    return outcome


def _each(ctx: Context, pieces: Sequence[Incoming] = ()) -> str | None:
    """What is done about all matters of a message. pieces: messages before it that are understood with it."""
    matters = ctx.understanding.matters
    outcomes: list[str | None] = []
    there: Placement | None = None
    for matter in matters:
        outcome, there = _one(ctx, matter, there, first=not outcomes, several=len(matters) > 1, pieces=pieces)
        outcomes.append(outcome)
    return next((outcome for outcome in outcomes if outcome), None)


def _one(
    ctx: Context, matter: Matter, there: Placement | None, *, first: bool, several: bool, pieces: Sequence[Incoming]
) -> tuple[str | None, Placement]:  # fmt: skip
    """What is done about one matter of a message, and where it is. there: where the one before it is."""
    u, rules = ctx.understanding, ctx.decisions
    report, belongs = u.p("report"), u.p(*BELONGING)
    media = held_media(ctx) if first and report + belongs >= rules.belongs else []
    media = [*media, *pieces]
    pin = next((m for m in media if m.lon is not None), None)
    placement = where_told(ctx, matter, there, several=several, pin=pin)
    if first and ctx.known.quoted_message:
        media = [*media, ctx.known.quoted_message]
    if placement.weight <= CHAT and report >= ctx.least and not pieces and (said := words_before(ctx)):
        placement = locate(ctx.town, said[0])
        media = [*media, said[1]]
    ranked = [linked for linked in rank(ctx, matter, placement) if _may_belong(ctx, linked, placement)]
    best = ranked[0] if ranked else None
    if report >= belongs or several:
        known = None if several else same_matter(ctx, matter, ranked)
        if known is None and report >= ctx.least:
            return open_matter(ctx, matter, placement, media, more=several, ranked=ranked), placement
        best = known or best
    if best is not None and best.points >= rules.link.enough and report + belongs >= rules.belongs:
        if placement.weight > CHAT and not several:
            placement = locate(ctx.town, ctx.where(pin=pin, kind=best.ticket.category))
        return _belongs(ctx, best, placement, media), placement
    if report >= ctx.least or _orphan(ctx, matter, placement):
        return open_matter(ctx, matter, placement, media, more=several, ranked=ranked), placement
    return None, placement


def _may_belong(ctx: Context, linked: Linked, placement: Placement) -> bool:
    """What was taken back, closed or found to be none is over: further words are about something new. So they are where
    it was done, and they name another place."""
    ticket = linked.ticket
    lives = ticket.status in (*OPEN, Status.RESOLVED)
    return lives and (linked.named or not done_elsewhere(ctx.town, ticket, placement))


def _orphan(ctx: Context, matter: Matter, placement: Placement) -> bool:
    """A neighbour's 我们6幢也是, a leader's relay, what sounds like a detail, and belongs to no ticket there is: one of
    its own, if its words say what and where."""
    told = ctx.understanding.p("report", "join", "relay", "detail")
    says = placement.weight > CHAT and matter.categories[0][1] >= ctx.decisions.category
    return says and told >= ctx.decisions.orphan and not ctx.is_worker


def open_matter(
    ctx: Context, matter: Matter, placement: Placement, media: list[Incoming], *, more: bool = False,
    ranked: Sequence[Linked] = (),
) -> str:  # fmt: skip
    """A ticket for this matter, and the answer to who told of it.

    more: the message told of another one before. ranked: the tickets it was not sure enough to belong to; staff hear of
    the likeliest.
    """
    urgent, sensitive = ctx.is_urgent(matter), ctx.is_sensitive(matter)
    quiet = not ctx.no_chatter and not ctx.to_bot and not urgent
    before = _recurrence(ctx, matter, placement)
    ticket = open_ticket(ctx, matter, placement, media, quiet=quiet, urgent=urgent, sensitive=sensitive)
    suggest(ctx, ticket, [linked for linked in ranked if in_window(ctx.decisions, ctx, linked.ticket)])
    if quiet:
        return "report"
    if sensitive and not ctx.direct:
        # A word in private disturbs nobody; in the group only that it was heard, and only when that is sure.
        if not ctx.whisper("opened_urgent_private" if urgent else "opened_direct", ticket) and _may_speak(ctx):
            ctx.say("opened_quietly")
    elif _may_speak(ctx) and (more or not _burst(ctx)):
        _answer(ctx, ticket, placement, before, more=more)
    return "report"


def _may_speak(ctx: Context) -> bool:
    """Sure enough to say something in front of everybody; who speaks to the bot always gets an answer."""
    rules, u = ctx.decisions, ctx.understanding
    if ctx.to_bot:
        return True
    mass = u.p("report", *BELONGING)
    if ctx.is_urgent():
        return mass >= rules.speak_urgent
    return u.credible["chatter"] <= rules.errors.spoken if u.credible else mass >= rules.speak


def _answer(ctx: Context, ticket: Ticket, placement: Placement, before: Ticket | None, *, more: bool) -> None:
    m = ctx.message
    if (question := asked(ticket, placement)) is not None:
        name = sentence(ctx, question, m.channel, m.chat, m.sender, at=m.sent_at)
        ctx.say(name, ticket, more=more, options=question.names(ctx))
        remember(ctx, ticket, question, m.channel, m.chat, m.sender, at=m.sent_at)
    elif ticket.urgent:
        ctx.say("opened_urgent", ticket, more=more)
    elif before is not None:
        ctx.say("recurred", ticket, more=more, before=before.number)
    elif ticket.category.startswith("suggestion"):
        ctx.say("suggestion_noted", ticket, more=more)
    else:
        ctx.say("opened_direct" if ctx.direct else "opened", ticket, more=more)


def _burst(ctx: Context) -> bool:
    """The sender was answered here a moment ago: one answer for a burst. Whoever speaks to the bot, and what is urgent,
    is always answered."""
    if ctx.is_urgent() or ctx.to_bot:
        return False
    m = ctx.message
    since = m.sent_at - timedelta(minutes=ctx.decisions.burst_minutes)
    last = ctx.session.scalars(
        sa.select(col(Ticket.id)).where(
            col(Ticket.channel) == m.channel, col(Ticket.chat) == m.chat, col(Ticket.reporter) == m.sender,
            col(Ticket.opened_at) > since, col(Ticket.opened_at) < m.sent_at, col(Ticket.quiet).is_(False),
        )
    ).first()  # fmt: skip
    return last is not None


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
        if keep(ctx, ticket, earlier, "detail") and earlier.words:
            ticket.summary = f"{ticket.summary}\n{earlier.words}"[:2000]
    again = likeliest in ("report", "join") or ctx.is_urgent() or unhappy(ctx.message.text)
    if ticket.status == Status.RESOLVED and again:
        give_back(ctx, ticket, placement)  # told again after it was done: it was not
        return "refuse"
    added = attach(ctx, ticket, role, placement)
    if added is None:
        return role
    people = ctx.supporters(ticket) if added.joined else 0
    if ticket.quiet and role in ("join", "report", "relay"):
        ticket.quiet = False  # two people say so: no doubt any more
        ctx.session.add(ticket)
        if _may_speak(ctx):
            ctx.say("opened", ticket)
    elif (added.moved and role == "correct") or added.answered:
        say_placed(ctx, ticket, added.others, name="corrected" if role == "correct" else "placed")
    elif people and not ticket.sensitive and ticket.status in OPEN and _may_speak(ctx) and _worth_saying(ctx, people):
        ctx.say("joined", ticket, people=people)
    elif ctx.to_bot and (not ctx.direct or ctx.message.channel != ticket.channel):
        ctx.say("status" if QUESTION.search(ctx.message.text) else "noted", ticket)
    return role


def _worth_saying(ctx: Context, people: int) -> bool:
    """Neighbours who join are counted, not announced one by one: a line when it is clear that several are hit, and
    then now and again. Who speaks to the bot is answered."""
    return ctx.to_bot or people == SEVERAL or people % EVERY == 0


def _role(ctx: Context, likeliest: str, *, own: bool) -> str:
    """What the message is to the ticket: the reporter's own further words are details, a neighbour's are a joining."""
    if likeliest == "correct":
        return "correct" if own else "detail"
    if own:
        return "detail"
    if likeliest == "relay" or (likeliest == "report" and ctx.is_leader):
        return "relay"
    return "join" if likeliest in ("join", "report") else "detail"


def _shown(ctx: Context, *, minutes: float) -> Ticket | None:
    """Of which matter a picture without words is. When what its sender said before told of several, the first picture
    shows the first of them, the next one the next."""
    rows = _own_rows(ctx, minutes=minutes, limit=LATEST)
    if not rows:
        return None
    ticket = rows[0].ticket
    told = next((row.message for row in rows if row.kind not in PICTURES), None)
    matters = sorted((row for row in rows if row.message == told), key=lambda row: row.id or 0)
    if ticket in {row.ticket for row in matters}:
        before = len({row.message for row in rows[: rows.index(matters[-1])]})
        ticket = matters[min(before, len(matters) - 1)].ticket
    return ctx.session.get(Ticket, ticket)


def _latest_own(ctx: Context, *, minutes: float) -> Ticket | None:
    """The ticket to which the sender said something here within the last `minutes`."""
    row = next(iter(_own_rows(ctx, minutes=minutes, limit=1)), None)
    return ctx.session.get(Ticket, row.ticket) if row else None


def _own_rows(ctx: Context, *, minutes: float, limit: int) -> Sequence[TicketMessage]:
    """What the sender said here within the last `minutes` that belongs to tickets, the latest first."""
    m = ctx.message
    return ctx.session.scalars(
        sa.select(TicketMessage)
        .where(
            col(TicketMessage.channel) == m.channel,
            col(TicketMessage.chat) == m.chat,
            col(TicketMessage.sender) == m.sender,
        )
        .where(col(TicketMessage.sent_at) >= m.sent_at - timedelta(minutes=minutes))
        .order_by(sa.desc(col(TicketMessage.sent_at)), sa.desc(col(TicketMessage.id)))
        .limit(limit)
    ).all()
