"""What kind of matter it is, as more is said: a first half sentence may point elsewhere than the whole."""

import math

from handlers.context import Context
from handlers.desk import tier_of
from handlers.retime import retime
from handlers.workflow import record
from models.ticket import Status, Ticket

# A further message says less about the kind than the one that opened the matter; a neighbour's still less. Chosen by
# leaving training towns out.
OWN, OTHER = 0.5, 0.3
AHEAD = 0.4  # in logarithms: from here on the new kind is the likelier one, not a coin's other side
FLOOR = 1e-3
UNDECIDED = (Status.REPORTED, Status.ASSIGNED)


def refine(ctx: Context, ticket: Ticket, *, own: bool) -> bool:
    """Add what this message says about the kind; until a worker has taken it on, the ticket follows. True if it moved.

    What staff have corrected stays.
    """
    votes: dict[str, float] = dict(ticket.reading.get("votes") or {})
    if ticket.status not in UNDECIDED or not votes or len(ctx.understanding.matters) > 1:
        return False
    said = dict(ctx.understanding.matters[0].categories)
    weight = OWN if own else OTHER
    for kind in {*votes, *said}:
        votes[kind] = round(votes.get(kind, math.log(FLOOR)) + weight * math.log(max(said.get(kind, 0.0), FLOOR)), 4)
    ticket.reading = ticket.reading | {"votes": votes}
    ctx.session.add(ticket)
    best = max(votes, key=votes.__getitem__)
    if best == ticket.category or votes[best] - votes.get(ticket.category, math.log(FLOOR)) < AHEAD:
        return False
    before, ticket.category, ticket.tier = ticket.category, best, tier_of(best)
    record(ctx.session, ticket, "category", "system", ctx.now, f"{before} → {best}")
    ctx.session.flush()
    retime(ctx, ticket, "system")
    return True


def first_votes(categories: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """What the opening message says: the logarithm of each likely kind's share."""
    return {kind: round(math.log(max(share, FLOOR)), 4) for kind, share in categories}
