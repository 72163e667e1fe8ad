"""The loop closes with the resident: a rating ends a matter, 不满意 and 没修好 bring it back (退回重办)."""

import re
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.assembly import rank
from handlers.context import Context
from handlers.filters import intent
from handlers.limits import limits
from handlers.matters import attach, keep
from handlers.place import Placement, locate
from handlers.router import Router
from handlers.there import done_elsewhere
from handlers.workflow import Actor, may, move, record
from models.ticket import OPEN, Status, Supporter, Ticket
from models.whois import hers

feedback = Router("feedback")
# First what sounds unhappy and is not, then every way of being unhappy; only then praise.
CONTENT = re.compile(r"(?:没有?|没什么|没啥)(?:什么|啥)?不满意")
UNHAPPY = re.compile(
    r"不(?:太|是很|是特别|怎么|咋|够|大|是太)?满意|差评|太差|很差|不行|没修好|没弄好|没解决|白修|等于没|糊弄|敷衍|失望|不合格|没人来|"
    r"还(?:是|在)?(?:坏|漏|黑|臭|堵|没|不[亮通响动行])"
)
SO_SO = re.compile(r"一般|还行|凑合|马马虎虎|中评")
STARS = re.compile(r"([1-5一二三四五])\s?颗?星")
POINTS = re.compile(r"(?<!\d)(\d{1,3})\s?分(?!钟)")
# What `resolved` in config/replies.yaml asks people to say.
GIVEN = re.compile(r"(?:非常|很|挺|基本|十分|特别)?(?:不太|不|还算|还)?满意(?!什么|啥|个)|[1-5一二三四五]\s?星")
MENTION = re.compile(r"@\S+\s?")
SHORT_ANSWER = 24
VALUES = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5}
HAPPY, NEUTRAL, SAD = 5, 3, 1


def unhappy(text: str) -> bool:
    """6幢路灯还是不亮: whatever was done, it was not enough."""
    return bool(UNHAPPY.search(text)) and not CONTENT.search(text)


def stars(text: str) -> int:
    """1 to 5 from a resident's words; praise without a number is 5."""
    if found := STARS.search(text):
        return VALUES.get(found[1]) or int(found[1])
    if found := POINTS.search(text):
        points = int(found[1])
        best = 5 if points <= 5 else 10 if points <= 10 else 100
        return max(SAD, min(HAPPY, round(HAPPY * points / best)))
    if unhappy(text):
        return SAD
    return NEUTRAL if SO_SO.search(text) else HAPPY


@feedback.on(intent("refuse"))
def not_settled(ctx: Context) -> str | None:
    """没修好 又坏了: the matter goes back to its worker; without such a matter it is told as a new one."""
    matter = ctx.understanding.matters[0]
    placement = locate(ctx.town, ctx.where())
    ranked = [
        linked
        for linked in rank(ctx, matter, placement)
        if _can_go_back(ctx, linked.ticket) and (linked.named or not done_elsewhere(ctx.town, linked.ticket, placement))
    ]
    best = ranked[0] if ranked else None
    if best is None or best.points < ctx.decisions.link.refused:
        return None
    give_back(ctx, best.ticket, placement)
    return "refuse"


def _can_go_back(ctx: Context, ticket: Ticket) -> bool:
    """Still open, or settled lately enough to be reopened; later it is a new matter."""
    return ticket.status in OPEN or (may(ticket, Status.REOPENED, Actor.REPORTER) and not _too_late(ticket, ctx.now))


def give_back(ctx: Context, ticket: Ticket, placement: Placement) -> None:
    """The message says that the matter is not settled: reopen it, or hurry the one who has it."""
    attach(ctx, ticket, "refuse", placement)
    if may(ticket, Status.REOPENED, Actor.REPORTER) and not _too_late(ticket, ctx.now):
        reopen(ctx, ticket)
    elif ticket.status in OPEN and not ticket.quiet:
        ctx.news(ticket, "alert_again", "not settled", words=ctx.message.words)
        ctx.say("status", ticket)


def _too_late(ticket: Ticket, now: datetime) -> bool:
    return ticket.closed_at is not None and now - ticket.closed_at > limits().reopen_within


