"""What staff press on the task page beyond the work itself: 更正类别, 更正地点, 紧急, 敏感, 合并, 拆分.

A key names the ticket and what is wanted (`category:42:facility.elevator`) and proves nothing: the one who pressed is
checked by what it asks for.
"""

from collections.abc import Callable

from handlers import correct, dividing, joining
from handlers.context import Context
from handlers.corrected import BadCorrection, NotYours
from handlers.router import Router
from handlers.texts import say
from handlers.workflow import NotAllowed, record
from models.suggestion import Suggestion
from models.ticket import Ticket

corrections = Router("corrections")
ON, OFF = "on", "off"


@corrections.on(lambda ctx: ctx.message.action is not None and ctx.message.action.partition(":")[0] in PRESSES)
def pressed(ctx: Context) -> str:
    """Do it if she may. A refusal changes nothing; one for want of duty stands in the history."""
    name, _, rest = (ctx.message.action or "").partition(":")
    number, _, wanted = rest.partition(":")
    ticket = ctx.session.get(Ticket, int(number)) if number.isdigit() and len(number) < 16 else None
    if ticket is None:
        _answer(ctx, "worker_refused")
        return "refused"
    try:
        PRESSES[name](ctx, ticket, wanted)
    except NotYours:
        record(ctx.session, ticket, "refused", ctx.who, ctx.now, name)
        _answer(ctx, "worker_refused")
        return "refused"
    except BadCorrection as error:
        _answer(ctx, error.reply, None, **error.values)
        return "refused"
    except NotAllowed:
        _answer(ctx, "worker_cannot", ticket)
        return "refused"
    return "work"


def _answer(ctx: Context, name: str, ticket: Ticket | None = None, **values: object) -> None:
    """In the direct chat the press came from; not `ctx.say`, which speaks once: she may have been told there before."""
    facts = ctx.facts(ticket) if ticket else {}
    ctx.post(ctx.message.channel, ctx.message.chat, say(name, **facts | values), ticket)


def _category(ctx: Context, ticket: Ticket, wanted: str) -> None:
    correct.category(ctx, ticket, wanted, ctx.who)
    _answer(ctx, "worker_category", ticket, due=ctx.due_text(ticket))


def _place(ctx: Context, ticket: Ticket, wanted: str) -> None:
    correct.place(ctx, ticket, ctx.who, code=wanted)
    worker = ctx.town.people.get(ticket.worker or "")
    _answer(ctx, "worker_place", ticket, worker=worker.name if worker else "")


def _urgent(ctx: Context, ticket: Ticket, wanted: str) -> None:
    correct.urgent(ctx, ticket, ctx.who, on=_switch("urgent", wanted))
    _answer(ctx, "worker_urgent" if ticket.urgent else "worker_calm", ticket, due=ctx.due_text(ticket))


def _sensitive(ctx: Context, ticket: Ticket, wanted: str) -> None:
    correct.sensitive(ctx, ticket, ctx.who, on=_switch("sensitive", wanted))
    _answer(ctx, "worker_hidden" if ticket.sensitive else "worker_shown", ticket)


def _switch(field: str, wanted: str) -> bool:
    if wanted not in (ON, OFF):
        raise BadCorrection(field, f"on or off, not {wanted!r}", "worker_not_understood")
    return wanted == ON


def _same(ctx: Context, ticket: Ticket, wanted: str) -> None:
    """Accept a suggestion: the ticket opened later goes into the earlier one."""
    row = _suggestion(ctx, ticket, wanted)
    gone, kept = (ctx.session.get_one(Ticket, number) for number in (row.ticket, row.other))
    joining.merge(ctx, gone, kept, ctx.who)
    _answer(ctx, "worker_merged", before=gone.number, number=kept.number)


def _apart(ctx: Context, ticket: Ticket, wanted: str) -> None:
    """Refuse a suggestion."""
    row = _suggestion(ctx, ticket, wanted)
    joining.keep_apart(ctx, row, ctx.who)
    one, two = (ctx.session.get_one(Ticket, number).number for number in (row.ticket, row.other))
    _answer(ctx, "worker_apart", before=one, number=two)


def _suggestion(ctx: Context, ticket: Ticket, wanted: str) -> Suggestion:
    row = ctx.session.get(Suggestion, int(wanted)) if wanted.isdigit() and len(wanted) < 16 else None
    if row is None or ticket.id not in (row.ticket, row.other):
        raise BadCorrection("suggestion", f"there is no suggestion {wanted!r} here", "worker_not_understood")
    return row


def _split(ctx: Context, ticket: Ticket, wanted: str) -> None:
    """`12,13:facility.elevator:P-LA-B06`: message rows, then category and place, either may be empty."""
    listed, _, rest = wanted.partition(":")
    category, _, place = rest.partition(":")
    rows = [int(part) if part.isdigit() and len(part) < 16 else 0 for part in listed.split(",") if part]
    new = dividing.split(ctx, ticket, rows, ctx.who, category=category or None, place=place or None)
    _answer(ctx, "worker_split", new, before=ticket.number)


PRESSES: dict[str, Callable[[Context, Ticket, str], None]] = {
    "category": _category,
    "place": _place,
    "urgent": _urgent,
    "sensitive": _sensitive,
    "same": _same,
    "apart": _apart,
    "split": _split,
}
