"""What leaves: customer messages (客服消息) while the platform takes them, a notice when it does not any more.

Platform pages: 客服接口-发消息, 模板消息, 订阅通知, 全局返回码说明.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import WAIT, Noticed, NotNow, SendFailed
from bot.channels.menus import menu, msgid, to_rate
from bot.channels.render import TEXT_BYTES, text
from bot.channels.wechat_mp import ledger, notices
from bot.channels.wechat_mp.delivered import unnamed
from bot.channels.wechat_mp.letters import NAME
from config.settings import OfficialAccountSettings
from models import quota
from models.base import Clock
from models.database import Database
from models.message import Outgoing, Purpose

log = structlog.get_logger(__name__)
T = TypeVar("T")

PARTS = 3  # of the five messages that one question entitles to, two stay for what happens later
KEPT = 2

CLOSED = frozenset({45015, 45047})  # the 48 hours are over; the five are used up
# 48002 the user refuses messages, 40003 no such openid, 43004 not a follower, 45002 too long.
FINAL = frozenset({48002, 40003, 43004, 45002})
DISAGREED = 43101
DAY = timedelta(days=1)
# 47003 a field's value, 40037 no such template: no other try can help, an operator must look.
NOTICE_FINAL = frozenset({43004, 40003, 47003, 40037})
# 40008 no such kind of message, 40058 and 47001 a field is wrong: the same goes out as words.
BAD_MENU = frozenset({40008, 40058, 47001})

Part = dict[str, Any]  # msgtype, and what stands below it


class Closed(NotNow):
    """By our own count, or by the platform's, she must write before anything more reaches her."""

    def __init__(self, out: Outgoing, reason: str = "the user's messages are used up or too long ago") -> None:
        super().__init__(reason, final=out.purpose == Purpose.ALERT, after=WAIT)


