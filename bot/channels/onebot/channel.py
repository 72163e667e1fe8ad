"""The server side of OneBot v11's reverse WebSocket (反向 WebSocket): the implementation dials us.

Nothing is acknowledged on this road: what the implementation sends while our database is away is held here in order
and kept as soon as it is back, and what is said while nobody is connected is not heard. The other way round the outbox
waits: while nobody is connected this process takes no rows of this channel.
"""

import asyncio
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from aiohttp import WSMsgType, web

from bot import metrics
from bot.channels import media, proofs, render
from bot.channels.base import Capabilities, Channel, Proof, SendFailed
from bot.channels.known import Known
from bot.channels.media import NotFetched
from bot.channels.onebot.events import GROUP, NAME, number, read, target
from bot.channels.onebot.link import RECONNECT, Link
from bot.channels.sealed import check_json
from bot.channels.security import Refused
from bot.ingest import Busy, Ingest
from config.side_channels import OneBotSettings
from models.base import Clock, utc_now
from models.database import Database
from models.inbox import find
from models.message import Incoming, Media, Outgoing, Purpose

log = structlog.get_logger(__name__)

PATH = "/onebot/v11/ws"
TEXT_BYTES = 4_500  # QQ takes about that much; the standard names no limit
FRAME_BYTES = 1024 * 1024
HEARTBEAT = 20.0  # seconds between pings; a half-open connection is found out after one and a half of them
HELD = 1_000  # messages that wait for the database; then the implementation is made to wait
TRIES = 5  # for a message that the database refuses although it is there
CLOSING = 0.8  # seconds to keep what is held when the process ends
TERMS = (
    "OneBot speaks through a QQ account of your own, which Tencent's terms do not allow: the account can be blocked, "
    "and whoever runs the implementation reads along. Use it for trials, with people who know."
)


