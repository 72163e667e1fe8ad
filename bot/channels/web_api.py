"""The addresses under /chat/api: people, chats, history, posting, photos, places, and the stream of new lines."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import sqlalchemy as sa
from aiohttp import web
from sqlmodel import Session

from bot import metrics
from bot.channels.web_fault import Fault, answering
from bot.channels.web_lines import Line, history, last_lines
from bot.channels.web_people import chats_of, enter, member, members
from bot.channels.web_photo import keep, stored
from bot.channels.web_post import read, store
from bot.channels.web_stream import Feed, newest
from models.base import Clock
from models.database import Database
from models.grid import Place

HISTORY = 60  # lines of one page of history
PLACES = 30  # places of one search
HEARTBEAT = 15.0  # seconds
MAX_ID = 2**63 - 1


class WebApi:
    """Reads and writes the web chat for browsers. Every fault is 4xx JSON with `error` and `field`."""

    def __init__(self, db: Database, media: Path, feed: Feed, *, wake: Callable[[], None], clock: Clock) -> None:
        """media: the folder of the photos. wake: called after a message was stored."""
        self._db = db
        self._media = media
        self._feed = feed
        self._wake = wake
        self._clock = clock

    def routes(self) -> list[web.AbstractRouteDef]:
        """All of them."""
        return [
            web.get("/chat/api/people", self.people),
            web.get("/chat/api/people/{code}", self.person),
            web.get("/chat/api/chats/{chat}/messages", self.messages),
            web.post("/chat/api/chats/{chat}/messages", self.post),
            web.get("/chat/api/stream", self.stream),
            web.get("/chat/api/places", self.places),
            web.get("/chat/api/media/{name}", self.photo),
        ]

    @answering
    async def people(self, _request: web.Request) -> web.Response:
        """{"people": [{code, name, user, home, roles}]}."""
        found = await self._db.run(members)
        return web.json_response({"people": [who.view() for who in found]})

    @answering
    async def person(self, request: web.Request) -> web.Response:
        """{"person", "chats": [{code, name, kind, last}], "head"}: the chat spoken in last comes first.

        head: the id to begin the stream after.
        """
        code = request.match_info["code"]

        def work(session: Session) -> dict[str, object]:
            head = newest(session)
            who = member(session, code)
            chats = chats_of(session, who)
            last = last_lines(session, [chat.code for chat in chats])
            chats.sort(key=lambda chat: -last[chat.code]["id"] if chat.code in last else 0)
            views = [
                {"code": chat.code, "name": chat.name, "kind": chat.kind.value, "last": last.get(chat.code)}
                for chat in chats
            ]
            return {"person": who.view(), "chats": views, "head": head}

        return web.json_response(await self._db.run(work))

    @answering
    async def messages(self, request: web.Request) -> web.Response:
        """{"messages": [...], "more"}: the last lines, or those before the id `before`; oldest first."""
        code, chat = request.query.get("person", ""), request.match_info["chat"]
        before = _id(request.query.get("before"), "before")

        def work(session: Session) -> list[Line]:
            enter(session, member(session, code), chat)
            return history(session, chat, before, HISTORY)

        found = await self._db.run(work)
        return web.json_response({"messages": found, "more": len(found) == HISTORY})

    @answering
    async def post(self, request: web.Request) -> web.Response:
        """{"message": {...}} once the message is on disk for both the chat and the worker."""
        chat = request.match_info["chat"]
        post, data, name = await read(request)
        post.settled(photo=data is not None)

        def may(session: Session) -> None:
            enter(session, member(session, post.person), chat)

        media = None
        if data is not None:
            await self._db.run(may)  # nobody fills the disk in a chat that is not hers
            media = await asyncio.to_thread(keep, self._media, data, name)
        line, new = await self._db.run(store(post, chat, media, self._clock()))
        metrics.received.labels("new" if new else "duplicate").inc()
        self._feed.wake()
        self._wake()
        return web.json_response({"message": line})

    @answering
    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, one for each new line in any chat of the person; the event's id is the line's.

        Without `after` and Last-Event-ID it begins with what is said from the moment the answer begins.
        """
        code = request.query.get("person", "")
        after = _id(request.headers.get("Last-Event-ID") or request.query.get("after"), "after")

        def work(session: Session) -> tuple[list[str], int]:
            chats = [chat.code for chat in chats_of(session, member(session, code))]
            return chats, newest(session) if after is None else after

        chats, start = await self._db.run(work)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        try:
            await response.write(b"retry: 1000\n\n")
            beat = time.monotonic()
            async with aclosing(self._feed.listen(chats, start)) as heard:
                async for line in heard:
                    # Nobody tells a waiting handler that its client has left: look at every turn.
                    if request.transport is None or request.transport.is_closing():
                        break
                    if line is not None:
                        data = json.dumps(line, ensure_ascii=False)
                        await response.write(f"id: {line['id']}\ndata: {data}\n\n".encode())
                    elif time.monotonic() - beat >= HEARTBEAT:
                        await response.write(b": still here\n\n")
                    else:
                        continue
                    beat = time.monotonic()
        except ConnectionError:
            return response  # the client has left; it comes back with its last id
        return response

    @answering
    async def places(self, request: web.Request) -> web.Response:
        """{"places": [{code, name, kind, lon, lat}]} whose name or other names contain `q`, shortest name first."""
        wanted = request.query.get("q", "").replace("\0", "").strip()[:64]

        def work(session: Session) -> list[dict[str, object]]:
            statement = sa.select(Place).where(Place.lon.is_not(None), Place.lat.is_not(None))  # type: ignore[union-attr]
            if wanted:
                named = Place.name.contains(wanted, autoescape=True)  # type: ignore[attr-defined]
                statement = statement.where(named | Place.aliases.contains(wanted, autoescape=True))  # type: ignore[attr-defined]
            statement = statement.order_by(sa.func.length(Place.name), Place.code).limit(PLACES)
            return [
                {"code": place.code, "name": place.name, "kind": place.kind, "lon": place.lon, "lat": place.lat}
                for place in session.scalars(statement)
            ]

        return web.json_response({"places": await self._db.run(work)})

    @answering
    async def photo(self, request: web.Request) -> web.StreamResponse:
        """A kept photo; its name is its content, so a browser may keep it for ever."""
        path, mime = stored(self._media, request.match_info["name"])
        headers = {
            "Content-Type": mime,
            "Cache-Control": "private, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'",
        }
        return web.FileResponse(path, headers=headers)


def _id(text: str | None, field: str) -> int | None:
    """The number in `text`, if there is one. Raises Fault 400."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_ID):
        raise Fault(400, "must be the id of a line", field)
    return int(text)
