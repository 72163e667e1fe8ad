"""The web chat at /chat: the channel for showing and testing, where anybody may be anybody.

It looks like a neighbours' group on a phone. It is mounted only where the deployment switches the demo on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape
from sqlmodel import Session, col

from bot.channels.base import Capabilities, Channel
from bot.channels.render import discreet
from bot.channels.web_api import WebApi
from bot.channels.web_lines import BOT, put
from bot.channels.web_people import CHANNEL
from bot.channels.web_post import MAX_TEXT
from bot.channels.web_stream import Feed
from models.base import Clock, utc_now
from models.chat import Chat, ChatKind
from models.database import Database
from models.message import Outgoing

WEB = Path(__file__).parent.parent / "web"
# Only our own files run and only our own address is spoken to; `blob:` is the thumbnail of a photo not yet sent.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class WebChannel(Channel):
    """The web chat. A line shown and a message to be handled are rows of one transaction."""

    name = CHANNEL
    can = Capabilities(dedups=True, max_bytes=20_000, rate=200)

    def __init__(
        self,
        db: Database,
        media: Path,
        *,
        wake: Callable[[], None] = lambda: None,
        clock: Clock = utc_now,
        zone: str = "Asia/Shanghai",
    ) -> None:
        """media: the folder of the photos. wake: called when the worker has something to do. zone: of times shown."""
        self._db = db
        self._clock = clock
        self._zone = zone
        self._feed = Feed(db)
        self._api = WebApi(db, media, self._feed, wake=wake, clock=clock)
        self._pages = Environment(
            loader=FileSystemLoader(WEB / "templates"), autoescape=select_autoescape(), auto_reload=False
        )

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The page, its files under /static/, and what it calls under /chat/api."""
        return [
            web.get("/chat", self.page),
            web.static("/static", WEB / "static"),
            *self._api.routes(),
        ]

    async def page(self, _request: web.Request) -> web.Response:
        """The empty phone; scripts fill it."""
        text = self._pages.get_template("chat.html").render(zone=self._zone, max_text=MAX_TEXT)
        headers = {
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        }
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def stop(self) -> None:
        """End the open streams. Call it when the application begins to shut down: it waits for open requests."""
        await self._feed.close()

    async def send(self, out: Outgoing, client_id: str) -> str:
        """Show the bot's line; sent again with the same `client_id`, it is shown once and keeps its id."""
        now = self._clock()

        def work(session: Session) -> int | None:
            one = sa.select(col(Chat.kind)).where(col(Chat.channel) == CHANNEL, col(Chat.code) == out.chat)
            direct = session.scalars(one).first() == ChatKind.DIRECT
            body = (out if direct else discreet(out)).model_dump_json(exclude_defaults=True)
            row, _ = put(session, client_id=f"out:{client_id}", chat=out.chat, sender=BOT, body=body, at=now)
            return row.id

        number = await self._db.run(work)
        self._feed.wake()
        return str(number)
