"""What a picture says about where: door plates (门牌), buildings, and the numbers of lifts and meters.

A picture shows what stood before the camera, perhaps by chance: it places a ticket only where nobody has said the
place, and is otherwise a line of evidence for the staff.
"""

import re
from collections.abc import Iterator

from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.place import NAMED, Placement, Where, locate
from handlers.workflow import record
from models.ticket import Attachment, Status, Ticket
from nlu.features import places
from nlu.normalize import normalize

KEPT = 20  # lines of evidence on a ticket, as `Desk.place_ticket` keeps them
NOTHING, NOTED, PLACED = "nothing", "evidence", "placed"
# A lift's plate (电梯使用标志, TSG 08) has a 注册代码 of 20 digits and a 使用登记证编号 such as 梯11浙B12345(20); an
# 电梯编号 is the operator's own.
_MARKS = (
    ("lift", re.compile(r"(?:设备)?注册代码[:： ]*(?P<no>\d{20})")),
    ("lift", re.compile(r"登记(?:证?编?号|证)?[:： ]*(?P<no>梯\d{2}[\u4e00-\u9fff][a-z]\d{5}\(\d{2}\))")),
    ("lift", re.compile(r"(?:电梯|设备|救援识别)(?:编号|号码?|码)[:： ]*(?P<no>[a-z0-9][a-z0-9-]{2,19})")),
    ("meter", re.compile(r"(?:电能?|水|燃?气|热量?)表(?:编?号)?[:： ]*(?:no\.?|№)?[:： ]*(?P<no>\d[\d -]{5,20}\d)")),
    ("box", re.compile(r"(?:配电|分线|光交|电表|表)箱(?:编号)?[:： ]*(?:no\.?)?(?P<no>[a-z0-9][a-z0-9-]{2,19})")),
)
# A person's, not a place's: telephones, and the 18 characters of an identity card, which hold a date of birth.
_PERSONAL = re.compile(
    r"(?<!\d)(?:1[3-9]\d{9}|\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dx])(?!\d)", re.IGNORECASE
)


def kept(text: str) -> str:
    """What of a picture's text may be kept: without telephones and identity cards, as long as before."""
    return _PERSONAL.sub(lambda found: "0" * len(found.group()), text)


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """(lift, meter or box; its number) as plates have them. text: lines of a picture; their order is kept."""
    plain = normalize(text)
    seen: set[str] = set()
    for what, pattern in _MARKS:
        for match in pattern.finditer(plain):
            no = match["no"].replace(" ", "").upper()
            if no not in seen and any(map(str.isdigit, no)):
                seen.add(no)
                yield what, no


def seen(desk: Desk, ticket: Ticket, picture: Attachment) -> str:
    """Let a read picture speak for its ticket. Returns `nothing`, `evidence` or `placed`."""
    text = picture.read_text or ""
    lines = [f"photo, {what} {no}" for what, no in numbers(text)]
    found = _place(desk, ticket, text)
    if found is not None and found.place:
        agrees = ticket.place is None or _one_way(desk, ticket.place, found.place)
        lines.append(f"photo{'' if agrees else ' disagrees'}: {found.place}")
    fresh = [line for line in dict.fromkeys(lines) if line not in ticket.evidence]
    if not fresh:
        return NOTHING
    ticket.evidence = [*ticket.evidence, *fresh][-KEPT:]
    desk.session.add(ticket)
    if found is None or not found.place or ticket.place is not None or not _plausible(desk, ticket, found):
        return NOTED
    _settle(desk, ticket, found)
    return PLACED


def _place(desk: Desk, ticket: Ticket, text: str) -> Placement | None:
    """A place that the picture names or numbers, and only one; the register and the group's grid say nothing here."""
    spans = tuple(places(normalize(text), desk.town.names))
    if not spans:  # the likeness to a name of some word on a sign says nothing
        return None
    chat = desk.town.chats.get((ticket.channel, ticket.chat))
    grid = chat.grid if chat and chat.grid else ticket.grid
    found = locate(desk.town, Where(text=text, spans=spans, chat_grid=grid, kind=ticket.category))
    return found if found.weight >= NAMED and not found.unsure else None


def _one_way(desk: Desk, one: str, other: str) -> bool:
    """One of them holds the other, or they are the same."""
    return one in desk.town.above(other) or other in desk.town.above(one)


def _plausible(desk: Desk, ticket: Ticket, found: Placement) -> bool:
    town = desk.town
    return ticket.grid is None or town.within(found.grid, ticket.grid) or town.within(ticket.grid, found.grid)


def _settle(desk: Desk, ticket: Ticket, found: Placement) -> None:
    """Nobody said where: the picture does. Whoever is responsible there hears of it."""
    told = ticket.evidence
    desk.place_ticket(ticket, found)
    ticket.evidence = told  # the line of the picture stands for the clues behind it
    record(desk.session, ticket, "seen", SYSTEM, desk.now, found.place or "")
    if not ticket.is_open:
        return
    there = dispatch.responsible(desk.town, ticket.grid, desk.now)
    if there and there.person != ticket.worker and ticket.status != Status.ACCEPTED:
        desk.alert_worker(ticket, "alert_taken", "moved to another grid")
        desk.assign(ticket, there)
    else:
        desk.alert_worker(ticket, "alert_seen", "seen in a picture", card=True)
