"""第一个, 2: the answer to the bot's question which of the places it is, by a number instead of its name."""

import re

from handlers.context import Context
from handlers.matters import attach
from handlers.place import NAMED, Placement
from handlers.questions import plain
from handlers.router import Router
from models.ticket import OPEN, Ticket
from nlu.normalize import normalize, number

picked = Router("picked")
TURNS = {"1": 0, "一": 0, "①": 0, "2": 1, "二": 1, "②": 1, "3": 2, "三": 2, "③": 2}
PICK = re.compile(r"^(?:应该|就)?是?选?(第)?([0-9]{1,3}|[一二三①②③])(个|处|项)?(?:吧|的|啊|哦)?[。.!！~ ]*$")


@picked.on(lambda ctx: _chosen(ctx) is not None)
def by_its_number(ctx: Context) -> str | None:
    """One of the places that were shown: as if she had named it, which those behind her words then read, too."""
    found, question = _chosen(ctx), ctx.known.question
    ticket = ctx.session.get(Ticket, question.ticket) if question else None
    if found is None or ticket is None or ticket.status not in OPEN:
        return None  # once it is done, 1 is a rating
    place = ctx.town.places[found]
    ctx.message = ctx.message.model_copy(update={"text": f"{ctx.message.text}（{place.name}）"})
    role = "detail" if ticket.place in (None, found) else "correct"
    if attach(ctx, ticket, role, Placement(place.grid, found, NAMED, evidence=(f"picked {place.name}",))):
        ctx.say("placed", ticket)
    return role


def _chosen(ctx: Context) -> str | None:
    """The place that her words pick out of those she was asked about: by its turn, or by its own number. The places
    are shown without their turns, so a mere 2 is 2幢 where that is one of them; 第2个 never is."""
    shown = ctx.known.question.options if ctx.known.question else []
    match = PICK.search(normalize(plain(ctx)))
    if match is None:
        return None
    ordinal, said, measure = match.groups()
    if not ordinal and not measure:
        called = set(shown) & set(ctx.town.by_number.get(number(said), ()))
        if len(called) == 1:
            return called.pop()
    turn = TURNS.get(said, len(shown))
    return shown[turn] if turn < len(shown) and shown[turn] in ctx.town.places else None
