"""Perhaps the same matter: what was too unsure to be put together by itself is shown to staff, who decide."""

from collections.abc import Iterable

from handlers.assembly import Linked
from handlers.context import Context
from handlers.corrected import BadCorrection
from handlers.desk import Desk
from models.insert import insert_new
from models.suggestion import Suggestion, SuggestionState
from models.ticket import OPEN, Ticket


def suggest(ctx: Context, ticket: Ticket, ranked: Iterable[Linked]) -> Ticket | None:
    """Keep for staff that the ticket just opened is perhaps the same as the likeliest of `ranked` that is still open.

    ranked: the candidates its message was compared with. From `link.suggest` points on (config/decisions.yaml); what
    has more than the linker asks for was put together before. Returns the other ticket, or None.
    """
    least = ctx.decisions.link.suggest
    best = next((linked for linked in ranked if linked.ticket.status in OPEN and linked.ticket.id != ticket.id), None)
    if best is None or best.points < least:
        return None
    row = {
        "ticket": ticket.id, "other": best.ticket.id, "points": round(best.points, 3), "state": SuggestionState.OPEN,
        "at": ctx.now,
    }  # fmt: skip
    insert_new(ctx.session, Suggestion, [row], ["ticket", "other"])
    return best.ticket


def decide(desk: Desk, row: Suggestion, by: str, state: SuggestionState) -> None:
    """Note what staff said to it. Raises BadCorrection for one that was decided on before."""
    if row.state != SuggestionState.OPEN:
        raise BadCorrection("suggestion", f"{row.id} was {row.state.value} before", "worker_decided")
    row.state, row.by, row.decided_at = state, by, desk.now
    desk.session.add(row)
