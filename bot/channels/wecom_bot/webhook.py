"""The webhook mode (短连接): address check, encrypted callbacks, streams that are asked for again, and cards.

Platform pages 101039, 100719, 101027, 101031, 101033. A message is stored before it is answered with an open stream;
the polls of that stream bring the answer out. The stream's id is the message's own, so that any process can serve them.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from aiohttp import web

from bot.channels import render
from bot.channels.base import SendFailed
from bot.channels.door import greeting, refuse
from bot.channels.replays import Under
from bot.channels.sealed import Seal
from bot.channels.security import Refused, read_body, refusing
from bot.channels.wecom_bot import mailbox
from bot.channels.wecom_bot.letters import NAME, Letter, What, read
from bot.channels.wecom_bot.mailbox import Content
from bot.channels.wecom_bot.rates import Rates
from bot.channels.wecom_bot.turns import Turns
from bot.ingest import Busy
from handlers.texts import say
from models.base import Clock
from models.database import Database

log = structlog.get_logger(__name__)
PATH = f"/callback/{NAME}"
PREFIX = "m-"  # of a stream's id
Payload = dict[str, Any]


class Ears(Protocol):
    """What the channel does with a letter, whichever mode it came by."""

    async def keep(self, letter: Letter, under: Under | None = None) -> None:
        """Store what it says, with what its callback came under. Raises Refused for another letter's nonce, Busy, or
        what the database raises: it must not be acknowledged then."""

    async def pressed(self, letter: Letter) -> Payload | None:
        """The new face of a card whose press is stored, within the platform's five seconds."""


class Webhook:
    """The callback address."""

    def __init__(
        self, db: Database, seal: Seal, ears: Ears, rates: Rates, clock: Clock, *, bot_id: str, name: str = "",
        corp_id: str = "", body_bytes: int = 64 * 1024, feedback: bool = False,
    ) -> None:  # fmt: skip
        """bot_id: letters of another bot are refused. name: how people @ it. corp_id: see `read`. feedback: people may
        say under an answer whether it helped."""
        self._db = db
        self._seal = seal
        self._ears = ears
        self._rates = rates
        self._clock = clock
        self._bot_id = bot_id
        self._name = name
        self._corp_id = corp_id
        self._body_bytes = body_bytes
        self._asks_opinion = feedback
        self._order = Turns()
        self._answers: dict[What, Callable[[Letter], Awaitable[Payload | None]]] = {
            What.MESSAGE: self._message,
            What.CLICK: self._click,
            What.ENTER: self._enter,
            What.POLL: self._poll,
        }

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The one address that is entered at the platform (URL)."""
        return [web.get(PATH, self._greet), web.post(PATH, self._callback)]

    async def _greet(self, request: web.Request) -> web.Response:
        """The address check; the platform waits one second for it."""
        return greeting(NAME, lambda: self._seal.greet(request.query, self._clock()))

    async def _callback(self, request: web.Request) -> web.Response:
        """200 once what was said is stored, with an answer where there is one; 503 asks the platform to come again; 403
        for what is not the platform."""
        try:
            now = self._clock()
            body = self._seal.open_json(await read_body(request, self._body_bytes), request.query, now)
            letter = read(body, bot_id=self._bot_id, now=now, name=self._name, corp_id=self._corp_id)
            nonce = request.query["nonce"]
            # A poll's nonce is not kept: the same poll under the same nonce may be the platform trying again, and
            # whoever replays one learns and changes nothing after the first (`mailbox.poll`).
            if letter.what != What.POLL:
                async with self._order.of(letter.chat):
                    await self._ears.keep(
                        letter, Under(request.query["timestamp"], nonce, f"{letter.what}:{letter.id}", now)
                    )
            handle = self._answers.get(letter.what)
            payload = await handle(letter) if handle is not None else None
            if payload is None:
                return web.Response()
            return web.Response(
                text=self._seal.answer_json(payload, nonce, self._clock()), content_type="application/json"
            )
        except Refused as refused:
            return refuse(NAME, refused)
        except Busy:
            return web.Response(status=503)
        except Exception as error:  # whatever the database raised: not kept, so not acknowledged
            log.error("callback.not_kept", channel=NAME, error=type(error).__name__)
            return web.Response(status=503)

    async def _message(self, letter: Letter) -> Payload:
        """The same answer whenever the platform comes again: an open stream."""
        answer = stream(stream_id(letter.id), "", finish=False)
        if self._asks_opinion:  # the id belongs into a stream's first frame
            answer["stream"]["feedback"] = {"id": mailbox.tag("answer", letter.id)}
        return answer

    async def _click(self, letter: Letter) -> Payload | None:
        shown = await self._ears.pressed(letter)
        if shown is None:
            return None
        answer: Payload = {"response_type": "update_template_card", "template_card": shown}
        return answer

    async def _enter(self, letter: Letter) -> Payload | None:
        log.info("callback.entered", channel=NAME)
        if not letter.direct:
            return None
        try:
            await self._rates.take(letter.chat)
        except SendFailed as full:
            log.warning("callback.not_answered", channel=NAME, what=letter.what.value, why=str(full))
            return None
        return welcome()

    async def _poll(self, letter: Letter) -> Payload:
        message = message_of(letter.stream)
        content = await self._db.run(lambda session: mailbox.poll(session, letter.chat, message, self._clock()))
        return stream(letter.stream, shown(content, direct=letter.direct), finish=content.finished)


def welcome() -> Payload:
    """What somebody reads who opens the chat for the first time of a day."""
    return {"msgtype": "text", "text": {"content": say("bot_welcome")}}


def stream(name: str, content: str, *, finish: bool) -> Payload:
    """The passive answer of 101031; `content` is the whole text each time."""
    return {"msgtype": "stream", "stream": {"id": name, "finish": finish, "content": content}}


def shown(content: Content, *, direct: bool) -> str:
    """The text of a stream: all answers in one; a short word where a message needs none."""
    if not content.finished:
        return ""
    texts = [part for out in content.messages for part in render.markdown(out, group=not direct)]
    whole = render.split("\n\n".join(texts) or say("bot_heard"), render.BOT_BYTES, 1)
    return whole[0] if whole else ""


def stream_id(message: str) -> str:
    """The stream of a message: its id in letters that an id may have."""
    return PREFIX + base64.urlsafe_b64encode(message.encode()).decode().rstrip("=")


def message_of(stream_name: str) -> str:
    """The message of a stream. Raises Refused for a stream that we have not begun."""
    if not stream_name.startswith(PREFIX):
        raise Refused("malformed")
    raw = stream_name.removeprefix(PREFIX)
    with refusing():
        return base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True).decode()