def reopen(ctx: Context, ticket: Ticket) -> None:
    """Back to work: a new round of deadlines, the worker alerted, everybody told."""
    record(ctx.session, ticket, "unsatisfied", ctx.who, ctx.now, ctx.message.words)
    move(ctx.session, ticket, Status.REOPENED, Actor.REPORTER, ctx.who, ctx.now)
    ticket.urgent = ticket.urgent or ctx.is_urgent()
    ctx.schedule(ticket, ctx.now, round_=ticket.version)
    ctx.session.flush()
    ctx.say("opened_urgent" if ctx.is_urgent() else "reopened", ticket)
    ctx.tell_supporters(ticket, "reopened", but=(ctx.message.channel, ctx.message.chat))
    worker = ticket.worker
    there = dispatch.responsible(ctx.town, ticket.grid, ctx.now)
    if worker and dispatch.present(ctx.town, worker, ctx.now):
        there = dispatch.Assigned(worker, "reopened")
    name = "alert_urgent" if ctx.is_urgent() else "alert_reopened"
    ctx.assign(ticket, there, name=name, words=ctx.message.words)


def answers_us(ctx: Context) -> bool:
    """The very words the bot asked for, from somebody whose matter was just reported done."""
    words = MENTION.sub("", ctx.message.words).strip()
    if len(words) > SHORT_ANSWER or not GIVEN.match(words):
        return False
    ticket = _to_rate(ctx)
    return ticket is not None and ticket.status == Status.RESOLVED


@feedback.on(lambda ctx: intent("rate")(ctx) or answers_us(ctx))
def rated(ctx: Context) -> str | None:
    """满意 closes the sender's matter that was reported done; 不满意 reopens it; before that it is only noted."""
    ticket = _to_rate(ctx)
    if ticket is None:
        if not ctx.to_bot:
            return None
        ctx.say("status_none")
        return "rate"
    given = stars(ctx.message.words)
    keep(ctx, ticket, ctx.message, "rate")
    if not ctx.supports(ticket):  # a neighbour's opinion is heard, but only who told of the matter closes it
        record(ctx.session, ticket, "rated", ctx.who, ctx.now, f"{given}")
        ctx.say("noted", ticket)
        return "rate"
    if ticket.status not in (Status.RESOLVED, Status.CLOSED):
        record(ctx.session, ticket, "rated", ctx.who, ctx.now, f"{given}")
        ctx.news(ticket, "alert_again", "rated", words=ctx.message.words) if given <= SAD + 1 else None
        ctx.say("rated_open", ticket)
        return "rate"
    ticket.rating = given
    if given <= SAD + 1 and not _too_late(ticket, ctx.now):
        reopen(ctx, ticket)
        return "rate"
    if ticket.status == Status.RESOLVED:
        move(ctx.session, ticket, Status.CLOSED, Actor.REPORTER, ctx.who, ctx.now, note=f"{given}")
    else:
        record(ctx.session, ticket, "rated", ctx.who, ctx.now, f"{given}")
    ctx.session.add(ticket)
    ctx.say("closed", ticket)
    return "rate"


def _to_rate(ctx: Context) -> Ticket | None:
    """The ticket a rating is about: one it quotes or names, else the sender's settled last, else her latest."""
    ranked = rank(ctx, None, Placement(None, None))
    named = next((c.ticket for c in ranked if c.named), None)
    if named is not None:
        return named
    mine = (
        sa.select(Ticket)
        .join(Supporter, col(Supporter.ticket) == col(Ticket.id))
        .where(hers(col(Supporter.channel), col(Supporter.sender), ctx.addresses))
        .where(col(Ticket.status).not_in([Status.WITHDRAWN, Status.DISMISSED, Status.MERGED]))
        .limit(1)
    )
    settled = mine.where(col(Ticket.status) == Status.RESOLVED).order_by(sa.desc(col(Ticket.resolved_at)))
    latest = mine.order_by(sa.desc(col(Ticket.last_message_at)))
    return ctx.session.scalars(settled).first() or ctx.session.scalars(latest).first()
