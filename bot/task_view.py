"""What the task page shows of a ticket: plain values in Chinese words, without phones and without residents' names."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

import sqlalchemy as sa

from bot.channels.coordinates import gcj02_from_wgs84
from bot.task_correct import Correct, correctable
from config.tables import category_name
from handlers import dispatch
from handlers.desk import SYSTEM, Desk
from handlers.texts import word
from handlers.workflow import Actor, may
from models.deadline import Deadline
from models.person import STAFF, WORKERS, Role
from models.ticket import Attachment, Status, Ticket, TicketEvent, TicketMessage

# Where each button takes a ticket. The workflow says whether it may go there; 到场 alone leaves it where it is.
LEADS_TO = {
    "accept": Status.ACCEPTED,
    "arrive": Status.ACCEPTED,
    "done": Status.RESOLVED,
    "transfer": Status.ASSIGNED,
    "dismiss": Status.DISMISSED,
}
# What the history of a ticket names; anything else is told as an update. The words: `event_…` of replies.yaml.
EVENTS = frozenset({
    "opened", "assigned", "accepted", "arrived", "transferred", "resolved", "closed", "reopened", "withdrawn",
    "dismissed", "report", "detail", "join", "correct", "relay", "refuse", "unsatisfied", "rated", "asked", "urgent",
    "reminded", "escalated", "overdue", "unreachable", "refused", "note", "left", "recounted", "set_category",
    "set_place", "calmed", "hidden", "shown", "merged", "took_over", "split", "split_from",
    "disliked", "left_out",
})  # fmt: skip
WORDLESS = {"image": "photo", "voice": "voice", "video": "video", "location": "location"}
MESSAGES = 100
# Mobile numbers however they are spaced, and landlines with their area code. `\d` also matches full-width digits.
PHONE = re.compile(
    r"(?<!\d)(?:[+＋]?86[- ]?)?(?:[1１][3-9３-９]\d(?:[-－ ]?\d{4}){2}|[0０]\d{2,3}[-－ ]?\d{7,8})(?!\d)"
)
ASSIGNEE = re.compile(r"(\S+) \(")


class _Labels(Mapping[str, str]):
    """The words on the buttons, read when they are asked for: the deployment's own table may come later than this."""

    def __getitem__(self, name: str) -> str:
        if name not in LEADS_TO:
            raise KeyError(name)
        return word(f"button_{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(LEADS_TO)

    def __len__(self) -> int:
        return len(LEADS_TO)


LABELS = _Labels()


@dataclass(frozen=True, slots=True)
class Said:
    """One message. id: its row's. photos: names under the page's media address."""

    id: int
    who: str
    at: str
    text: str
    photos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the history."""

    at: str
    who: str
    what: str
    note: str


@dataclass(frozen=True, slots=True)
class View:
    """The whole page. actions: the buttons that the workflow allows this person now. map: a link, or "". correct: what
    she may put right, or None.

    mark: changes whenever anything on the page does.
    """

    number: str
    status: str
    status_text: str
    urgent: bool
    overdue: bool
    facts: tuple[tuple[str, str], ...]
    map: str
    said: tuple[Said, ...]
    steps: tuple[Step, ...]
    actions: tuple[str, ...]
    correct: Correct | None
    mark: str


def masked(text: str) -> str:
    """The text without telephone numbers."""
    return PHONE.sub(lambda _: word("phone"), text)


def name_of(desk: Desk, person: str | None) -> str:
    """Workers and staff by name, a micro-grid leader by her role, everybody else as 居民."""
    if person == SYSTEM:
        return word("system")
    roles = desk.town.roles(person)
    if person and roles & (WORKERS | STAFF):
        return desk.town.people[person].name
    return word("leader" if Role.LEADER in roles else "somebody")


def view(desk: Desk, ticket: Ticket, person: str) -> View:
    """The ticket as `person`, a code, may see it. Reads only."""
    moment = _moments(desk)
    rows = _messages(desk, ticket)
    media = _attachments(desk, ticket)
    events = desk.session.scalars(
        sa.select(TicketEvent).where(TicketEvent.ticket == ticket.id).order_by(TicketEvent.id)  # type: ignore[arg-type]
    ).all()
    return View(
        number=ticket.number,
        status=ticket.status.value,
        status_text=word(ticket.status.value, "statuses"),
        urgent=ticket.urgent,
        overdue=ticket.is_open and _overdue(desk, ticket),
        facts=tuple(_facts(desk, ticket)),
        map=_map(desk, ticket, media),
        said=tuple(said for row in rows if (said := _said(desk, row, media, moment)) is not None),
        steps=tuple(_step(desk, event, moment) for event in events),
        actions=tuple(_actions(desk, ticket, person, events)),
        correct=correctable(desk, ticket, person, rows),
        mark=f"{ticket.version}.{len(events)}.{rows[-1].id if rows else 0}.{len(media)}",
    )


def _actions(desk: Desk, ticket: Ticket, person: str, events: Sequence[TicketEvent]) -> list[str]:
    """What to offer. Only an offer: whoever presses is checked again by the handler."""
    if not dispatch.may_act(desk.town, person, ticket.grid, ticket.worker, ticket.category):
        return []
    arrived = False
    for event in events:
        arrived = event.what == "arrived" or (arrived and event.what not in ("assigned", "reopened"))
    offered = [name for name, to in LEADS_TO.items() if may(ticket, to, Actor.WORKER)]
    if ticket.status == Status.ACCEPTED and not arrived:
        offered.insert(0, "arrive")
    return offered


def _facts(desk: Desk, ticket: Ticket) -> list[tuple[str, str]]:
    grid = desk.town.grids.get(ticket.grid or "")
    facts = [
        (word("fact_place"), masked(desk.place_name(ticket) + ticket.spot) or word("unknown_place")),
        (word("fact_category"), category_name(ticket.category)),
        (word("fact_grid"), grid.name if grid else ""),
        (word("fact_due"), desk.due_text(ticket)),
        (word("fact_people"), str(desk.supporters(ticket) or "")),
        (word("fact_worker"), name_of(desk, ticket.worker) if ticket.worker else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _overdue(desk: Desk, ticket: Ticket) -> bool:
    due = sa.select(Deadline.due_at).where(Deadline.ticket == ticket.id, Deadline.kind == "settle")  # type: ignore[call-overload]
    last: datetime | None = desk.session.scalars(due.order_by(sa.desc(Deadline.round)).limit(1)).first()  # type: ignore[call-overload]
    return last is not None and last <= desk.now


def _map(desk: Desk, ticket: Ticket, media: Sequence[Attachment]) -> str:
    """A marker on the map: the newest pin, else the place itself. It carries the ticket's number and no words.

    Source: 高德地图 URI API, 单点标注 (`position` is lon,lat in GCJ-02).
    """
    points = [(one.lon, one.lat) for one in media]
    place = desk.town.places.get(ticket.place or "")
    points.insert(0, (place.lon, place.lat) if place else (None, None))
    for lon, lat in reversed(points):
        if lon is not None and lat is not None:
            there = "{:.6f},{:.6f}".format(*gcj02_from_wgs84(lon, lat))
            return "https://uri.amap.com/marker?" + urlencode({"position": there, "name": ticket.number}, safe=",")
    return ""


def _messages(desk: Desk, ticket: Ticket) -> list[TicketMessage]:
    """The last ones, oldest first."""
    statement = sa.select(TicketMessage).where(TicketMessage.ticket == ticket.id)  # type: ignore[arg-type]
    newest = desk.session.scalars(statement.order_by(sa.desc(TicketMessage.id)).limit(MESSAGES)).all()  # type: ignore[call-overload]
    return list(reversed(newest))


def _attachments(desk: Desk, ticket: Ticket) -> Sequence[Attachment]:
    statement = sa.select(Attachment).where(Attachment.ticket == ticket.id)  # type: ignore[arg-type]
    return desk.session.scalars(statement.order_by(Attachment.id)).all()  # type: ignore[arg-type]


def _said(
    desk: Desk, row: TicketMessage, media: Sequence[Attachment], moment: Callable[[datetime], str]
) -> Said | None:
    own = [one for one in media if one.message == row.message]
    # What is not on our disk (a platform's voice, a photo not fetched yet) is named instead of shown.
    missing = [word(WORDLESS.get(one.kind, "file")) for one in own if not one.path]
    text = " ".join(filter(None, [masked(row.text), *missing]))
    photos = tuple(one.path for one in own if one.path)
    if not text and not photos:
        return None  # taken back, or a bare press of a button
    who = name_of(desk, desk.town.identities.get((row.channel, row.sender)))
    return Said(row.id or 0, who, moment(row.sent_at), text, photos)


def _step(desk: Desk, event: TicketEvent, moment: Callable[[datetime], str]) -> Step:
    what = word(f"event_{event.what if event.what in EVENTS else 'other'}")
    return Step(moment(event.at), name_of(desk, event.actor), what, _note(desk, event))


def _note(desk: Desk, event: TicketEvent) -> str:
    """The part of an event's note that is meant for people; evidence and codes stay out."""
    note = event.note
    match event.what:
        case "assigned":
            found = ASSIGNEE.match(note)
            return name_of(desk, found[1]) if found else ""
        case "unreachable" | "left_out":
            return name_of(desk, note)
        case "refused":
            return LABELS.get(note, "")
        case "escalated":
            return word(note, "levels") if note in dispatch.LEVELS else ""
        case "rated" | "closed":
            return f"{note}{word('stars')}" if note.isdigit() else ""
        case "resolved" | "dismissed" | "transferred" | "unsatisfied" | "note" | "disliked":
            return masked(note)
    return _corrected(desk, event)


def _corrected(desk: Desk, event: TicketEvent) -> str:
    """The same of what staff put right: kinds and places by name, other tickets by number."""
    match event.what:
        case "set_category":
            return " → ".join(map(category_name, event.note.split(" → ")))
        case "set_place":
            known = desk.town.places.get(event.note) or desk.town.grids.get(event.note)
            return known.name if known else ""
        case "merged" | "took_over" | "split" | "split_from":
            return event.note
    return ""


def _moments(desk: Desk) -> Callable[[datetime], str]:
    """Local times as people write them: 08:12 today, 3月2日 08:12 on other days."""
    zone = desk.calendar.zone
    today = desk.now.astimezone(zone).date()

    def moment(at: datetime) -> str:
        local = at.astimezone(zone)
        clock = f"{local:%H:%M}"
        return clock if local.date() == today else f"{local.month}月{local.day}日 {clock}"

    return moment
