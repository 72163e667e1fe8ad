"""Opening a ticket, and adding a message to one: what all handlers of residents' words share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from handlers import dispatch
from handlers.asking import answered_for
from handlers.context import Context
from handlers.desk import Desk, tier_of
from handlers.kinds import first_votes, refine
from handlers.past import HELD
from handlers.place import CHAT, Placement, Where
from handlers.reading import CALMED, reading
from handlers.town import Town
from handlers.workflow import record
from models import correction, inbox, sample
from models.inbox import Inbox
from models.insert import insert_new
from models.message import Incoming, Kind
from models.ticket import Attachment, Status, Ticket, TicketMessage
from nlu.features import LONGEST, places
from nlu.lessons import context_of
from nlu.normalize import normalize
from nlu.types import Matter, Utterance

# Messages in these roles are what a matter is made of; a status question or a rating only belongs to its history.
MADE_OF = ("report", "detail", "join", "correct", "withdraw", "refuse", "relay")
SILENT = "silent"
RECALLED = "recalled"
THREAD = 4  # messages at the beginning of a matter, in which it comes out how bad it is
BEFORE = re.compile(r"[\s，,。]*(?:位置|地点)?(?:就)?(?:是)?(?:[^\s，,。]{0,5}住)?(?:在)?")
BEHIND = re.compile(
    r"那[儿里边块头]|这[儿里边块头]|门口|旁边|边上|跟前|附近|对[面门]|[前后里外]面|[里后前]头|楼下|拐角|[\s，,。]|$"
)
HALF_SENTENCE = timedelta(minutes=3)
SHORT = {Kind.IMAGE: "image", Kind.VOICE: "voice", Kind.VIDEO: "video", Kind.LOCATION: "location"}


def held_media(ctx: Context) -> list[Incoming]:
    """Pictures, voices and pins that the sender posted here just before and that belong to nothing yet."""
    m = ctx.message
    if not ctx.known.photo:
        return []
    rows = ctx.session.scalars(
        sa.select(Inbox)
        .where(col(Inbox.channel) == m.channel, col(Inbox.chat) == m.chat, col(Inbox.sender) == m.sender)
        .where(col(Inbox.outcome) == HELD, col(Inbox.finished_at).is_not(None))
        .where(
            col(Inbox.sent_at) >= m.sent_at - timedelta(minutes=ctx.decisions.photo_minutes),
            col(Inbox.sent_at) <= m.sent_at,
        )
    ).all()
    for row in rows:
        row.outcome = "detail"
        ctx.session.add(row)
    return [inbox.read(row) for row in rows]


def words_before(ctx: Context) -> tuple[Where, Incoming] | None:
    """A place that the sender said alone just before: "就西院正门进来左手", and only then what is wrong there."""
    m = ctx.message
    row = ctx.session.scalars(
        sa.select(Inbox)
        .where(col(Inbox.channel) == m.channel, col(Inbox.chat) == m.chat, col(Inbox.sender) == m.sender)
        .where(col(Inbox.finished_at).is_not(None), col(Inbox.outcome) == SILENT, col(Inbox.kind) == Kind.TEXT.value)
        .where(col(Inbox.sent_at) >= m.sent_at - HALF_SENTENCE, col(Inbox.sent_at) <= m.sent_at)
        .order_by(sa.desc(col(Inbox.id)))
        .limit(1)
    ).first()
    if row is None:
        return None
    earlier = inbox.read(row)
    spans = tuple(places(normalize(earlier.text), ctx.town.names))
    if not spans:
        return None
    row.outcome = "detail"
    ctx.session.add(row)
    home = ctx.person.home if ctx.person else None
    return Where(text=earlier.text, spans=spans, home=home, chat_grid=ctx.grid), earlier


def open_ticket(
    ctx: Context,
    matter: Matter,
    placement: Placement,
    media: Sequence[Incoming],
    *,
    quiet: bool,
    urgent: bool,
    sensitive: bool,
) -> Ticket:
    """One matter, one ticket: with its history, its deadline, its worker and her alert.

    media: messages before this one that belong to it. quiet: nobody is answered, the worker is asked to look.
    """
    m = ctx.message
    ticket = Ticket(
        status=Status.REPORTED, category=matter.category, tier=tier_of(matter.category), urgent=urgent,
        sensitive=sensitive, quiet=quiet, confidence=ctx.understanding.p("report"), channel=m.channel, chat=m.chat,
        reporter=m.sender, opened_at=m.sent_at, last_message_at=m.sent_at, summary=matter.text.strip(),
        reading=reading(ctx.understanding, matter, ctx.known.heard.context)
        | {"kinds": list(matter.likely(ctx.decisions.errors.leaf)), "votes": first_votes(matter.categories)},
    )  # fmt: skip
    ctx.place_ticket(ticket, placement)
    ctx.session.flush()
    for earlier in media:
        keep(ctx, ticket, earlier, "detail")
    keep(ctx, ticket, m, "report")
    ctx.support(ticket, m.channel, m.chat, m.sender)
    record(ctx.session, ticket, "opened", ctx.who, ctx.now, f"{ctx.understanding.engine} {matter.category}")
    ctx.schedule(ticket, m.sent_at)
    ctx.session.flush()
    ctx.assign(ticket, dispatch.responsible(ctx.town, ticket.grid, ctx.now))
    return ticket


def keep(ctx: Context, ticket: Ticket, m: Incoming, role: str) -> bool:
    """Add a message to a ticket, with its pictures and pin. False when it is there already."""
    row = {
        "ticket": ticket.id, "channel": m.channel, "chat": m.chat, "message": m.id, "sender": m.sender,
        "kind": m.kind.value, "role": role, "text": m.words, "sent_at": m.sent_at,
    }  # fmt: skip
    if not insert_new(ctx.session, TicketMessage, [row], ["ticket", "channel", "chat", "message"]):
        return False
    for media in m.media or ([None] if m.kind == Kind.LOCATION else []):
        ctx.session.add(
            Attachment(
                ticket=ticket.id or 0, message=m.id, kind=SHORT.get(m.kind, "file"),
                lon=m.lon, lat=m.lat, label=m.label,
                name=media.name if media else "", path=media.path if media else "",
                platform_id=media.platform_id if media else "", added_at=ctx.now,
            )
        )  # fmt: skip
    return True


@dataclass(frozen=True, slots=True)
class Attached:
    """What a message did to the ticket it was added to. joined: one more person tells of it. moved: another place.
    answered: it answers what the bot had asked. others: for these tickets, too."""

    joined: bool = False
    moved: bool = False
    answered: bool = False
    others: tuple[Ticket, ...] = ()


def attach(
    ctx: Context, ticket: Ticket, role: str, placement: Placement, *, only_where: bool = False
) -> Attached | None:  # fmt: skip
    """The message belongs to `ticket`: keep it, count who said it, let it say where and how bad. None if it was there.
    only_where: it answers where, and says nothing of the kind (6幢 alone looks like some kind or other).

    The worker is told what is new. A matter that becomes urgent is hurried; its deadline never moves back.
    """
    m, before = ctx.message, ticket.place
    if not keep(ctx, ticket, m, role):
        return None
    ticket.last_message_at = max(ticket.last_message_at, m.sent_at)
    own = ctx.reported(ticket)
    if own and m.channel != ticket.channel and role in MADE_OF:
        ctx.support(ticket, m.channel, m.chat, m.sender)  # she hears of it here, too
    joined = role in ("join", "relay", "report") and not own and ctx.support(ticket, m.channel, m.chat, m.sender)
    moved = settle_place(ctx, ticket, role, placement)
    if m.words and not only_where and role in ("detail", "join", "relay"):
        refine(ctx, ticket, own=own)
    if m.words and role in MADE_OF:
        ticket.summary = f"{ticket.summary}\n{m.words}"[:2000]
    record(ctx.session, ticket, role, ctx.who, ctx.now, ticket.place or "" if moved else "")
    if ctx.is_sensitive() and role in MADE_OF and own:
        ticket.sensitive = True
    ctx.session.add(ticket)
    if ticket.is_open and not ticket.urgent and role in ("report", "detail", "join") and _urgent(ctx, ticket):
        ticket.urgent = True
        ctx.hurry(ticket)
        record(ctx.session, ticket, "urgent", "system", ctx.now)
        ctx.assign(ticket, dispatch.responsible(ctx.town, ticket.grid, ctx.now), name="alert_urgent")
    elif moved and not _still_there(ctx, ticket):
        ctx.alert_worker(ticket, "alert_taken", "moved to another grid")
        ctx.assign(ticket, dispatch.responsible(ctx.town, ticket.grid, ctx.now))
    elif (moved or joined or role == "correct") and m.words:
        ctx.news(ticket, "alert_more", role, words=m.words)
    asked = answered_for(ctx, ticket) if moved or _same_place(ticket, placement) else ()
    others = tuple(one for one in asked if one is not ticket and one.is_open and one.place == before)
    for other in others:
        attach(ctx, other, role, placement, only_where=True)
    return Attached(joined, moved, bool(asked), others)


def _urgent(ctx: Context, ticket: Ticket) -> bool:
    return ctx.understanding.p("report", "join", "detail") > 0.5 and (ctx.is_urgent() or _together(ctx, ticket))


def _together(ctx: Context, ticket: Ticket) -> bool:
    """电梯停在8楼不动, and then 里头有小孩喊奶奶: what leaves it open alone may not do so together."""
    if ctx.again is None or not ctx.message.words or ticket.reading.get(CALMED):
        return False
    told = sa.select(col(TicketMessage.text)).where(
        col(TicketMessage.ticket) == ticket.id, col(TicketMessage.role).in_(MADE_OF), col(TicketMessage.text) != ""
    )
    said = ctx.session.scalars(told.order_by(col(TicketMessage.id)).limit(THREAD + 1)).all()
    if not 1 < len(said) <= THREAD:
        return False
    words = " ".join(text[: LONGEST // THREAD] for text in said)  # a long one leaves room for what comes behind it
    alone = max(ctx.understanding.urgent, float(ticket.reading.get("urgent", 0.0)))
    together = ctx.again(Utterance(words, context_of(ticket.reading.get("context", {})))).urgent
    return 1 - (1 - alone) * (1 - together) >= ctx.decisions.urgent_together


def _still_there(ctx: Context, ticket: Ticket) -> bool:
    """The worker is still the one who is responsible at the ticket's grid."""
    there = dispatch.responsible(ctx.town, ticket.grid, ctx.now)
    return ticket.is_open is False or there is None or there.person == ticket.worker or ticket.status == Status.ACCEPTED


