"""The page behind a task card's signed link, /task/{token}: the ticket on a gridworker's phone, with its buttons.

A press becomes a message on the person's own channel and is on disk before it is answered; the handlers decide about it
and check who pressed. The page only waits for what they said.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape
from sqlmodel import Session

from bot import metrics
from bot.channels.known import Known
from bot.channels.web_fault import Fault, answering
from bot.channels.web_photo import MAX_BYTES, keep, stored
from bot.task_correct import PAGE, places_near
from bot.task_press import MAX_NOTE, Press, read_press
from bot.task_view import LABELS, View, view
from handlers import dispatch
from handlers.desk import Desk
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models import inbox, outbox
from models.base import Clock
from models.database import Database
from models.message import Incoming, Kind, Media, Purpose
from models.outbox import Outbox
from models.ticket import Attachment, Ticket

T = TypeVar("T")
Read = Callable[[str], tuple[int, str] | None]
WEB = Path(__file__).parent / "web"
ANSWERS = 40  # so many of a decision's messages are looked at for the answer to the one who pressed
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # The address is the key to the page: it goes to no other site and into no cache.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person is heard: her first identity and her direct chat there."""

    channel: str
    chat: str
    user: str
    name: str


class TaskPage:
    """Serves the page, its state and photos, and takes presses."""

    def __init__(
        self, db: Database, known: Known, read: Read, media: Path, wake: Callable[[], None], clock: Clock, zone: str
    ) -> None:  # fmt: skip
        self._db = db
        self._known = known
        self._read = read
        self._media = media
        self._wake = wake
        self._clock = clock
        self._calendar = WorkCalendar.configured(ZoneInfo(zone))
        self._page = Environment(
            loader=FileSystemLoader(WEB / "templates"), autoescape=select_autoescape(), auto_reload=False
        ).get_template("task.html")

    def routes(self) -> list[web.AbstractRouteDef]:
        """All addresses under /task/{token}."""
        return [
            web.get("/task/{token}", self.page),
            web.get("/task/{token}/state", self.state),
            web.post("/task/{token}/act", self.act),
            web.get("/task/{token}/media/{name}", self.photo),
            web.get("/task/{token}/places", self.places),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The ticket; 403 in plain words for a link that is forged, expired, of a ticket that is gone, or of somebody
        who has nothing to do with it any more."""
        try:
            shown = await self._view(request)
        except Fault as fault:
            return web.Response(
                text=self._page.render(task=None), status=fault.status, content_type="text/html", headers=HEADERS
            )
        text = self._page.render(
            task=shown, labels=LABELS, words=PAGE, token=request.match_info["token"], max_note=MAX_NOTE,
            max_bytes=MAX_BYTES,
        )  # fmt: skip
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    @answering
    async def state(self, request: web.Request) -> web.Response:
        """{"status", "status_text", "actions", "mark", "press"}; with ?press=client_id what became of that press:
        {"finished", "outcome", "answer"}, or null for one that is not known."""
        wanted = request.query.get("press", "")[:128]
        number, person = self._who(request)

        def work(session: Session, desk: Desk) -> dict[str, object]:
            shown = asdict(view(desk, _ticket(session, desk, number, person), person))
            found = {name: shown[name] for name in ("status", "status_text", "actions", "mark")}
            return found | {"press": _became(session, _address(desk.town, person), wanted)}

        return web.json_response(await self._with_desk(work), headers=HEADERS)

    @answering
    async def act(self, request: web.Request) -> web.Response:
        """{"accepted": client_id} once the press is on disk; the same press again is a success and changes nothing."""
        number, person = self._who(request)
        # Before a photo takes room on the disk.
        await self._with_desk(lambda session, desk: _ticket(session, desk, number, person))
        press, photo, name = await read_press(request)
        media = await asyncio.to_thread(keep, self._media, photo, name) if photo else None

        def work(session: Session, desk: Desk) -> int:
            where = _address(desk.town, person)
            if where is None:
                raise Fault(409, "no channel reaches this person")
            message = _incoming(press, number, where, media, desk.now)
            new = inbox.receive(session, [message], desk.now)
            row = inbox.find(session, where.channel, where.chat, message.id)
            if row is None or inbox.read(row).action != message.action:
                raise Fault(409, "this id was used for something else", "client_id")
            return new

        new = await self._with_desk(work)
        metrics.received.labels("new" if new else "duplicate").inc()
        self._wake()
        return web.json_response({"accepted": press.client_id}, headers=HEADERS)

    @answering
    async def places(self, request: web.Request) -> web.Response:
        """{"places": [{"code", "name"}]}: those of the ticket's community that fit ?q=, for who may correct it."""
        wanted = request.query.get("q", "")[:64]
        number, person = self._who(request)

        def work(session: Session, desk: Desk) -> list[dict[str, str]]:
            ticket = _ticket(session, desk, number, person)
            if not dispatch.may_correct(desk.town, person, ticket.grid, ticket.worker, ticket.category):
                raise Fault(403, "this person corrects nothing here", "token")
            return places_near(desk, ticket, wanted)

        return web.json_response({"places": await self._with_desk(work)}, headers=HEADERS)

    @answering
    async def photo(self, request: web.Request) -> web.StreamResponse:
        """A photo of this ticket, and of no other."""
        number, person = self._who(request)
        name = request.match_info["name"]
        path, mime = stored(self._media, name)

        def belongs(session: Session, desk: Desk) -> bool:
            _ticket(session, desk, number, person)
            own = sa.select(Attachment.id).where(Attachment.ticket == number, Attachment.path == name)  # type: ignore[call-overload]
            return session.scalars(own.limit(1)).first() is not None

        if not await self._with_desk(belongs):
            raise Fault(404, "there is no such photo", "name")
        headers = HEADERS | {"Content-Type": mime, "Content-Security-Policy": "default-src 'none'"}
        return web.FileResponse(path, headers=headers)

    def _who(self, request: web.Request) -> tuple[int, str]:
        """(ticket, person) that the link was made for. Raises Fault 403."""
        found = self._read(request.match_info["token"])
        if found is None:
            raise Fault(403, "this link is not valid, or no longer", "token")
        return found

    async def _view(self, request: web.Request) -> View:
        number, person = self._who(request)
        return await self._with_desk(lambda session, desk: view(desk, _ticket(session, desk, number, person), person))

    async def _with_desk(self, work: Callable[[Session, Desk], T]) -> T:
        def run(session: Session) -> T:
            return work(session, Desk(session, self._known.town(session), self._clock(), self._calendar, "task-page"))

        return await self._db.run(run)


def routes(
    db: Database, known: Known, read: Read, media: Path, wake: Callable[[], None], clock: Clock, zone: str
) -> list[web.AbstractRouteDef]:
    """The page's addresses and its files under /static/task.

    known: the town. read: a link's token to (ticket id, person code), None when it is forged or expired. media: the
    folder of the photos. wake: called after a press was stored. zone: of the times shown.
    """
    return [*TaskPage(db, known, read, media, wake, clock, zone).routes(), static_files()]


def static_files() -> web.AbstractRouteDef:
    """/static/task; it stands beside the web chat's /static, and serves where the web chat is off."""
    return web.static("/static/task", WEB / "static" / "task")


def _ticket(session: Session, desk: Desk, number: int, person: str) -> Ticket:
    """The link outlives a duty: what it shows is for those who may act on the ticket now, its worker among them."""
    ticket = session.get(Ticket, number)
    if ticket is None or not dispatch.may_act(desk.town, person, ticket.grid, ticket.worker, ticket.category):
        raise Fault(403, "this link is not valid, or no longer", "token")
    return ticket


def _address(town: Town, person: str) -> Address | None:
    known = town.people.get(person)
    for identity in town.addresses(person) if known else ():
        chat = town.direct_chat(identity.channel, person, identity.user)
        return Address(identity.channel, chat, identity.user, known.name if known else "")
    return None


def _incoming(press: Press, ticket: int, where: Address, media: Media | None, now: datetime) -> Incoming:
    return Incoming(
        id=press.client_id,
        channel=where.channel,
        chat=where.chat,
        sender=where.user,
        sender_name=where.name,
        sent_at=now,
        kind=Kind.CARD,
        direct=True,
        media=(media,) if media else (),
        action=press.key(ticket),
    )


def _became(session: Session, where: Address | None, client_id: str) -> dict[str, object] | None:
    """What the handlers did with a press, and their answer to the one who pressed."""
    row = inbox.find(session, where.channel, where.chat, client_id) if where and client_id else None
    if row is None or row.kind != Kind.CARD:
        return None
    # The keys that a decision on this row gives its messages.
    keys = [f"{row.dedup_key}>{count}" for count in range(ANSWERS)]
    said = session.scalars(
        sa.select(Outbox)
        .where(Outbox.dedup_key.in_(keys), Outbox.conversation == row.conversation)  # type: ignore[attr-defined, arg-type]
        .order_by(Outbox.id)  # type: ignore[arg-type]
    ).all()
    # What she decided may alert herself, too: that is no answer.
    replies = (out.text for out in map(outbox.read, said) if out.purpose == Purpose.REPLY)
    answer = next(replies, "")
    return {"finished": row.finished_at is not None, "outcome": row.outcome, "answer": answer}
