"""Two tickets that are one matter: what staff join.

Nothing disappears: a merged ticket keeps its number, its messages and its history, and says which one took it over.
"""

import sqlalchemy as sa
from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import Session, col

from handlers.correct import check
from handlers.corrected import BadCorrection, keep_correction, made_of
from handlers.desk import Desk
from handlers.matters import tell_again
from handlers.retime import retime
from handlers.suggest import decide
from handlers.texts import say
from handlers.workflow import Actor, move, record
from models.chat import Question
from models.correction import CorrectionKind
from models.insert import insert_new
from models.suggestion import Suggestion, SuggestionState
from models.ticket import Attachment, Status, Supporter, Ticket, TicketMessage

_OWN = {"id", "ticket"}


def merge(desk: Desk, gone: Ticket, kept: Ticket, by: str) -> None:
    """`gone` is the same matter as `kept`, which takes over its messages, reporters, pictures and open questions.

    Both must be open. What is urgent or private in one is so in both. The reporters of `gone` hear once under which
    number they are told from now on; both workers hear of it. Raises NotYours, BadCorrection; nothing has changed then.
    """
    check(desk, kept, by, staff_only=True)
    check(desk, gone, by, staff_only=True)
    if kept.id == gone.id:
        raise BadCorrection("into", f"{gone.number} cannot be merged into itself", "worker_itself")
    for field, ticket in (("ticket", gone), ("into", kept)):
        if not ticket.is_open:
            raise BadCorrection(field, f"{ticket.number} has ended", "worker_ended", number=ticket.number)
    words = made_of(desk, gone)
    before = {
        "ticket": gone.number,
        "category": gone.category,
        "place": gone.place,
        "points": _points(desk, gone, kept),
    }
    after = {"into": kept.number, "category": kept.category, "place": kept.place}
    keep_correction(desk, gone, CorrectionKind.MERGE, by, before, after, words)
    _share(desk.session, gone, kept)
    kept.last_message_at = max(kept.last_message_at, gone.last_message_at)
    kept.quiet = kept.quiet and gone.quiet
    tell_again(desk, kept)
    flag_modified(kept, "summary")  # whoever changes it at the same time has to see this first
    gone.merged_into = kept.id
    gone.sensitive = kept.sensitive = gone.sensitive or kept.sensitive
    move(desk.session, gone, Status.MERGED, Actor.STAFF, by, desk.now, note=kept.number)
    record(desk.session, kept, "took_over", by, desk.now, gone.number)
    _pass_on(desk, gone, kept, by)
    desk.tell_supporters(gone, "merged", into=kept.number)
    _tell_workers(desk, gone, kept, by)


def _points(desk: Desk, gone: Ticket, kept: Ticket) -> float | None:
    """What had spoken for it when the later one was opened, if it was suggested."""
    row = _suggestion(desk, gone, kept)
    return row.points if row else None


def _suggestion(desk: Desk, one: Ticket, two: Ticket) -> Suggestion | None:
    pair = (one.id, two.id)
    found = sa.select(Suggestion).where(col(Suggestion.ticket).in_(pair), col(Suggestion.other).in_(pair))
    return desk.session.scalars(found.limit(1)).first()


def _share(session: Session, gone: Ticket, kept: Ticket) -> None:
    """Copies of all that `gone` is made of; its own rows stay, as its history."""
    session.flush()
    told = session.scalars(
        sa.select(TicketMessage).where(col(TicketMessage.ticket) == gone.id).order_by(col(TicketMessage.id))
    )
    rows = [row.model_dump(exclude=_OWN) | {"ticket": kept.id} for row in told]
    for row in rows:
        if row["role"] == "report":  # only one message opened the matter
            own = (row["channel"], row["sender"]) == (kept.channel, kept.reporter)
            row["role"] = "detail" if own else "join"
    insert_new(session, TicketMessage, rows, ["ticket", "channel", "chat", "message"])
    people = session.scalars(sa.select(Supporter).where(col(Supporter.ticket) == gone.id))
    shared = [row.model_dump(exclude=_OWN) | {"ticket": kept.id} for row in people]
    insert_new(session, Supporter, shared, ["ticket", "channel", "sender"])
    there = set(session.scalars(sa.select(col(Attachment.message)).where(col(Attachment.ticket) == kept.id)))
    for media in session.scalars(sa.select(Attachment).where(col(Attachment.ticket) == gone.id)).all():
        if media.message not in there:
            session.add(Attachment(**media.model_dump(exclude=_OWN), ticket=kept.id or 0))


def _pass_on(desk: Desk, gone: Ticket, kept: Ticket, by: str) -> None:
    """Open questions and suggestions about `gone` are about `kept` now; an urgent matter makes it urgent."""
    session = desk.session
    session.connection().execute(
        sa.update(Question)
        .where(col(Question.ticket) == gone.id, col(Question.answered_at).is_(None))
        .values(ticket=kept.id)
    )
    row = _suggestion(desk, gone, kept)
    if row is not None and row.state == SuggestionState.OPEN:
        decide(desk, row, by, SuggestionState.ACCEPTED)
    mine = sa.or_(col(Suggestion.ticket) == gone.id, col(Suggestion.other) == gone.id)
    for other in session.scalars(
        sa.select(Suggestion).where(mine, col(Suggestion.state) == SuggestionState.OPEN)
    ).all():
        if other is row:
            continue
        pair = [kept.id if number == gone.id else number for number in (other.ticket, other.other)]
        if pair[0] == pair[1]:
            continue
        values = {"ticket": pair[0], "other": pair[1], "points": other.points, "state": other.state, "at": other.at}
        insert_new(session, Suggestion, [values], ["ticket", "other"])
    if gone.urgent and not kept.urgent:
        kept.urgent = True
        record(session, kept, "urgent", by, desk.now)
        retime(desk, kept, by)


def _tell_workers(desk: Desk, gone: Ticket, kept: Ticket, by: str) -> None:
    if gone.worker and gone.worker not in (by, kept.worker):
        text = say("alert_merged", before=gone.number, number=kept.number)
        desk.alert(gone.worker, gone, text, "merged", card=False)
    if kept.worker and kept.worker != by:
        text = say("alert_took_over", before=gone.number, number=kept.number, words=gone.summary)
        desk.alert(kept.worker, kept, text, "merged")


def keep_apart(desk: Desk, row: Suggestion, by: str) -> None:
    """They are two matters: the suggestion is shown no more. Raises NotYours, BadCorrection."""
    for number in (row.ticket, row.other):
        check(desk, desk.session.get_one(Ticket, number), by, staff_only=True)
    decide(desk, row, by, SuggestionState.REFUSED)