def _same_place(ticket: Ticket, found: Placement) -> bool:
    return found.place is not None and found.place == ticket.place and found.weight > CHAT


def forget(ctx: Context, message: str) -> None:
    """A message that was taken back: its words, pictures and pin are gone, and no report that follows picks it up."""
    m = ctx.message
    row = inbox.find(ctx.session, m.channel, m.chat, message)
    if row is None or row.sender != m.sender:
        return
    correction.take_back(ctx.session, m.channel, m.chat, message)
    sample.take_back(ctx.session, m.channel, m.chat, message)
    row.payload = inbox.read(row).emptied.model_dump_json(exclude_defaults=True)
    row.outcome = RECALLED if row.outcome in (HELD, SILENT) else row.outcome
    ctx.session.add(row)
    mine = sa.select(col(TicketMessage.ticket)).where(
        col(TicketMessage.channel) == m.channel,
        col(TicketMessage.chat) == m.chat,
        col(TicketMessage.message) == message,
    )
    ctx.session.connection().execute(
        sa.delete(Attachment).where(col(Attachment.message) == message, col(Attachment.ticket).in_(mine))
    )


def tell_again(desk: Desk, ticket: Ticket) -> None:
    """The ticket's words, from the messages that still have any."""
    rows = desk.session.scalars(
        sa.select(col(TicketMessage.text))
        .where(col(TicketMessage.ticket) == ticket.id, col(TicketMessage.role).in_(MADE_OF))
        .order_by(col(TicketMessage.id))
    )
    ticket.summary = "\n".join(filter(None, rows))[:2000]
    desk.session.add(ticket)


