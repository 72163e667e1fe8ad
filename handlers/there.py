"""Where one of several matters of a message is: where its own words say, else where the one told before it is; and
whether that is another place than a ticket's."""

import re
from dataclasses import replace

from handlers.context import Context
from handlers.place import CHAT, Placement, locate
from handlers.town import Town
from models.message import Incoming
from models.ticket import OPEN, Ticket
from nlu.types import Matter

BUILT = ("building", "estate")
OWN_SPOT = re.compile(r"[\d一二两三四五六七八九十](?:单元|楼|层(?![灰油皮土冰]))|负一|顶楼|楼顶")
INDOORS = re.compile(r"楼道|楼梯|楼上|楼下|单元|电梯|暖气|厨房|厕所|卫生间|客厅|阳台|家里|屋里")


def where_told(
    ctx: Context, matter: Matter, before: Placement | None, *, several: bool, pin: Incoming | None = None
) -> Placement:  # fmt: skip
    """The place of a matter of the message. before: where the matter told before it is. several: it is not the only
    one. pin: a position that was sent with it."""
    found = locate(ctx.town, ctx.where(matter if several else None, pin=pin))
    if before is not None and found.weight <= CHAT and not found.wide and _there_too(ctx, matter, before):
        return replace(before, spot=_spot(matter, before), denied=frozenset(), corrects=False)
    return found


def done_elsewhere(town: Town, ticket: Ticket, found: Placement) -> bool:
    """It is over, and her words name a place that neither is the ticket's nor holds it nor lies in it: what was done at
    6幢 is done, whatever is broken at 5幢."""
    if ticket.status in OPEN:
        return False
    here, there = ticket.place, found.place
    if here is None or there is None or ticket.from_home or found.from_home or found.weight <= CHAT or found.corrects:
        return False
    known = {here, *town.above(here)}
    return known.isdisjoint((there, *found.options)) and here not in town.above(there) and here not in found.denied


def _there_too(ctx: Context, matter: Matter, there: Placement) -> bool:
    """南门的路灯坏了 地砖也翘了: what says no place is where the matter told before it is, unless it cannot be."""
    if there.weight <= CHAT:
        return False
    place = ctx.town.places.get(there.place or "")
    if place is None or place.kind in BUILT:
        return True
    top = matter.category.split(".", maxsplit=1)[0]
    return ctx.decisions.indoors.isdisjoint((matter.category, top)) and not INDOORS.search(matter.text)


def _spot(matter: Matter, there: Placement) -> str:
    """二楼楼道灯不亮 三楼拐角还堆了煤: the building is the same, the floor is not."""
    return "" if OWN_SPOT.search(matter.text) else there.spot
