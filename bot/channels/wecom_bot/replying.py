"""What goes out in the webhook mode: by the poll of an open stream, else by a response_url (ADR 0027)."""

import asyncio
from collections import OrderedDict
from functools import partial
from typing import Any

import structlog

from bot.channels import cards, render
from bot.channels.api import ApiError
from bot.channels.base import WAIT, Halted, NotNow, SendFailed
from bot.channels.pressed import card_key
from bot.channels.wecom_bot import mailbox
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.mailbox import Way, tag
from bot.channels.wecom_bot.rates import Rates
from bot.channels.wecom_bot.response import Responses, Stumbled
from models.base import Clock
from models.database import Database
from models.message import Outgoing, Purpose

log = structlog.get_logger(__name__)
POLLED = 15.0  # seconds that a poll has to take an answer; then it goes by the response_url
LOOK = 0.25
SPENT = 5_000


def letter(out: Outgoing, client_id: str, *, group: bool) -> dict[str, Any]:
    """The message as `template_card`, where there is something to press, or `markdown`. Raises SendFailed for one that
    is empty."""
    shown = None
    if out.card is not None and out.card.buttons:
        try:
            shown = cards.card(render.discreet(out) if group else out, card_key(out, client_id))
        except cards.BadCard as error:
            log.warning("card.as_words", channel=NAME, why=str(error))
    if shown is not None:
        return {"msgtype": "template_card", "template_card": shown}
    return words(out, group=group)


def words(out: Outgoing, *, group: bool) -> dict[str, Any]:
    """The message as `markdown`, a card's buttons as words to type. Raises SendFailed for one that is empty."""
    parts = render.markdown(out, render.BOT_BYTES, group=group)
    if not parts:
        raise SendFailed("the message is empty", final=True)
    return {"msgtype": "markdown", "markdown": {"content": parts[0]}}


class Replying:
    """Finds a way for each message."""

    def __init__(
        self, db: Database, responses: Responses, rates: Rates, clock: Clock, *, polled: float = POLLED,
        look: float = LOOK,
    ) -> None:  # fmt: skip
        """polled: seconds that the polls have. look: seconds between two looks whether one came."""
        self._db = db
        self._responses = responses
        self._rates = rates
        self._clock = clock
        self._polled = polled
        self._look = look
        self._spent: OrderedDict[str, None] = OrderedDict()

    async def send(self, out: Outgoing, client_id: str, *, group: bool) -> str:
        """See `Channel.send`; returns which way it took. Raises NotNow where nobody has spoken lately."""
        if (taken := await self._taken(client_id)) or (taken := await self._wait_for_poll(out, client_id)):
            return taken
        ways = await self._db.run(
            lambda session: mailbox.ways(session, out.chat, self._clock(), frozenset(self._spent))
        )
        ways.sort(key=lambda way: way.message != out.trigger)  # the message's own address first
        body = letter(out, client_id, group=group)
        for way in ways:
            await self._rates.take(out.chat)
            mark = tag("url", way.message)
            holds = await self._db.run(partial(mailbox.take, key=client_id, mark=mark))
            if holds != mark:
                return holds  # a poll was faster
            if await self._by(way, client_id, mark, body, alert=out.purpose == Purpose.ALERT):
                return mark
        # An alert does not wait: somebody else must hear of it.
        raise NotNow("nobody has spoken here within the hour", final=out.purpose == Purpose.ALERT, after=WAIT)

    async def _taken(self, client_id: str) -> str:
        """The poll that took it already; an address that was taken before a crash is let go."""
        mark = await self._db.run(lambda session: mailbox.mark_of(session, client_id))
        if not mark or mark.startswith("stream:"):
            return mark
        await self._db.run(lambda session: mailbox.give_back(session, client_id, mark))
        return ""

    async def _wait_for_poll(self, out: Outgoing, client_id: str) -> str:
        if out.card is not None and out.card.buttons:
            return ""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._polled
        while loop.time() < until:
            if not await self._db.run(lambda s: mailbox.stream_open(s, out.chat, out.trigger, self._clock())):
                break
            await asyncio.sleep(self._look)
        return await self._db.run(lambda session: mailbox.mark_of(session, client_id))

    async def _by(self, way: Way, client_id: str, mark: str, body: dict[str, Any], *, alert: bool) -> bool:
        """False when this address cannot be used, and another may."""
        try:
            await self._responses.post(way.url, body)
        except Halted:  # the address is still good
            await self._db.run(lambda session: mailbox.give_back(session, client_id, mark))
            raise
        except (ApiError, Stumbled) as error:
            # Somebody asked: her answer rather comes twice than never. An alert the sender says again, and marks.
            if alert and isinstance(error, Stumbled):
                raise
            log.info("response.not_taken", channel=NAME, why=str(error))
            self._spent[way.message] = None
            if len(self._spent) > SPENT:
                self._spent.popitem(last=False)
            await self._db.run(lambda session: mailbox.give_back(session, client_id, mark))
            return False
        except SendFailed:
            await self._db.run(lambda session: mailbox.give_back(session, client_id, mark))
            raise
        return True
