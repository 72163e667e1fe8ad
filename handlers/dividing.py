"""One ticket that is two matters: some of its messages become a ticket of their own."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import col

from handlers import dispatch
from handlers.correct import check, check_category, check_place
from handlers.corrected import BadCorrection, keep_correction
from handlers.desk import Desk, tier_of
from handlers.matters import tell_again
from handlers.place import NAMED, Placement
from handlers.retime import retime
from handlers.workflow import record
from models.correction import CorrectionKind
from models.ticket import Attachment, Status, Supporter, Ticket, TicketMessage

# What a matter cannot be without: one message at least in which somebody tells of it.
TELLS = ("report", "detail", "join", "relay")


def split(
    desk: Desk,
    ticket: Ticket,
    messages: Sequence[int],
    by: str,
    *,
    category: str | None = None,
    place: str | None = None,
) -> Ticket:
    """Some messages of `ticket` are about something else: they become a ticket of its own, which is returned.

    messages: ids of `TicketMessage` rows. category, place: of the new one; those of `ticket` where they are None. It
    is as urgent and as private as `ticket`, its time counts from its first message, and its reporters hear its number.
    Raises NotYours, BadCorrection naming the field; nothing has changed then.
    """
    check(desk, ticket, by, staff_only=True)
    if not ticket.is_open:
        raise BadCorrection("ticket", f"{ticket.number} has ended", "worker_ended", number=ticket.number)
    if category is not None:
        check_category(category)
    if place is not None:
        check_place(desk, place)
    going, staying = _divide(desk, ticket, messages)
    told = [row for row in going if row.role in TELLS]
    new = _opened(ticket, told[0], category or ticket.category)
    grid = desk.town.places[place].grid if place else ticket.grid
    found = Placement(grid, place or ticket.place, NAMED, evidence=(f"split from {ticket.number} by {by}",))
    desk.place_ticket(new, found)
    new.from_home = ticket.from_home and place is None
    desk.session.flush()
    before = {"ticket": ticket.number, "category": ticket.category, "place": ticket.place, "stayed": _ids(staying)}
    after = {"ticket": new.number, "category": new.category, "place": new.place, "went": _ids(going)}
    keep_correction(desk, ticket, CorrectionKind.SPLIT, by, before, after, going)
    opened = staying[0].sent_at if staying else ticket.opened_at
    if told[0].role == "report":  # what the engine made of the message that opened the ticket goes with it
        new.reading, ticket.reading = ticket.reading, {}
    _move_rows(desk, ticket, new, going)
    _heads(desk, ticket, [row for row in staying if row.role in TELLS])
    _heads(desk, new, told)
    _reporters(desk, ticket, new, staying, going)
    ticket.last_message_at = max([row.sent_at for row in staying], default=opened)
    flag_modified(ticket, "summary")
    record(desk.session, ticket, "split", by, desk.now, new.number)
    record(desk.session, new, "split_from", by, desk.now, ticket.number)
    desk.schedule(new, desk.now if new.urgent else new.opened_at)
    retime(desk, new, by)  # an old message leaves little time, or none
    _assign(desk, ticket, new)
    desk.tell_supporters(new, "split", before=ticket.number)
    return new


def _divide(
    desk: Desk, ticket: Ticket, messages: Iterable[int]
) -> tuple[list[TicketMessage], list[TicketMessage]]:  # fmt: skip
    """(those that go, those that stay), oldest first."""
    wanted = set(messages)
    statement = sa.select(TicketMessage).where(col(TicketMessage.ticket) == ticket.id)
    rows = desk.session.scalars(statement.order_by(col(TicketMessage.sent_at), col(TicketMessage.id))).all()
    if not wanted:
        raise BadCorrection("messages", "none is named", "worker_split_none")
    if strange := sorted(wanted - {row.id or 0 for row in rows}):
        message = f"{', '.join(map(str, strange))}: no message of {ticket.number}"
        raise BadCorrection("messages", message, "worker_split_none")
    going = [row for row in rows if row.id in wanted]
    staying = [row for row in rows if row.id not in wanted]
    if not any(row.role in TELLS for row in staying):
        message = f"all that tell of the matter are named; one at least must stay with {ticket.number}"
        raise BadCorrection("messages", message, "worker_split_all", number=ticket.number)
    if not any(row.role in TELLS for row in going):
        raise BadCorrection("messages", "none of them tells of a matter", "worker_split_none")
    return going, staying


def _opened(ticket: Ticket, first: TicketMessage, category: str) -> Ticket:
    return Ticket(
        status=Status.REPORTED, category=category, tier=tier_of(category), urgent=ticket.urgent,
        sensitive=ticket.sensitive, quiet=ticket.quiet, confidence=ticket.confidence, channel=first.channel,
        chat=first.chat, reporter=first.sender, opened_at=first.sent_at, last_message_at=first.sent_at,
    )  # fmt: skip


def _ids(rows: Sequence[TicketMessage]) -> list[str]:
    return [row.message for row in rows]


def _move_rows(desk: Desk, ticket: Ticket, new: Ticket, going: Sequence[TicketMessage]) -> None:
    for row in going:
        row.ticket = new.id or 0
        desk.session.add(row)
    new.last_message_at = max(row.sent_at for row in going)
    desk.session.connection().execute(
        sa.update(Attachment)
        .where(col(Attachment.ticket) == ticket.id, col(Attachment.message).in_(_ids(going)))
        .values(ticket=new.id)
    )


def _heads(desk: Desk, ticket: Ticket, told: Sequence[TicketMessage]) -> None:
    """The first message reports the matter, the others belong to it; the ticket's words are theirs."""
    first = told[0]
    if first.role != "report":
        first.role = "report"
        ticket.channel, ticket.chat, ticket.reporter = first.channel, first.chat, first.sender
    for row in told[1:]:
        if row.role == "report" or row.sender == first.sender:
            row.role = "detail" if row.sender == first.sender else "join"
    desk.session.add_all(told)
    desk.session.flush()
    tell_again(desk, ticket)


def _reporters(
    desk: Desk, ticket: Ticket, new: Ticket, staying: Sequence[TicketMessage], going: Sequence[TicketMessage]
) -> None:  # fmt: skip
    """Each matter has those who told of it."""
    stay = {(row.channel, row.sender) for row in staying if row.role in TELLS}
    for row in going:
        if row.role in TELLS:
            desk.support(new, row.channel, row.chat, row.sender)
            if (row.channel, row.sender) not in stay:
                desk.session.connection().execute(
                    sa.delete(Supporter).where(
                        col(Supporter.ticket) == ticket.id,
                        col(Supporter.channel) == row.channel,
                        col(Supporter.sender) == row.sender,
                    )
                )


def _assign(desk: Desk, ticket: Ticket, new: Ticket) -> None:
    """The same kind in the same grid stays in the same hands; else who is responsible there."""
    same = (new.grid, new.category) == (ticket.grid, ticket.category)
    if same and ticket.worker and dispatch.present(desk.town, ticket.worker, desk.now):
        desk.assign(new, dispatch.Assigned(ticket.worker, f"split from {ticket.number}"))
    else:
        desk.assign(new, dispatch.responsible(desk.town, new.grid, desk.now))
