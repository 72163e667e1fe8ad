"""删除我的信息, carried out: what somebody said, sent and is called goes; what happened stays (docs/adr/0028).

A ticket keeps its number, category, place down to the building, times, worker and rating. A ticket that is still open
keeps what its worker needs, and the address for the answers, until it has ended; then `settle` does the rest.
"""

import json
import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session, col

from handlers.desk import Desk
from handlers.masking import unnumbered
from handlers.matters import tell_again
from models import inbox, mark, outbox
from models.appcard import AppCard
from models.binding import BindCode
from models.chat import Chat, ChatKind, Question
from models.correction import Correction
from models.fetching import Fetching
from models.inbox import Inbox
from models.insert import insert_new
from models.message import Incoming, Purpose
from models.outbox import Outbox
from models.person import Duty, Identity, Origin, Person
from models.privacy import Erasure, Linkage, Notice, Owed, Remnant, RemnantKind, Wish
from models.sample import Sample
from models.ticket import OPEN, Attachment, Status, Supporter, Ticket, TicketEvent, TicketMessage
from models.webchat import WebMessage
from models.whois import Address, hers

T = TypeVar("T")
ERASED = "erased"
HELD = (*OPEN, Status.RESOLVED)  # somebody has still to act: the worker, or she herself, who is asked to rate
LATER = timedelta(days=1)  # what was under way has arrived by then, and no platform repeats a callback any more
OPINION = "disliked"
WORDY = ("unsatisfied", "note", "resolved", "dismissed", OPINION)  # events whose notes are the words of who did it
SOME = 500
ANSWERS = 12  # the most that one message causes
CARRIED = 4  # the most often that one is handed on: never back to a channel where it was, nor to one that only hands on


def told_by(session: Session, addresses: Collection[Address]) -> list[Ticket]:
    """The tickets that these user ids told of or wrote to, or an answer about which they found wrong, oldest first."""
    of = [
        sa.select(col(table.ticket)).where(hers(col(table.channel), col(table.sender), addresses))
        for table in (Supporter, TicketMessage)
    ]
    actors = [f"{channel}:{user}" for channel, user in addresses]
    by_her = (col(TicketEvent.what) == OPINION, col(TicketEvent.actor).in_(actors))
    of.append(sa.select(col(TicketEvent.ticket)).where(*by_her))
    return list(
        session.scalars(
            sa.select(Ticket).where(sa.or_(*(col(Ticket.id).in_(ids) for ids in of))).order_by(col(Ticket.id))
        )
    )


def erase(desk: Desk, addresses: Sequence[Address], person: Person | None) -> list[Ticket]:
    """Erase what is kept of somebody, over all tables; returns her tickets that go on, whose traces go when they end.

    All in the caller's transaction. What this cannot remove at once is left in `Remnant` for `bot.forgetting`.
    """
    session, now = desk.session, desk.now
    session.flush()
    record = Erasure(at=now)
    session.add(record)
    session.flush()
    number = record.id or 0
    tickets = told_by(session, addresses)
    held = [ticket for ticket in tickets if ticket.status in HELD]
    codes = _codes(session, person)
    for channel, user in addresses:
        rows = _inbox(session, channel, user)
        chats = _private(session, channel, user, rows)
        _messages(desk, number, rows, chats, {ticket.id or 0 for ticket in held})
        record.messages += len(rows)
        for ticket in tickets:
            if ticket in held:
                whose = {"channel": channel, "user": user, "people": codes, "chats": chats}
                row = whose | {"erasure": number, "ticket": ticket.id}
                insert_new(session, Owed, [row], ["ticket", "channel", "user"])  # she may ask twice
            else:
                wipe(desk, ticket, (channel, user), codes, chats, number)
        _queues(session, channel, chats, [ticket.id or 0 for ticket in held])
        for chat in chats:
            session.add(_remnant(desk, number, RemnantKind.USER, user, channel, chat))
        _small(session, channel, user)
    if person is not None:
        _person(desk, codes)
    record.tickets, record.held = len(tickets) - len(held), len(held)
    session.add(record)
    session.flush()
    return held


def settle(desk: Desk, owed: Owed) -> bool:
    """Wipe somebody's traces in a ticket that has ended meanwhile. False while it goes on."""
    ticket = desk.session.get_one(Ticket, owed.ticket)
    if ticket.status in HELD:
        return False
    address = (owed.channel, owed.user)
    if ticket.merged_into is not None:  # it goes on under another number, with copies of all
        again = owed.model_dump(exclude={"id", "ticket"}) | {"ticket": ticket.merged_into}
        insert_new(desk.session, Owed, [again], ["ticket", "channel", "user"])
    wipe(desk, ticket, address, owed.people, owed.chats, owed.erasure)
    _queues(desk.session, owed.channel, owed.chats, [])
    for chat in owed.chats:
        desk.session.add(_remnant(desk, owed.erasure, RemnantKind.USER, owed.user, owed.channel, chat))
    desk.session.delete(owed)
    desk.session.flush()
    return True