class Pushing:
    """The account's way out."""

    def __init__(
        self, settings: OfficialAccountSettings, api: ApiClient, *, clock: Clock, zone: ZoneInfo, db: Database | None
    ) -> None:  # fmt: skip
        """db: where the ledger is; None counts nothing, and the platform says when it is enough."""
        self._settings = settings
        self._api = api
        self._clock = clock
        self._zone = zone
        self._db = db

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As one to three texts, a menu or a notice; returns what an answer to the menu names, the notice's id, or "".

        When a later part fails for now, the next try goes on with that part. Raises SendFailed, Noticed when more is to
        be said than the notice says, or Uncertain; of a message in parts one uncertain part makes the whole uncertain.
        """
        left, rating = await self._run(partial(self._look, out=out)) or (None, False)
        counted = left is not None
        name = msgid(client_id)
        offered = None if out.parts or not self._settings.menus else _menu(out, name, rating=rating)
        if offered is not None:
            try:
                return await self._parts(out, client_id, [offered], counted=counted) or name
            except ApiError as error:
                if error.code not in BAD_MENU:
                    raise
                log.warning("menu.refused", channel=NAME, code=error.code)
        most = PARTS if left is None else max(out.parts + 1, min(PARTS, out.parts + left - KEPT))
        words = [{"msgtype": "text", "text": {"content": part}} for part in text(out, TEXT_BYTES, most=most)]
        return await self._parts(out, client_id, words[out.parts :], counted=counted)

    def _look(self, session: Session, out: Outgoing) -> tuple[int | None, bool]:
        """How many may leave now, and whether it asks for her rating."""
        return ledger.refresh(session, out.chat, self._clock()), to_rate(session, out)

    async def _parts(self, out: Outgoing, client_id: str, parts: list[Part], *, counted: bool) -> str:
        """Returns the id of the notice that went out instead, or ""."""
        if not parts:
            raise SendFailed("the message is empty", final=True)
        for index, part in enumerate(parts, out.parts):
            try:
                await self._part(out, part, counted=counted)
            except SendFailed as error:
                if not index and isinstance(error, Closed) and self._has_notice and not out.noticed:
                    return await self._notice(out, client_id, menu="msgmenu" in part)
                error.parts = index
                raise
        return ""

    async def _part(self, out: Outgoing, part: Part, *, counted: bool) -> None:
        key, began = ledger.key(out.chat), self._clock()
        kind = await self._run(partial(quota.spend, key=key, now=self._clock())) if counted else ""
        if counted and not kind:
            raise Closed(out)
        try:
            await self._api.call("/cgi-bin/message/custom/send", {"touser": out.chat, **part}, final=FINAL)
        except SendFailed as error:  # an Uncertain one stays counted: it may have arrived
            if isinstance(error, ApiError) and error.code in CLOSED:
                await self._run(partial(quota.exhaust, key=key, before=began))
                raise Closed(out, str(error)) from None
            if kind:
                await self._run(partial(quota.refund, key=key, kind=kind))
            raise

    # --- notices ------------------------------------------------------------------------------------------------

    @property
    def _has_notice(self) -> bool:
        return bool(self._settings.template_id or self._settings.subscription_id)

    async def _notice(self, out: Outgoing, client_id: str, *, menu: bool) -> str:
        """Returns the platform's id of a notice that says it all. Raises Noticed when the words wait behind it; menu:
        there was something to press below them."""
        try:
            told, data = await self._told(out, client_id)
        except ApiError as error:
            if error.code not in NOTICE_FINAL:
                raise
            # An operator must look; her next word brings what could not be said.
            log.error("notice.refused", channel=NAME, code=error.code)
            raise Closed(out, str(error)) from None
        if menu or not notices.says_all(data, out):
            raise Noticed(told)
        return told

    async def _told(self, out: Outgoing, client_id: str) -> tuple[str, notices.Data]:
        """A subscription notice where she agreed to one, else a template. Returns the platform's id of it, and what it
        says."""
        given = self._settings
        if given.subscription_id:
            key = ledger.notice_key(out.chat, given.subscription_id)
            # A lasting agreement is only looked at: whatever becomes of a notice, it is there for the next one.
            asked = quota.left if given.subscription_long_term else quota.spend
            if agreed := await self._run(partial(asked, key=key, now=self._clock())):
                return await self._subscription(out, key, str(agreed))
        if not given.template_id:
            raise Closed(out)
        if not await self._room():
            log.error("notice.used_up", channel=NAME, a_day=given.templates_a_day)
            raise Closed(out, "the templates of this day are used up")
        body = self._body(out, given.template_id, given.template_fields) | {
            "client_msg_id": notices.repeat_id(client_id)
        }
        if out.card is not None and out.card.link:
            body["url"] = out.card.link
        return await self._called("/cgi-bin/message/template/send", body), body["data"]

    async def _room(self) -> bool:
        """One more template today: the platform counts them for the whole account."""
        key, most = f"{NAME}:templates:{self._settings.app_id}", self._settings.templates_a_day
        take = partial(quota.take, key=key, limit=most, per=DAY, now=self._clock())
        return await self._run(take) is not False

    async def _subscription(self, out: Outgoing, key: str, kind: str) -> tuple[str, notices.Data]:
        """kind: of the agreement that was spent; a lasting one was not."""
        given, began = self._settings, self._clock()
        body = self._body(out, given.subscription_id, given.subscription_fields)
        if out.card is not None and out.card.link:
            body["page"] = out.card.link
        try:
            told = await self._called("/cgi-bin/message/subscribe/bizsend", body)
        except SendFailed as error:
            if isinstance(error, ApiError) and error.code == DISAGREED:
                await self._run(partial(quota.exhaust, key=key, before=began))
                raise Closed(out, str(error)) from None
            if not given.subscription_long_term:
                await self._run(partial(quota.refund, key=key, kind=kind))
            raise
        return told or unnamed(given.subscription_id), body["data"]

    def _body(self, out: Outgoing, template: str, fields: dict[str, str]) -> dict[str, Any]:
        local = self._clock().astimezone(self._zone)
        return {"touser": out.chat, "template_id": template, "data": notices.values(fields, out, local)}

    async def _called(self, path: str, body: dict[str, Any]) -> str:
        answer = await self._api.call(path, body, final=NOTICE_FINAL)
        log.info("notice.sent", path=path)
        return str(answer.get("msgid", ""))

    async def _run(self, work: Callable[[Session], T]) -> T | None:
        return None if self._db is None else await self._db.run(work)


def _menu(out: Outgoing, name: str, *, rating: bool) -> Part | None:
    made = menu(out, name, rating=rating)
    if made is None:
        return None
    listed = [{"id": item, "content": label} for item, label in made.items]
    tail = {"tail_content": made.link} if made.link else {}
    return {"msgtype": "msgmenu", "msgmenu": {"head_content": made.head, "list": listed} | tail}
