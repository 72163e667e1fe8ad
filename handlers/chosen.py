"""Which ticket a worker means: named, quoted, the only one in hand, or the one that her words fit."""

import re
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.assembly import among, with_messages
from handlers.context import Context
from handlers.place import locate
from models import outbox as outgoing
from models.outbox import Outbox
from models.ticket import OPEN, Ticket

# Of 接单, 结单, 退单 what follows may be a house: 接单 7 is read by `_bare`, as the number of a ticket.
NUMBER = re.compile(r"(?:ls|(?<![接结退派])单号?|工单)\s?0*(\d{1,9})|(?<!\d)0+(\d{1,6})(?!\d)", re.IGNORECASE)
BARE = re.compile(
    r"^\D{0,6}?(?:(\d{1,9})|(?:(?<=[\s单结派])|^)([一二三四五六七八九十])(?=号|单|$))\s*(?:号单?|单)?\D{0,6}$"
)
COMMAND = re.compile(r"[接结退派]单\s?\d")
HANZI = {numeral: number for number, numeral in enumerate("一二三四五六七八九十", 1)}
MEASURE = re.compile(
    r"[\d一二三四五六七八九十]\s*号?"
    r"(?:幢|栋|楼|单元|层|室|户|门|弄|院|库|网格|件|个|天|点|分|秒|小时|月|日|年|次|人|块|元|米)"
)
AHEAD = 0.5
FAINT = -4.5  # what a ticket has for which nothing speaks
REACH = 300


def meant(ctx: Context) -> tuple[Ticket | None, bool]:
    """The ticket, and whether there is no doubt about it."""
    for match in NUMBER.finditer(ctx.message.text):
        found = ctx.session.get(Ticket, int(match[1] or match[2]))
        if found is not None:
            return found, True
    if ctx.message.quote and (quoted := _quoted(ctx)):
        return quoted, True
    mine, number = in_hand(ctx), _bare(ctx.message.text)
    if bare := next((ticket for ticket in mine if ticket.id == number), None):
        return bare, True
    # As the alert has it, “接单 7”: whoever else writes that means 7, and is told whose it is.
    if number and COMMAND.search(ctx.message.text) and (theirs := ctx.session.get(Ticket, number)):
        return theirs, True
    if len(mine) == 1:
        return mine[0], True
    return _fitting(ctx, mine or _within_reach(ctx))


def _bare(text: str) -> int | None:
    """The number in a few words that hold no other and count or address nothing."""
    match = None if MEASURE.search(text) else BARE.search(text.strip())
    if match is None:
        return None
    return int(match[1]) if match[1] else HANZI[match[2]]


def _fitting(ctx: Context, tickets: Sequence[Ticket]) -> tuple[Ticket | None, bool]:
    """The ticket that kind and place of her words fit best; in doubt where another fits nearly as well."""
    if not tickets:
        return None, False
    matter, placement = ctx.understanding.matters[0], locate(ctx.town, ctx.where())
    ranked = among(ctx, with_messages(ctx, tickets), matter, placement)
    clear = len(ranked) == 1 or ranked[0].points - ranked[1].points > AHEAD
    return ranked[0].ticket, clear and ranked[0].points > FAINT


def _quoted(ctx: Context) -> Ticket | None:
    row = ctx.session.scalars(
        sa.select(Outbox)
        .where(col(Outbox.conversation) == ctx.message.conversation, col(Outbox.platform_id) == ctx.message.quote)
        .limit(1)
    ).first()
    number = outgoing.read(row).ticket if row else None
    return ctx.session.get(Ticket, number) if number else None


def in_hand(ctx: Context) -> Sequence[Ticket]:
    """Her open tickets, urgent ones first."""
    if ctx.person is None:
        return []
    mine = sa.select(Ticket).where(col(Ticket.worker) == ctx.person.code, col(Ticket.status).in_(OPEN))
    return ctx.session.scalars(mine.order_by(sa.desc(col(Ticket.urgent)), col(Ticket.id))).all()


def _within_reach(ctx: Context) -> Sequence[Ticket]:
    """Open tickets of her grids that she may act on although somebody else has them: a department's worker."""
    if ctx.person is None:
        return []
    grids = {code for duty in ctx.town.duties.get(ctx.person.code, ()) for code in ctx.town.around(duty.grid)}
    near = sa.select(Ticket).where(col(Ticket.grid).in_(grids), col(Ticket.status).in_(OPEN))
    tickets = ctx.session.scalars(near.order_by(sa.desc(col(Ticket.id))).limit(REACH)).all()
    person = ctx.person.code
    return [t for t in tickets if dispatch.may_act(ctx.town, person, t.grid, t.worker, t.category)]