def wipe(
    desk: Desk, ticket: Ticket, address: Address, people: Collection[str], chats: Collection[str], erasure: int
) -> None:  # fmt: skip
    """Nothing in an ended ticket says any more who she is, what she wrote and what she showed. Irreversible: the alias
    in place of her user id is drawn for this ticket and kept nowhere else."""
    session, number = desk.session, ticket.id or 0
    channel, user = address
    alias = f"erased-{secrets.token_hex(6)}"
    run = session.connection().execute
    session.flush()
    mine = sa.and_(col(TicketMessage.channel) == channel, col(TicketMessage.sender) == user)
    rows = session.scalars(sa.select(TicketMessage).where(col(TicketMessage.ticket) == number, mine)).all()
    messages = {row.message for row in rows}
    keys = [f"{row.channel}:{row.chat}:{row.message}" for row in rows]
    run(sa.delete(Fetching).where(col(Fetching.dedup_key).in_(keys)))
    _pictures(desk, number, messages, erasure)
    for row in rows:
        row.text, row.sender = "", alias
        row.chat = alias if row.chat in chats else row.chat
        session.add(row)
    for corrected in session.scalars(sa.select(Correction).where(col(Correction.ticket) == number)):
        _unsay(session, corrected, channel, messages, chats, alias)
    actors = [f"{channel}:{user}", *people]
    acted = (col(TicketEvent.ticket) == number, col(TicketEvent.actor).in_(actors))
    run(sa.update(TicketEvent).where(*acted, col(TicketEvent.what).in_(WORDY)).values(note=""))
    run(sa.update(TicketEvent).where(*acted).values(actor=alias))
    hers = (col(Supporter.ticket) == number, col(Supporter.channel) == channel, col(Supporter.sender) == user)
    # The group that she told it in may hear of it; she herself is written to no more.
    chat = sa.case((col(Supporter.chat).in_(list(chats)), ""), else_=col(Supporter.chat))
    run(sa.update(Supporter).where(*hers).values(sender=alias, person=None, chat=chat))
    asked = (col(Question.ticket) == number, col(Question.channel) == channel, col(Question.sender) == user)
    run(sa.delete(Question).where(*asked))
    if (ticket.channel, ticket.reporter) == address:
        ticket.reporter = alias
        ticket.chat = alias if ticket.chat in chats else ticket.chat
    ticket.spot, ticket.evidence = "", []
    _unname(session, number, people)
    session.flush()
    tell_again(desk, ticket)
    session.flush()
    alerts(session, number)
    session.add(_remnant(desk, erasure, RemnantKind.TICKET, str(number)))


def _unname(session: Session, ticket: int, people: Collection[str]) -> None:
    """What others wrote there stays, without her name, and without telephones' and identity cards' numbers: whose they
    are nobody knows."""
    names = sa.select(col(Person.name)).where(col(Person.code).in_(list(people)), col(Person.name) != "")
    called = re.compile("|".join(map(re.escape, session.scalars(names))) or r"(?!)")
    for row in session.scalars(sa.select(TicketMessage).where(col(TicketMessage.ticket) == ticket)):
        row.text = called.sub("***", unnumbered(row.text))
        session.add(row)
    for event in session.scalars(sa.select(TicketEvent).where(col(TicketEvent.ticket) == ticket)):
        event.note = called.sub("***", unnumbered(event.note))
        session.add(event)


def _pictures(desk: Desk, ticket: int, messages: Collection[str], erasure: int) -> None:
    own = (col(Attachment.ticket) == ticket, col(Attachment.message).in_(list(messages)))
    for row in desk.session.scalars(sa.select(Attachment).where(*own)).all():
        if row.path:
            desk.session.add(_remnant(desk, erasure, RemnantKind.FILE, row.path))
        desk.session.delete(row)


def _unsay(
    session: Session, row: Correction, channel: str, messages: Collection[str], chats: Collection[str], alias: str
) -> None:  # fmt: skip
    """Her words leave what is learned from."""
    hers = [said["channel"] == channel and said["message"] in messages for said in row.words]
    if any(hers):
        row.words = [
            said | {"text": "", "chat": alias if said["chat"] in chats else said["chat"]} if own else said
            for said, own in zip(row.words, hers, strict=True)
        ]
        session.add(row)