def settle_place(ctx: Context, ticket: Ticket, role: str, found: Placement) -> bool:
    """Let a further message move the ticket: to a finer place, to a corrected one, or to what holds both."""
    town = ctx.town
    if found.weight <= CHAT or found.grid is None or found.place in found.denied:
        return False  # 不是3幢 says where it is not
    if found.place == ticket.place:
        ticket.spot = ticket.spot or found.spot
        guessed, ticket.from_home = ticket.from_home, ticket.from_home and found.from_home
        return guessed and not ticket.from_home  # the register's guess, and now she has said it herself
    # Whoever says 不是2号库 是1号库 stands before it; and the register only guesses.
    # Who told of it knows where it is, be it far from her home.
    fits = _plausible(town, ticket, found) or (ctx.reported(ticket) and _says_where(ctx))
    better = ticket.from_home and found.place and not found.from_home and fits
    if role == "correct" or ticket.place in found.denied or found.corrects or better:
        ctx.place_ticket(ticket, found)
        return True
    if ticket.place is None:
        if found.place is None or not fits:
            return False
        ctx.place_ticket(ticket, found)
        return True
    if found.place and ticket.place in town.above(found.place) and role == "detail":
        ctx.place_ticket(ticket, found)
        return True
    if role in ("join", "report") and found.place and ticket.category in ctx.decisions.wide:
        shared = next((p for p in town.above(ticket.place) if p in set(town.above(found.place))), None)
        if shared and shared != ticket.place:
            grid = town.common([ticket.grid or found.grid, found.grid])
            wider = Placement(grid, shared, found.weight, evidence=(*found.evidence, "several places"), wide=True)
            ctx.place_ticket(ticket, wider)
            return True
    return False


def _says_where(ctx: Context) -> bool:
    """The words begin with the place and stop there: 就在菜市门口, 他住北院7号楼. Not: 我在菜市门口上班, 物业不在."""
    spans = [span for span in ctx.understanding.spans if span.kind == "location" and span.codes]
    text = ctx.joined or ctx.message.text
    return bool(spans) and bool(BEFORE.fullmatch(text[: spans[0].start]) and BEHIND.match(text[spans[0].end :]))


def _plausible(town: Town, ticket: Ticket, found: Placement) -> bool:
    return town.within(found.grid, ticket.grid) or town.within(ticket.grid, found.grid) or ticket.grid is None
