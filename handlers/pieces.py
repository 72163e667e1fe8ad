"""A matter told in half sentences: 又堆到俺窗户底下来了, and then 27号楼西头 桶在五米外. No message says it alone, all
do together."""

from dataclasses import replace

import sqlalchemy as sa
from sqlmodel import col

from handlers.context import Context
from handlers.matters import HALF_SENTENCE, RECALLED, SILENT
from handlers.router import Found
from models import inbox
from models.inbox import Inbox
from models.message import Kind
from models.ticket import TicketMessage
from nlu.features import LONGEST
from nlu.types import MATTER, Understanding, Utterance

MOST = 2  # messages before this one
HALVES = (*MATTER, "chatter")  # what a half sentence may look like


def told_as_one(ctx: Context) -> Found | None:
    """A filter: what this message and those that its sender wrote here just before mean as one, where that is a report.
    Hands over `whole`, its `words`, and the `rows` of the earlier ones."""
    heard = ctx.known.heard.context
    short = heard.pause is not None and heard.pause * 60 <= HALF_SENTENCE.total_seconds()
    if not short or ctx.again is None or ctx.is_worker or ctx.understanding.intent not in HALVES:
        return None
    rows = _before(ctx)
    if not rows:
        return None
    words = " ".join([*(inbox.read(row).words for row in rows), ctx.message.words])
    if len(words) > LONGEST:
        return None  # an article and 看看这个 are no half sentences
    # As if said at once: nothing is known of what stood before the first of them. What she has told of, was asked and
    # quotes is the same.
    begun = replace(heard, pause=None, before=None, before_kind="", before_asks=False, echo=0.0, echoes=0.0)
    whole = ctx.again(Utterance(words, begun))
    return {"whole": whole, "words": words, "rows": rows} if _is_report(ctx, whole) else None


def _is_report(ctx: Context, whole: Understanding) -> bool:
    alone, ctx.understanding = ctx.understanding, whole
    try:
        return whole.intent == "report" and whole.p("report") >= ctx.least
    finally:
        ctx.understanding = alone


def _before(ctx: Context) -> list[Inbox]:
    """What the sender wrote here just before and nobody made anything of, oldest first."""
    m = ctx.message
    kept = sa.exists().where(
        col(TicketMessage.channel) == m.channel, col(TicketMessage.chat) == m.chat,
        col(TicketMessage.message) == col(Inbox.message),
    )  # fmt: skip
    found = ctx.session.scalars(
        sa.select(Inbox)
        .where(col(Inbox.channel) == m.channel, col(Inbox.chat) == m.chat, col(Inbox.sender) == m.sender)
        .where(col(Inbox.finished_at).is_not(None), col(Inbox.kind) == Kind.TEXT.value, ~kept)
        .where(col(Inbox.sent_at) >= m.sent_at - MOST * HALF_SENTENCE, col(Inbox.sent_at) <= m.sent_at)
        .where(col(Inbox.outcome) != RECALLED)
        .order_by(sa.desc(col(Inbox.id)))
        .limit(MOST)
    )
    rows: list[Inbox] = []
    after = m.sent_at
    for row in found:
        if row.outcome != SILENT or after - row.sent_at > HALF_SENTENCE:
            break
        rows.insert(0, row)
        after = row.sent_at
    return rows