def alerts(session: Session, ticket: int, *, late: datetime | None = None) -> None:
    """What workers were sent about it: that it was, without the words. Rows still under way wait for their remnant.

    late: now, a day later; what has not left by now does not leave any more.
    """
    rows = sa.select(Outbox).where(col(Outbox.ticket) == ticket, _over(late))
    for row in session.scalars(rows):
        if outbox.read(row).purpose == Purpose.ALERT:
            _empty(session, row, late)
    said = sa.or_(*(col(WebMessage.body).contains(f'"ticket":{ticket}{end}') for end in (",", "}")))
    session.connection().execute(
        sa.delete(WebMessage).where(
            col(WebMessage.sender) == "bot", col(WebMessage.body).contains(f'"purpose":"{Purpose.ALERT}"'), said
        )
    )


def _over(late: datetime | None) -> sa.ColumnElement[bool]:
    """Rows that are finished; late: or have had a day for it, and wait for a word of whoever they are for."""
    finished = col(Outbox.finished_at).is_not(None)
    return finished if late is None else sa.or_(finished, col(Outbox.created_at) <= late - LATER)


def _empty(session: Session, row: Outbox, late: datetime | None = None) -> None:
    """That something was said to somebody, and no more; its key is made of the message that caused it."""
    out = outbox.read(row).model_copy(update={"text": "", "card": None, "picture": ""})
    empty: dict[str, object] = {
        "payload": out.model_dump_json(exclude={"trigger", "informs"}),
        "dedup_key": f"{ERASED}:{row.id}",
    }
    if row.finished_at is None:  # a sender that has it just now finds that it is no longer its own
        empty |= {"finished_at": late, "lease": None, "outcome": outbox.DEAD, "error": ERASED}
    session.connection().execute(sa.update(Outbox).where(col(Outbox.id) == row.id).values(**empty))


def unsaid(
    session: Session, keys: Sequence[str], held: Collection[int] = (), *, late: datetime | None = None
) -> None:  # fmt: skip
    """What others were told because of these messages of hers: staff, in a relay of her words, on whatever channel it
    reached them. keys: of the inbox. late: see `alerts`."""
    # A copy is looked for by its own key: the row that it was made of may be empty by now, and have lost the key.
    ends = [f">{number}{outbox.CARRIED * times}" for number in range(ANSWERS) for times in range(CARRIED + 1)]
    for some in _chunks([f"{key}{end}" for key in keys for end in ends]):
        rows = sa.select(Outbox).where(col(Outbox.dedup_key).in_(some), _over(late))
        for row in session.scalars(rows):
            if row.ticket not in held:
                _empty(session, row, late)
    session.flush()


def unfetched(session: Session, keys: Sequence[str], held: Collection[int]) -> None:
    """Files of these messages that are still at the platform stay there, but for those of tickets that go on."""
    going = sa.select(sa.literal(1)).where(
        col(TicketMessage.ticket).in_(list(held)),
        col(Fetching.dedup_key)
        == col(TicketMessage.channel) + ":" + col(TicketMessage.chat) + ":" + col(TicketMessage.message),
    )
    for some in _chunks(keys):
        gone = sa.delete(Fetching).where(col(Fetching.dedup_key).in_(some), ~going.exists())
        session.connection().execute(gone)


def _inbox(session: Session, channel: str, user: str) -> list[Inbox]:
    mine = (col(Inbox.channel) == channel, col(Inbox.sender) == user, col(Inbox.finished_at).is_not(None))
    return list(session.scalars(sa.select(Inbox).where(*mine)))


def letter(row: Inbox) -> Incoming | None:
    """The message in a row; None where nobody can read it any more."""
    try:
        return inbox.read(row)
    except ValidationError:
        return None


def _private(session: Session, channel: str, user: str, rows: Iterable[Inbox]) -> list[str]:
    """Her direct chats with the bot on this channel: as its messages say, as the town knows, as channels name them."""
    known = sa.select(col(Chat.code)).join(Identity, col(Identity.person) == col(Chat.person))
    known = known.where(
        col(Identity.channel) == channel, col(Identity.user) == user, col(Chat.channel) == channel,
        col(Chat.kind) == ChatKind.DIRECT,
    )  # fmt: skip
    said = [row.chat for row in rows if '"direct":true' in row.payload]
    return list(dict.fromkeys([user, f"d-{user}", *session.scalars(known), *said]))


