"""The webhook mode of an AI bot, the platform's end. Sources: 企业微信 101033, 100719, 101027, 101031, 101138."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.platform.aibot import STREAM_LIFE, AiBot, Turn
from bot.platform.api import read_json
from bot.platform.codes import PlatformError, fine, need
from bot.platform.crypto import BadEnvelope, Sealer, random_word
from bot.platform.push import PATIENCE, TRIES, Push, Pusher
from bot.platform.world import Body, Bubble

RESPONSE = "/cgi-bin/aibot/response"
RESPONSE_LIFE = timedelta(hours=1)
CHECK_SECONDS = 1.0
POLL_SECONDS = 1.0  # not documented


class Webhook:
    """Callbacks to one address. url: empty while the mode is off. complaints: answers that could not be used."""

    def __init__(self, bot: AiBot, pusher: Pusher, complaints: list[str]) -> None:
        self.url = ""
        self.base = ""
        self.same_msgid = False  # refresh polls repeat the message's own id: not documented either way
        self._bot = bot
        self._pusher = pusher
        self._complaints = complaints
        self._responses: dict[str, tuple[Turn, datetime]] = {}
        self._streams: dict[str, Turn] = {}
        self._polls: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Where the one later answer goes."""
        return [web.post(RESPONSE, self._respond)]

    async def stop(self) -> None:
        """End the polling."""
        for task in list(self._polls):
            task.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)

    async def verify(self) -> bool:
        """The address check when the address is entered: the very text, within a second."""
        echo = random_word(20)
        sealer, stamp, nonce = self._sealer(), self._stamp(), random_word(16)
        sealed = sealer.seal(echo)
        query = {"msg_signature": sealer.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
        push = await self._pusher.get(self.url, query | {"echostr": sealed}, CHECK_SECONDS)
        return push.taken and push.body == echo

    async def push(self, body: Body, turn: Turn) -> Push:
        """Deliver a callback and carry out what the app answers at once."""
        if turn.kind in ("message", "card"):
            code = random_word(40)
            self._responses[code] = (turn, self._bot.clock())
            body = body | {"response_url": f"{self.base}{RESPONSE}?response_code={code}"}
        push, answer = await self._post(body, tries=1 if turn.kind == "card" else TRIES)
        if answer is not None:
            self._carry_out(turn, answer)
        return push

    async def poll(self) -> int:
        """Ask once for the state of every unfinished stream; returns how many are still unfinished."""
        for name, turn in list(self._streams.items()):
            await self._poll_one(name, turn)
        return len(self._streams)

    # --- the app's answers ------------------------------------------------------------------------------------------

    async def _post(self, body: Body, tries: int) -> tuple[Push, Any]:
        sealer, stamp, nonce = self._sealer(), self._stamp(), random_word(16)
        sealed = sealer.seal(json.dumps(body, ensure_ascii=False))
        query = {"msg_signature": sealer.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
        push = await self._pusher.post(
            self.url, query, json.dumps({"encrypt": sealed}).encode(), content_type="application/json", tries=tries,
            patience=PATIENCE,
        )  # fmt: skip
        if not push.taken or not push.body.strip():
            return push, None
        try:
            letter = json.loads(push.body)
            if not isinstance(letter, dict) or not isinstance(letter.get("timestamp"), int):
                raise BadEnvelope("`timestamp` is an integer")
            if letter.get("nonce") != nonce:
                raise BadEnvelope("the nonce is not the callback's")
            opened = sealer.open(letter["encrypt"], letter["msgsignature"], str(letter["timestamp"]), nonce)
            return push, json.loads(opened)
        except (ValueError, KeyError, TypeError, BadEnvelope) as error:
            self._complaints.append(f"{body['msgtype']}: the answer cannot be read: {type(error).__name__} {error}")
            return push, None

    def _carry_out(self, turn: Turn, answer: Body) -> None:
        if not answer:
            return  # `{}`: nothing to say
        try:
            if turn.kind == "welcome":
                self._bot.welcome(turn, answer)
            elif turn.kind == "card":
                self._bot.update(turn, answer)
            else:
                self._bot.respond(turn, answer, pictures=True)
                stream = answer.get("stream") or {}
                if stream and not stream.get("finish"):
                    self._follow(str(stream["id"]), turn)
        except PlatformError as error:
            self._complaints.append(f"{turn.kind}: {error.answer}")

    def _follow(self, name: str, turn: Turn) -> None:
        if name not in self._streams:
            self._streams[name] = turn
            task = asyncio.ensure_future(self._keep_polling(name, turn))
            self._polls.add(task)
            task.add_done_callback(self._polls.discard)

    async def _keep_polling(self, name: str, turn: Turn) -> None:
        while name in self._streams:
            await self._bot.clock.wait(POLL_SECONDS)
            if name in self._streams:
                await self._poll_one(name, turn)

    async def _poll_one(self, name: str, turn: Turn) -> None:
        if self._bot.clock() - turn.at >= STREAM_LIFE:
            self._streams.pop(name, None)
            return
        body = self._bot.head(turn.chat, turn.user, "stream") | {"stream": {"id": name}}
        if self.same_msgid:
            body["msgid"] = turn.msgid
        _, answer = await self._post(body, tries=1)
        if not answer:
            return
        try:
            bubble: Bubble = self._bot.respond(turn, answer, pictures=True)
        except PlatformError as error:
            self._complaints.append(f"stream: {error.answer}")
            return
        if bubble.finished:
            self._streams.pop(name, None)

    async def _respond(self, request: web.Request) -> web.Response:
        """`response_url`: one call within an hour, in the clear."""
        held = self._responses.get(request.query.get("response_code", ""))
        if held is None:
            raise PlatformError(40058, "response_code")
        turn, at = held
        need(self._bot.clock() - at < RESPONSE_LIFE, 40058, "response_code expired")
        body = await read_json(request)
        need(body.get("msgtype") in ("markdown", "template_card"), 40008)
        bubble = self._bot.post(turn.chat, body)
        del self._responses[request.query["response_code"]]
        if not self._bot.direct(turn.chat):
            said = next((old for old in self._bot.world.talk(turn.chat) if old.id == turn.msgid), None)
            bubble.quote = said.text if said else ""
        return web.json_response(fine())

    def _sealer(self) -> Sealer:
        return Sealer(self._bot.token, self._bot.aes_key, "")

    def _stamp(self) -> str:
        return str(int(self._bot.clock().timestamp()))
