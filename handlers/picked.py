"""第一个, 2, 6幢: the answer to the bot's question where it is, by the number of what it showed or by a place alone."""

import re
from dataclasses import replace

from handlers.asking import say_placed
from handlers.context import Context
from handlers.matters import attach
from handlers.place import CHAT, NAMED, Placement, locate
from handlers.questions import MENTION, plain
from handlers.router import Router
from models.ticket import OPEN, Ticket
from nlu.normalize import normalize, number

picked = Router("picked")
TURNS = {"1": 0, "一": 0, "①": 0, "2": 1, "二": 1, "②": 1, "3": 2, "三": 2, "③": 2}
PICK = re.compile(r"^(?:应该|就)?是?选?(第)?([0-9]{1,3}|[一二三①②③])(个|处|项)?(?:吧|的|啊|哦)?[。.!！~ ]*$")
# What people say around a place that is their whole answer: 在6幢那里. 6幢呢 asks.
AROUND = re.compile(r"[就是在我们咱俺家住的那这里儿边啊呀哦噢嗯吧嘛了\s,，.。、!！~～:：]+")


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
    picked_one = Placement(place.grid, found, NAMED, evidence=(f"picked {place.name}",))
    if added := attach(ctx, ticket, role, picked_one, only_where=True):
        say_placed(ctx, ticket, added.others)
    return role


@picked.on(lambda ctx: ctx.known.question is not None and _only_a_place(ctx))
def by_its_name(ctx: Context) -> str | None:
    """Who is asked where it is, and names a place and nothing else, has answered: no engine need be sure of it."""
    question, m = ctx.known.question, ctx.message
    ticket = ctx.session.get(Ticket, question.ticket) if question else None
    if question is None or ticket is None or ticket.status not in OPEN:
        return None
    if m.quote and ctx.known.quoted_ticket != ticket.id:
        return None  # said to somebody, about something else
    found = locate(ctx.town, ctx.where(kind=ticket.category))
    if found.weight <= CHAT or found.place is None or found.unsure or found.wide:
        return None
    above = list(ctx.town.above(found.place))
    if found.place != ticket.place and found.place in ctx.town.above(ticket.place):
        return None  # the whole estate: no finer than what is known
    if question.options and not ctx.to_bot and not set(above) & set(question.options):
        return None  # 5幢 to a neighbour, when it was asked whether it is 2幢 or 3幢
    role = "detail" if ticket.place in (None, *above) else "correct"
    added = attach(ctx, ticket, role, replace(found, corrects=True), only_where=True)
    if added and (added.moved or added.answered):
        say_placed(ctx, ticket, added.others)
    return role


def _only_a_place(ctx: Context) -> bool:
    """Her own words are places and what stands around them, and go to nobody but the bot."""
    if MENTION.search(ctx.message.text) and not ctx.to_bot:
        return False
    text = normalize(plain(ctx))
    named = [normalize(span.text) for span in ctx.understanding.spans if span.kind == "location"]
    for words in named:
        if words not in text:
            return False  # of the message that she points to
        text = text.replace(words, "", 1)
    return bool(named) and not AROUND.sub("", text)


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