class OneBot(Channel):
    """The one connection of the one account, and what was heard on it."""

    name = NAME

    def __init__(
        self, settings: OneBotSettings, ingest: Ingest, db: Database, clock: Clock = utc_now, *, patience: float = 1.0
    ) -> None:
        """patience: seconds between two tries to keep a message. Raises ValueError when there is no token."""
        if settings.token is None or not settings.enabled:
            raise ValueError(f"{NAME}: not set: token")
        self.can = Capabilities(dedups=False, max_bytes=TEXT_BYTES, rate=settings.rate)
        self._proof = f"Bearer {settings.token.get_secret_value()}".encode()
        self._settings = settings
        self._ingest = ingest
        self._db = db
        self._clock = clock
        self._patience = patience
        self._known = Known(db)
        self._link: Link | None = None
        self._heard: asyncio.Queue[Incoming] = asyncio.Queue(HELD)
        self._keeper: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """An implementation is connected to this very process, and logged in."""
        return self._link is not None and self._link.online

    @property
    def holds(self) -> bool:
        """The implementation dials a process that serves, and that may be one without a worker."""
        return True

    @property
    def state(self) -> str:
        """`up`, `waiting` for the implementation to dial, or `offline` when its QQ login is gone."""
        if self._link is None:
            return "waiting"
        return "up" if self._link.online else "offline"

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The address that is entered at the implementation as a reverse WebSocket, role Universal."""
        return [web.get(PATH, self._dial)]

    async def start(self) -> None:
        """Say what this is, and begin to keep what is heard."""
        log.warning("onebot.on", warning=TERMS)
        self._keeper = asyncio.create_task(self._keep(), name=NAME)

    async def stop(self) -> None:
        """Hang up, then keep what is held, if the database takes it in time."""
        if self._link is not None:
            await self._link.close("going away")
        if self._keeper is None:
            return
        waiting = asyncio.ensure_future(self._heard.join())
        await asyncio.wait({waiting}, timeout=CLOSING)
        if not waiting.done():
            log.error("onebot.lost", messages=self._heard.qsize() + 1)  # and the one in hand
            waiting.cancel()
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        self._keeper = None

    async def prove(self, public_url: str) -> list[Proof]:
        """Our address turns away who has no token, and takes ours: with no account named it goes no further than that,
        for a whole dial would replace the implementation's own connection."""
        there = await proofs.refuses(public_url, PATH, with_status=401)
        if there.state != proofs.OK:
            return [there]
        headers = {"Authorization": self._proof.decode()}
        status = await proofs.status(public_url, PATH, headers)
        if status == web.HTTPBadRequest.status_code:
            said = "the process there takes this token; that the implementation has the same one, its log says"
            return [there, Proof("credentials", proofs.OK, said)]
        why = "has another token than these settings: start it anew, after LINSHENG_ONEBOT__TOKEN was changed"
        if status != web.HTTPForbidden.status_code:
            why = f"answered {status or 'nothing'} to it: does the proxy pass `Authorization` on?"
        return [there, Proof("credentials", proofs.FAIL, f"the process there {why}.")]

    # --- the connection -----------------------------------------------------------------------------------------

    def _admit(self, request: web.Request) -> str:
        """The account that dials. Raises HTTPUnauthorized, HTTPForbidden, HTTPBadRequest or HTTPConflict."""
        given = request.headers.get("Authorization", "")
        if not given:
            raise self._refused("token", web.HTTPUnauthorized())
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._proof):
            raise self._refused("token", web.HTTPForbidden())
        try:
            account = number(request.headers.get("X-Self-ID", ""))
        except Refused:
            raise self._refused("malformed", web.HTTPBadRequest()) from None
        if request.headers.get("X-Client-Role", "Universal").lower() != "universal":
            raise self._refused("role", web.HTTPBadRequest())
        if account != (self._settings.account or account):
            raise self._refused("account", web.HTTPForbidden())
        if self._link is not None and self._link.account != account:
            raise self._refused("second account", web.HTTPConflict())
        return account

    def _refused(self, why: str, error: web.HTTPException) -> web.HTTPException:
        metrics.refused.labels(NAME, why).inc()
        log.warning("onebot.refused", why=why)
        return error

    async def _dial(self, request: web.Request) -> web.StreamResponse:
        account = self._admit(request)
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=FRAME_BYTES, timeout=2.0)
        await socket.prepare(request)
        link = Link(socket, account, action_seconds=self._settings.action_seconds)
        before, self._link = self._link, link
        hanging_up = asyncio.create_task(before.close("a newer connection")) if before is not None else None
        log.info("onebot.connected", instead=before is not None)
        try:
            async for frame in socket:
                if frame.type == WSMsgType.TEXT:
                    await self._frame(link, frame.data)
        finally:
            link.end()
            if self._link is link:
                self._link = None
            log.info("onebot.gone", code=socket.close_code)
            if hanging_up is not None:
                await asyncio.wait({hanging_up})
        return socket

    async def _frame(self, link: Link, data: str) -> None:
        try:
            letter = check_json(data)
            kind = letter.get("post_type")
            if kind is None and "echo" in letter:
                link.settle(letter)
            elif kind == "meta_event":
                self._pulse(link, letter)
            elif (incoming := read(letter, link.account)) is not None:
                await self._heard.put(incoming)
        except Refused as refused:
            metrics.refused.labels(NAME, refused.why).inc()
            log.warning("callback.refused", channel=NAME, why=refused.why)

    def _pulse(self, link: Link, event: dict[str, Any]) -> None:
        """heartbeat and lifecycle: whether QQ itself is there behind the implementation."""
        status = event.get("status")
        online = not (isinstance(status, dict) and status.get("online") is False)
        if online != link.online:
            link.online = online
            log.warning("onebot.login", online=online)

    # --- what is heard ------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            incoming = await self._heard.get()
            tries = 0
            while not await self._kept(incoming, last=tries >= TRIES):
                tries += 1
                await asyncio.sleep(self._patience)
            self._heard.task_done()

    async def _kept(self, incoming: Incoming, *, last: bool) -> bool:
        """True when the message is settled: on disk, or none of our business. last: the next refusal is final."""
        try:
            if not incoming.direct and await self._known.group(NAME, incoming.chat) is None:
                metrics.refused.labels(NAME, "unknown group").inc()
                return True
            await self._ingest.accept(incoming)
        except (Busy, sa.exc.OperationalError) as error:  # the database is away or behind: it will be back
            log.warning("onebot.not_kept", error=type(error).__name__, held=self._heard.qsize())
            return False
        except Exception as error:
            log.error("onebot.not_kept", error=type(error).__name__, last=last)
            return last
        return True

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A picture, voice or video from where QQ keeps it; see `bot.fetching`. Raises NotFetched."""
        if not wanted.url:
            raise NotFetched("the implementation gave no address")
        data = await media.fetch(wanted.url, hosts=self._settings.media_hosts)
        return await asyncio.to_thread(media.keep, folder, data, wanted.name)

    # --- what is said -------------------------------------------------------------------------------------------

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As one text, with the message quoted that it answers; cards as words to type. See `Channel.send`."""
        where = target(out.chat)
        parts = render.text(out, TEXT_BYTES, most=1, group=out.chat.startswith(GROUP))
        if where is None or not parts:
            raise SendFailed("there is no such chat" if where is None else "the message is empty", final=True)
        link = self._link
        if link is None:
            raise SendFailed("nobody is connected", after=RECONNECT)
        action, params = where
        message: list[dict[str, Any]] = [{"type": "text", "data": {"text": parts[0]}}]
        if quoted := await self._quoted(out):
            message.insert(0, {"type": "reply", "data": {"id": quoted}})
        data = await link.act(action, {**params, "message": message})
        answered = data.get("message_id", "")
        return str(answered)[:128] if isinstance(answered, int | str) else ""

    async def _quoted(self, out: Outgoing) -> str | None:
        """The message that this one answers, if it was said in the same chat."""
        trigger = out.trigger
        if out.purpose != Purpose.REPLY or trigger is None or trigger.startswith("recall-"):
            return None
        row = await self._db.run(lambda session: find(session, NAME, out.chat, trigger))
        return None if row is None else trigger
