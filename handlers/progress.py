"""修得怎么样了: where a matter stands."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from handlers.assembly import rank
from handlers.context import Context
from handlers.filters import intent
from handlers.matters import keep
from handlers.place import locate
from handlers.router import Router
from handlers.workflow import record
from models.ticket import OPEN, Ticket, TicketEvent

progress = Router("progress")
NAG_EVERY = timedelta(hours=24)
FAINT = -2.0


def stands(ctx: Context) -> str | None:
    """The status of the sender's own latest matter, for a question in the direct chat that nothing else answers."""
    ranked = rank(ctx, ctx.understanding.matters[0], locate(ctx.town, ctx.where()))
    own = [linked for linked in ranked if linked.own]
    if not ctx.direct or not own:
        return None
    ctx.say("status", own[0].ticket)
    return "status"


@progress.on(intent("status"))
def asked(ctx: Context) -> str | None:
    """Answers with the status of the matter that is meant; passes a private one only to those who told of it.

    The worker hears of it too (催办), at most once a day for each ticket.
    """
    placement = locate(ctx.town, ctx.where())
    ranked = rank(ctx, ctx.understanding.matters[0], placement)
    own = [linked for linked in ranked if linked.own]
    best = max(own, key=lambda linked: linked.points, default=None) or next(iter(ranked), None)
    if best is None or (best.points < FAINT and not best.own):
        if not ctx.to_bot:
            return None
        ctx.say("status_none")
        return "status"
    if not ctx.to_bot and ctx.understanding.p("status") < ctx.decisions.speak:
        return None
    ticket = best.ticket
    if ticket.sensitive and not best.own:
        if ctx.to_bot:
            ctx.say("status_none")
        return "status"
    keep(ctx, ticket, ctx.message, "status")
    ctx.say("status", ticket)
    if ticket.status in OPEN and not _nagged(ctx, ticket):
        record(ctx.session, ticket, "asked", ctx.who, ctx.now)
        ctx.news(ticket, "alert_again", "asked", words=ctx.message.words)
    return "status"


def _nagged(ctx: Context, ticket: Ticket) -> bool:
    recent = sa.select(col(TicketEvent.id)).where(
        col(TicketEvent.ticket) == ticket.id,
        col(TicketEvent.what) == "asked",
        col(TicketEvent.at) > ctx.now - NAG_EVERY,
    )
    return ctx.session.scalars(recent).first() is not None
