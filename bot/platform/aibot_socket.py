"""The long connection of an AI bot, the platform's end. Source: 企业微信 101463; 8466xx codes from clients' reports.

What the page leaves open, and what is assumed: a wrong secret is 40125; more than 20 subscribes a minute are 45009; the
req_id of a callback is good only on the connection that it came on (846605 after a reconnect, as clients report).
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aiohttp import WSCloseCode, WSMsgType, web

from bot.platform.aibot import AiBot, Turn
from bot.platform.codes import PlatformError, fine, need
from bot.platform.limits import Rate
from bot.platform.uploads import Uploads
from bot.platform.world import Body

PATH = "/aibot-ws"
FRAME_BYTES = 2 * 1024 * 1024


class Connection:
    """One socket of the app. frozen: half-open; nothing that comes is answered, and it is not closed."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, session: int) -> None:
        self.ws = ws
        self.request = request
        self.session = session
        self.subscribed = False
        self.frozen = False
        self.pings = 0

    async def write(self, frame: Body) -> None:
        """Send a frame; into the void when the socket is half-open or gone."""
        if not self.frozen:
            with suppress(ConnectionError, RuntimeError):
                await self.ws.send_str(json.dumps(frame, ensure_ascii=False))

    def abort(self) -> None:
        """Reset, without a close frame."""
        if self.request.transport is not None:
            self.request.transport.abort()


class LongConnection:
    """The door that the bot's program dials. current: the subscribed connection."""

    def __init__(self, bot: AiBot) -> None:
        self.current: Connection | None = None
        self.down = False
        self.half_alive = False  # a kicked connection stays open, as the field reports
        self.kicked = 0
        self.subscribed = 0
        self.frames: list[Body] = []  # what the app sent, secrets masked, and the errcode that it was answered with
        self._bot = bot
        self._uploads = Uploads(bot.clock, bot.media)
        self._subscribes = Rate(20, timedelta(minutes=1))
        self._turns: dict[str, Turn] = {}
        self._open: set[Connection] = set()
        self._closing: set[asyncio.Future[bool]] = set()
        self._commands: dict[str, Callable[[str, Body], Body | None]] = {
            "aibot_respond_msg": lambda req, body: self._shown(bot.respond(self._turn(req), body, pictures=False)),
            "aibot_respond_welcome_msg": lambda req, body: self._shown(bot.welcome(self._turn(req), body)),
            "aibot_respond_update_msg": lambda req, body: self._shown(bot.update(self._turn(req), body)),
            "aibot_send_msg": self._send,
            "aibot_upload_media_init": lambda _req, body: self._uploads.begin(body),
            "aibot_upload_media_chunk": lambda _req, body: self._uploads.chunk(body),
            "aibot_upload_media_finish": lambda _req, body: self._uploads.finish(body),
        }

    def routes(self) -> list[web.RouteDef]:
        """The one address."""
        return [web.get(PATH, self._serve)]

    async def callback(self, command: str, body: Body, turn: Turn) -> bool:
        """Send a message or an event to the app. False when nobody is subscribed: it is lost, as on the platform."""
        connection = self.current
        if connection is None:
            return False
        turn.session = connection.session
        self._turns[turn.id] = turn
        await connection.write({"cmd": command, "headers": {"req_id": turn.id}, "body": body})
        return True

    async def cut(self, *, clean: bool = False) -> None:
        """End all connections: with a close frame of 1000, or by a reset."""
        self.current = None
        for connection in list(self._open):
            if clean:
                await connection.ws.close(code=WSCloseCode.OK)
            else:
                connection.abort()

    def freeze(self) -> None:
        """Make the subscribed connection half-open; the app can only notice the silence."""
        if self.current is not None:
            self.current.frozen = True

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=False, max_msg_size=FRAME_BYTES)
        await ws.prepare(request)
        connection = Connection(ws, request, secrets.randbits(48))
        self._open.add(connection)
        try:
            async for message in ws:
                if connection.frozen:
                    continue
                if message.type is WSMsgType.PING:
                    await ws.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._hear(connection, message.data)
        finally:
            self._open.discard(connection)
            if self.current is connection:
                self.current = None
            self._bot.world.touch()
        return ws

    async def _hear(self, connection: Connection, raw: str) -> None:
        told: Body = {"cmd": "", "headers": {"req_id": ""}, "body": {}}
        self.frames.append(told)
        try:
            command, req, body = _opened(raw)
            masked = {name: "***" if name in ("secret", "base64_data") else value for name, value in body.items()}
            told |= {"cmd": command, "headers": {"req_id": req}, "body": masked}
            more = await self._obey(connection, command, req, body)
            answer = fine() | ({"body": more} if more else {})
        except PlatformError as error:
            answer = error.answer
        told["errcode"] = answer["errcode"]
        await connection.write({"headers": told["headers"], **answer})
        self._bot.world.touch()

    async def _obey(self, connection: Connection, command: str, req: str, body: Body) -> Body | None:
        if command == "ping":
            connection.pings += 1
            return None
        if command == "aibot_subscribe":
            await self._subscribe(connection, body)
            return None
        need(connection.subscribed and connection is self.current, 846609)
        handler = self._commands.get(command)
        if handler is None:
            raise PlatformError(40008, str(command))
        return handler(req, body)

    async def _subscribe(self, connection: Connection, body: Body) -> None:
        self._subscribes.take("", self._bot.clock())
        need(body.get("bot_id") == self._bot.id and body.get("secret") == self._bot.secret, 40125)
        old = self.current
        connection.subscribed = True
        self.current = connection
        self.subscribed += 1
        if old is not None and old is not connection:
            self.kicked += 1
            await self._kick(old)

    async def _kick(self, old: Connection) -> None:
        body = {"msgid": secrets.token_urlsafe(24), "create_time": int(self._bot.clock().timestamp())}
        body |= {"aibotid": self._bot.id, "msgtype": "event", "event": {"eventtype": "disconnected_event"}}
        frame = {"cmd": "aibot_event_callback", "headers": {"req_id": secrets.token_hex(16)}, "body": body}
        await old.write(frame)
        if not self.half_alive and not old.frozen:
            # Beside, not here: the new connection must not wait until the old one has answered the close frame.
            closing = asyncio.ensure_future(old.ws.close(code=WSCloseCode.OK))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _turn(self, req: str) -> Turn:
        turn = self._turns.get(req)
        if turn is None or self.current is None or turn.session != self.current.session:
            raise PlatformError(846605)
        return turn

    def _send(self, _req: str, body: Body) -> Body | None:
        self._bot.send(str(body.get("chatid", "")), int(body.get("chat_type") or 0), body)
        return None

    @staticmethod
    def _shown(_bubble: object) -> None:
        return None


def _opened(raw: str) -> tuple[str, str, Body]:
    """Command, request id and body of a frame. Raises PlatformError 47001."""
    try:
        frame = json.loads(raw)
        command, req, body = frame["cmd"], frame["headers"]["req_id"], frame.get("body") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlatformError(47001) from None
    need(isinstance(command, str) and isinstance(req, str) and req and isinstance(body, dict), 47001)
    return command, req, body
