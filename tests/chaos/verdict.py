"""Holds the evidence of a storm against what the house promises. Every broken promise is one sentence."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from bot.channels.render import plain, split
from bot.channels.wechat_mp import NAME, PARTS, TEXT_BYTES
from handlers.texts import say
from models import outbox
from models.database import Database
from models.inbox import Inbox
from models.message import Outgoing, Purpose
from models.outbox import DEAD, SENT, UNCERTAIN, WAITS, Outbox
from models.ticket import Ticket, TicketEvent, TicketMessage
from tests.chaos.storm import Evidence

MAYBE = "【可能重复】\n"  # what the channel itself puts before a repeat


@dataclass(frozen=True)
class Books:
    """The database afterwards."""

    inbox: Sequence[Inbox]
    outbox: Sequence[Outbox]
    tickets: Sequence[Ticket]
    messages: Sequence[TicketMessage]
    opened: Sequence[int]

    @classmethod
    def read(cls, db: Database) -> "Books":
        """All rows."""

        def work(session: Session) -> "Books":
            return cls(
                session.scalars(sa.select(Inbox).order_by(sa.text("id"))).all(),
                session.scalars(sa.select(Outbox).order_by(sa.text("id"))).all(),
                session.scalars(sa.select(Ticket).order_by(sa.text("id"))).all(),
                session.scalars(sa.select(TicketMessage)).all(),
                session.scalars(sa.select(TicketEvent.ticket).where(TicketEvent.what == "opened")).all(),  # type: ignore[call-overload]
            )

        return db.tx(work)


def judge(evidence: Evidence, books: Books) -> list[str]:
    """Everything that is wrong; empty when every promise was kept."""
    return [*handled(evidence, books), *_outbox(evidence, books)]


def handled(evidence: Evidence, books: Books) -> list[str]:
    """What is wrong with what came in and what became of it, whatever the channel."""
    found: list[str] = []
    if not evidence.drained:
        found.append("messages still wait although nothing fails any more")
    found += [f"a process ended with {code}" for code in evidence.exits if code != 0]
    return [*found, *_inbox(evidence, books), *_order(books), *_tickets(evidence, books)]


def summary(evidence: Evidence, books: Books) -> dict[str, object]:
    """Counts that show what kind of a storm it was."""
    marked = sum(say("repeat_prefix") in delivery.text for delivery in evidence.deliveries)
    return {
        "kills": evidence.kills, "stalls": evidence.stalls, "messages": len(evidence.acknowledged),
        "callbacks": evidence.posts, "repeats": evidence.repeats, "unanswered": evidence.unanswered,
        "tickets": len(books.tickets), "taken again": sum(row.attempts > 1 for row in books.inbox),
        "outbox": dict(Counter(row.outcome for row in books.outbox)), "marked repeats": marked,
        "platform": evidence.moods,
    }  # fmt: skip


def _inbox(evidence: Evidence, books: Books) -> Iterator[str]:
    """What was acknowledged is there, once, and handled."""
    rows = defaultdict(list)
    for row in books.inbox:
        rows[row.message].append(row)
    for line in evidence.lines:
        kept = rows.pop(str(line.number), [])
        if line.number in evidence.acknowledged and len(kept) != 1:
            yield f"message {line.number} was acknowledged and is in the inbox {len(kept)} times"
        for row in kept:
            if row.finished_at is None or row.outcome in ("", DEAD):
                yield f"message {line.number} was not handled: {row.outcome!r} {row.error}"
    yield from (f"message {number} is in the inbox and was never sent" for number in rows)


def _order(books: Books) -> Iterator[str]:
    """Inside a conversation messages are handled in the order in which they were accepted."""
    last: dict[str, Inbox] = {}
    for row in books.inbox:
        before = last.get(row.conversation)
        if before and before.finished_at and row.finished_at and row.finished_at < before.finished_at:
            yield f"{row.conversation}: {row.message} was handled before {before.message}"
        last[row.conversation] = row


def _tickets(evidence: Evidence, books: Books) -> Iterator[str]:
    """One ticket for each report, and none besides."""
    opened_by = {row.message: row.ticket for row in books.messages if row.role == "report"}
    reports = {str(line.number): line.user for line in evidence.lines if line.report}
    chats = Counter(ticket.chat for ticket in books.tickets)
    for number, user in reports.items():
        if chats[user] != 1:
            yield f"{user} reported one matter and has {chats[user]} tickets"
        if number not in opened_by:
            yield f"no ticket was opened by message {number}"
    if strangers := set(chats) - set(reports.values()):
        yield f"tickets of nobody's report: {sorted(strangers)}"
    yield from (
        f"ticket {number} was opened {times} times" for number, times in Counter(books.opened).items() if times > 1
    )
    alerted = Counter(row.ticket for row in books.outbox if outbox.read(row).why.startswith("gridworker"))
    yield from (
        f"ticket {ticket.id} alerted its gridworker {alerted[ticket.id]} times"
        for ticket in books.tickets
        if alerted[ticket.id] != 1
    )


def _outbox(evidence: Evidence, books: Books) -> Iterator[str]:
    """Replies at most once; alerts again only when they say so; what is called sent did arrive."""
    prefix = say("repeat_prefix")
    first: Counter[tuple[str, str]] = Counter()
    again: Counter[tuple[str, str]] = Counter()
    for delivery in evidence.deliveries:
        marked = prefix in delivery.text
        text = delivery.text.replace(MAYBE, "").replace(prefix, "")
        (again if marked else first)[(delivery.user, text)] += 1
    rows: dict[tuple[str, str], list[tuple[Outbox, Outgoing]]] = defaultdict(list)
    for row in books.outbox:
        out = outbox.read(row)
        ended = row.finished_at is not None and row.outcome in (SENT, DEAD, UNCERTAIN)
        if not ended and row.outcome != WAITS:  # for a word of hers, and nobody speaks any more
            yield f"outbox {row.id} did not end: {row.outcome!r} {row.error}"
        if out.channel != NAME:
            yield f"outbox {row.id} is for {out.channel}"
        parts = split(plain(out), TEXT_BYTES, PARTS)
        rows[(out.chat, parts[0])].append((row, out))
    for key, those in rows.items():
        yield from _one(key[0], first[key], again[key], those)
    yield from (f"{user} got what stands in no outbox: {text}" for user, text in {*first, *again} - set(rows))


def _one(user: str, first: int, again: int, those: list[tuple[Outbox, Outgoing]]) -> Iterator[str]:
    """first, again: how often the same words reached the same person, unmarked and marked as a repeat."""
    which = f"outbox {[row.id for row, _ in those]} to {user}"
    if first > len(those):
        yield f"{which}: arrived {first} times without a word that it is a repeat"
    if again and all(out.purpose == Purpose.REPLY for _, out in those):
        yield f"{which}: a reply was repeated"
    sent = sum(row.outcome == SENT for row, _ in those)
    if first + again < sent:
        yield f"{which}: said to be sent {sent} times, arrived {first + again} times"
