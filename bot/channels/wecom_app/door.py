"""The callback address: address check, encrypted XML, and the passive answer to a pressed card within five seconds.

Platform pages 90238 回调配置, 90239, 90240, 90241. The platform comes three times with a callback that is not answered.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from bot import metrics
from bot.channels.door import greeting, refuse
from bot.channels.replays import Under
from bot.channels.sealed import Seal
from bot.channels.security import Refused, read_body
from bot.channels.wecom_app import answers
from bot.channels.wecom_app.faces import Change
from bot.channels.wecom_app.letters import NAME, SWITCHED_OFF, Letter, read
from bot.ingest import Busy
from models.base import Clock

log = structlog.get_logger(__name__)
PATH = f"/callback/{NAME}"
Keep = Callable[[Letter, Under], Awaitable[Change | None]]


class Door:
    """Reads callbacks. Nothing is acknowledged before `keep` has returned."""

    def __init__(self, seal: Seal, keep: Keep, clock: Clock, *, corp_id: str, agent_id: int, body_bytes: int) -> None:
        """keep: stores a letter, and gives what the clicker's card is to show. Raises Refused for another letter's
        nonce, Busy, or what the database raises, when the letter is not stored."""
        self._seal = seal
        self._keep = keep
        self._clock = clock
        self._corp_id = corp_id
        self._agent_id = agent_id
        self._body_bytes = body_bytes

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The one address that is entered at the platform (接收消息服务器配置, URL)."""
        return [web.get(PATH, self._greet), web.post(PATH, self._callback)]

    async def _greet(self, request: web.Request) -> web.Response:
        """The address check; the platform waits one second for it."""
        return greeting(NAME, lambda: self._seal.greet(request.query, self._clock()))

    async def _callback(self, request: web.Request) -> web.Response:
        """200 once what was said is stored; 503 asks the platform to come again; 403 for what is not the platform."""
        try:
            now = self._clock()
            fields = self._seal.open_fields(await read_body(request, self._body_bytes), request.query, now)
            letter = read(fields, corp_id=self._corp_id, agent_id=self._agent_id)
            under = Under(request.query["timestamp"], request.query["nonce"], letter.id, now)
            change = await self._keep(letter, under)
            self._note(letter)
            return self._answer(letter, change, under.nonce)
        except Refused as refused:
            return refuse(NAME, refused)
        except Busy:
            return web.Response(status=503)
        except Exception as error:  # whatever the database raised: not kept, so not acknowledged
            log.error("callback.not_kept", channel=NAME, error=type(error).__name__)
            return web.Response(status=503)

    def _answer(self, letter: Letter, change: Change | None, nonce: str) -> web.Response:
        if change is None:
            return web.Response()
        now = self._clock()
        if change.card is not None:
            told = answers.new_card(letter.user, self._corp_id, now, change.card)
        else:
            told = answers.new_words(letter.user, self._corp_id, now, change.words)
        return web.Response(text=self._seal.answer_xml(told, nonce, now), content_type="application/xml")

    def _note(self, letter: Letter) -> None:
        if letter.event in SWITCHED_OFF:
            metrics.refused.labels(NAME, "inactive").inc()
            log.error("wecom_app.inactive", happened=letter.event)  # an operator must act: cards will not arrive
        elif letter.event:
            log.info("callback.event", channel=NAME, kind=letter.event)