def _messages(
    desk: Desk, number: int, rows: Sequence[Inbox], chats: Collection[str], held: Collection[int]
) -> None:  # fmt: skip
    """What she wrote, whether it belonged to anything or not. The platform may still repeat what is a few hours old:
    those rows stay, empty, until that is over."""
    session = desk.session
    run = session.connection().execute
    seen = {(row.channel, row.chat, row.message) for row in rows}
    for media in (media for row in rows if (told := letter(row)) for media in told.media if media.path):
        session.add(_remnant(desk, number, RemnantKind.FILE, media.path))
    for row in (row for row in rows if row.received_at > desk.now - LATER):
        row.payload, row.outcome = json.dumps(_bare(row), separators=(",", ":")), ERASED
        session.add(row)
    session.flush()
    unsaid(session, [row.dedup_key for row in rows], held)
    unfetched(session, [row.dedup_key for row in rows], held)
    for where in _chunks(sorted(seen)):
        run(sa.delete(Sample).where(sa.tuple_(col(Sample.channel), col(Sample.chat), col(Sample.message)).in_(where)))
    for missed in session.scalars(sa.select(Correction).where(col(Correction.ticket).is_(None))):
        channels = {said["channel"] for said in missed.words}
        mine = {said["message"] for said in missed.words if (said["channel"], said["chat"], said["message"]) in seen}
        for channel in channels:
            _unsay(session, missed, channel, mine, chats, ERASED)
    for ids in _chunks([row.id for row in rows if row.received_at <= desk.now - LATER]):
        run(sa.delete(Inbox).where(col(Inbox.id).in_(ids)))


def _bare(row: Inbox) -> dict[str, str | bool]:
    """A message of which nothing is left but that it came, and whether others were there."""
    told = letter(row)
    return {
        "id": row.message, "channel": row.channel, "chat": row.chat, "sender": row.sender, "kind": row.kind,
        "sent_at": row.sent_at.isoformat(), **({"direct": True} if told is not None and told.direct else {}),
    }  # fmt: skip


def _chunks(rows: Sequence[T]) -> Iterable[list[T]]:
    return [list(rows[start : start + SOME]) for start in range(0, len(rows), SOME)]


def _queues(session: Session, channel: str, chats: Collection[str], held: Collection[int]) -> None:
    """What the bot said to her in private, but for what her open tickets are asked about by."""
    where = [f"{channel}:{chat}" for chat in chats]
    done = (col(Outbox.conversation).in_(where), col(Outbox.finished_at).is_not(None))
    kept = sa.or_(col(Outbox.ticket).is_(None), col(Outbox.ticket).not_in(list(held)))
    session.connection().execute(sa.delete(Outbox).where(*done, kept))
    if channel == "web":
        session.connection().execute(sa.delete(WebMessage).where(col(WebMessage.chat).in_(list(chats))))


def _small(session: Session, channel: str, user: str) -> None:
    """Codes, notices, wishes, what a card of hers shows; her lines in the groups of the web chat."""
    run = session.connection().execute
    if channel == "wecom_app":
        run(sa.delete(AppCard).where(col(AppCard.user) == user))
    for table in (BindCode, Notice, Wish):
        run(sa.delete(table).where(col(table.channel) == channel, col(table.user) == user))
    run(sa.delete(BindCode).where(col(BindCode.claimed_channel) == channel, col(BindCode.claimed_user) == user))
    if channel == "web":
        run(sa.delete(WebMessage).where(col(WebMessage.sender) == user))


def _codes(session: Session, person: Person | None) -> list[str]:
    """Hers, and those that were merged into it."""
    codes = [person.code] if person else []
    for code in codes:
        codes += session.scalars(sa.select(col(Person.code)).where(col(Person.merged_into) == code)).all()
    return codes


def _person(desk: Desk, codes: Sequence[str]) -> None:
    """Who made herself known is gone; of the register's entry the code stays, so that no import brings her back."""
    session = desk.session
    run = session.connection().execute
    run(sa.delete(Identity).where(col(Identity.person).in_(codes)))
    run(sa.delete(Chat).where(col(Chat.person).in_(codes), col(Chat.kind) == ChatKind.DIRECT))
    run(sa.delete(Duty).where(col(Duty.person).in_(codes)))
    run(sa.delete(BindCode).where(col(BindCode.person).in_(codes)))
    run(sa.delete(Linkage).where(sa.or_(col(Linkage.person).in_(codes), col(Linkage.other).in_(codes))))
    run(sa.update(Supporter).where(col(Supporter.person).in_(codes)).values(person=None))
    mine = col(Person.code).in_(codes)
    blank = {"name": "", "home": None, "grid": None, "away_until": None, "deputy": None, "erased_at": desk.now}
    run(sa.update(Person).where(mine, col(Person.origin) == Origin.REGISTER).values(merged_into=None, **blank))
    run(sa.delete(Person).where(mine, col(Person.origin) == Origin.SELF))
    mark.bump(session, mark.TOWN)


def _remnant(
    desk: Desk, erasure: int, kind: RemnantKind, value: str, channel: str = "", chat: str = ""
) -> Remnant:  # fmt: skip
    return Remnant(
        erasure=erasure, kind=kind, channel=channel, value=value, chat=chat, before=desk.now, due_at=desk.now + LATER
    )
