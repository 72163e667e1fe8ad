"""What leaves by the app: texts, task cards, lines in rooms. Platform pages 90236 发送应用消息, 90313 全局返回码.

A message that the platform took and gave to nobody is no message.
"""

import hashlib
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from bot.channels import cards, render
from bot.channels.api import ApiClient, ApiError
from bot.channels.base import NoRoom, SendFailed
from bot.channels.pressed import card_key
from bot.channels.wecom_app import faces
from bot.channels.wecom_app.codes import Codes
from bot.channels.wecom_app.letters import NAME
from bot.channels.wecom_app.rooms import PREFIX, Rooms
from bot.channels.wecom_app.updating import CODE_LIFE
from config.wecom_app import WecomAppSettings
from models import quota
from models.base import Clock
from models.database import Database
from models.message import Outgoing

log = structlog.get_logger(__name__)
SEND = "/cgi-bin/message/send"
BYTES = 2_048
UNKNOWN = frozenset({81013, 60111})  # nobody of those named is there, or may see the app
BAD_CARD = frozenset({40058, 42045})
FINAL = UNKNOWN | BAD_CARD | {40008, 44004, 45002}
SAME = 1_800  # seconds within which the platform drops the very same card; its task id makes each another one
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Nobody(SendFailed):
    """The platform knows nobody of that name, or she may not see the app."""

    def __init__(self) -> None:
        super().__init__("the platform has no such member, or she cannot see the app", final=True)


class Pushing:
    """The app's way out."""

    def __init__(
        self, settings: WecomAppSettings, db: Database, api: ApiClient, codes: Codes, *, rooms: Rooms, clock: Clock
    ) -> None:  # fmt: skip
        self._settings = settings
        self._db = db
        self._api = api
        self._codes = codes
        self._rooms = rooms
        self._clock = clock

    async def send(self, out: Outgoing, client_id: str) -> str:
        """Returns the platform's msgid. Raises SendFailed, final where the platform knows nobody of that name."""
        if out.chat.startswith(PREFIX):
            return await self._rooms.send(out)
        try:
            # Parts have left: there the platform took no card.
            if not out.parts and (card := self._card(out, client_id)) is not None:
                try:
                    return await self._send_card(out, client_id, card)
                except ApiError as error:
                    if error.code not in BAD_CARD:
                        raise
                    # No callback address, or a shape that this platform does not know: the words still arrive.
                    log.warning("card.refused", channel=NAME, reason=str(error))
            return await self._send_text(out)
        except ApiError as error:
            if error.code in UNKNOWN:
                raise Nobody from None
            raise

    def _card(self, out: Outgoing, client_id: str) -> dict[str, Any] | None:
        try:
            return faces.made(out, card_key(out, client_id), self._settings)
        except cards.BadCard as error:
            log.warning("card.not_made", channel=NAME, reason=str(error))
            return None

    async def _send_card(self, out: Outgoing, client_id: str, card: dict[str, Any]) -> str:
        same = {"enable_duplicate_check": 1, "duplicate_check_interval": SAME}
        answer = await self._letter(out, {"msgtype": "template_card", "template_card": card} | same)
        _check(out, answer)
        if out.card is None or not out.card.buttons:  # nothing on it will have to change
            return str(answer.get("msgid", ""))
        now = self._clock()
        note = partial(
            faces.remember, out=out, client_id=client_id, answer=answer, codes=self._codes, now=now,
            until=now + CODE_LIFE,
        )  # fmt: skip
        try:
            await self._db.run(note)
        except SQLAlchemyError as error:
            # It has arrived, and must not leave again; a press on it still works, and brings a new code.
            log.error("card.not_noted", channel=NAME, error=type(error).__name__)
        return str(answer.get("msgid", ""))

    async def _send_text(self, out: Outgoing) -> str:
        parts = render.text(out, BYTES)
        if not parts:
            raise SendFailed("the message is empty", final=True)
        first = ""
        for index, part in enumerate(parts[out.parts :], out.parts):
            try:
                answer = await self._letter(out, {"msgtype": "text", "text": {"content": part}})
            except SendFailed as error:
                error.parts = index
                raise
            _check(out, answer)
            first = first or str(answer.get("msgid", ""))
        return first

    async def _letter(self, out: Outgoing, body: dict[str, Any]) -> dict[str, Any]:
        if pause := await self._db.run(partial(self._take, user=out.chat)):
            raise NoRoom("this member's messages are used up for now", after=pause)
        head = {"touser": out.chat, "agentid": self._settings.agent_id, "safe": 0, "enable_id_trans": 0}
        return await self._api.call(SEND, head | body, final=FINAL)

    def _take(self, session: Session, user: str) -> float:
        """Seconds to wait before this member can be written to: the platform would drop it without a word."""
        now = self._clock()
        # The ledger need not know who it is.
        key = f"{NAME}:member:{hashlib.sha256(user.encode()).hexdigest()[:32]}"
        buckets = {f"{key}:h": (self._settings.per_hour, HOUR), f"{key}:m": (self._settings.per_minute, MINUTE)}
        if quota.take_all(session, buckets, now):
            return 0.0
        free = max(quota.free_at(session, one, limit=limit, per=per, now=now) for one, (limit, per) in buckets.items())
        return max(1.0, (free - now).total_seconds())


def _check(out: Outgoing, answer: dict[str, Any]) -> None:
    """errcode 0 and yet not delivered: `invaliduser` (lower-cased), or no licence for the app. Raises Nobody."""
    missed = "|".join(str(answer.get(name) or "") for name in ("invaliduser", "unlicenseduser"))
    if out.chat.lower() in missed.lower().split("|"):
        raise Nobody
