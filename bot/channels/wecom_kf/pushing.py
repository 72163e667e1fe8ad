"""What leaves: a greeting by its welcome code, else a message under our own msgid, which makes a repeat harmless.

Platform pages: 企业微信 94677 发送消息, 95122 发送欢迎语等事件响应消息. What the platform takes from nobody but who has
written lately waits for her next word; an alert does not wait, somebody else must hear of it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlmodel import Session, col

from bot.channels.api import ApiClient, ApiError
from bot.channels.base import WAIT, NotNow, SendFailed, Uncertain
from bot.channels.menus import msgid, to_rate
from bot.channels.wecom_kf import ledger
from bot.channels.wecom_kf.keeping import BACK_KEY
from bot.channels.wecom_kf.letters import NAME
from bot.channels.wecom_kf.menus import Part, parts
from bot.channels.wecom_kf.servicers import Servicers
from config.wecom_kf import WecomKfSettings
from models import inbox, quota
from models.base import Clock
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Outgoing, Purpose
from models.outbox import Outbox

log = structlog.get_logger(__name__)
WELCOME = timedelta(seconds=20)
MOST = 2  # parts of one message. Always as many, however few are left: each must be cut alike at every try
WANTS_HUMAN = "human"  # the outcome of a message (`handlers.questions`)

NOT_OURS = 95018  # the session's state does not allow it: a servicer has it, or it waits in the queue, or is over
OVER = frozenset({95001, 95002, 95013})  # the five are used up; the 48 hours are over; the session has ended
CLOSED = OVER | {NOT_OURS}  # what waits for the customer's next word (90313)
# 40096 no such customer, 95000 no such account, 45002 too long, 44004 empty, 40058 a field is wrong.
FINAL = frozenset({40096, 95000, 45002, 44004, 40058})


class Closed(NotNow):
    """By our own count, or by the platform's, she must write before anything more reaches her."""

    def __init__(self, out: Outgoing, reason: str = "the customer's messages are used up or too long ago") -> None:
        super().__init__(reason, final=out.purpose == Purpose.ALERT, after=WAIT)


@dataclass(frozen=True)
class Plan:
    """What the database says about a message that is to leave. left: None when nothing is counted. back: she wants to
    be with the bot again; the row that says so may wait behind this one."""

    account: str
    left: int | None
    back: bool = False
    rating: bool = False
    answers: bool = False
    human: bool = False
    welcome: str = field(default="", repr=False)


class Pushing:
    """The accounts' way out."""

    def __init__(self, settings: WecomKfSettings, api: ApiClient, db: Database, clock: Clock) -> None:
        self._settings = settings
        self._api = api
        self._db = db
        self._clock = clock
        self._servicers = Servicers(settings, api)

    async def send(self, out: Outgoing, client_id: str) -> str:
        """In one or two parts; returns the msgid they have in common. Raises SendFailed or Uncertain.

        Tried again, it goes on behind the parts that have left. A part goes out under the same id at every try: where
        that is not known, it is not shown once more.
        """
        plan = await self._db.run(lambda session: self._plan(session, out))
        name = msgid(client_id)
        if plan.back:
            await self._servicers.give_back(plan.account, out.chat)
        if plan.welcome and await self._greeted(out, name, plan):
            return name
        letters = parts(out, name, rating=plan.rating, most=MOST)
        if not letters:
            raise SendFailed("the message is empty", final=True)
        done = out.parts
        try:
            for letter in letters[out.parts :]:
                await self._part(out, letter, _numbered(name, done), plan)
                done += 1
            if plan.human:
                await self._servicers.take_over(plan.account, out.chat)
        except SendFailed as error:
            error.parts = done
            raise
        return name

    async def _greeted(self, out: Outgoing, name: str, plan: Plan) -> bool:
        """The one greeting that needs no message of hers. False when the code is too old, or was used."""
        (letter,) = parts(out, name, rating=False, most=1)
        body = {"code": plan.welcome, "msgid": _numbered(name, 0), **letter}
        try:
            await self._api.call("/cgi-bin/kf/send_msg_on_event", body)
        except ApiError as error:
            if error.code in self._settings.repeat_codes:
                return True
            if error.after is not None:
                raise
            log.warning("kf.not_greeted", code=error.code)
            return False
        return True

    async def _part(self, out: Outgoing, letter: Part, name: str, plan: Plan) -> None:
        counted = plan.left is not None
        key, began = ledger.key(plan.account, out.chat), self._clock()
        kind = await self._db.run(partial(quota.spend, key=key, now=self._clock())) if counted else ""
        if counted and not kind:
            raise Closed(out)
        body: dict[str, Any] = {"touser": out.chat, "open_kfid": plan.account, "msgid": name, **letter}
        try:
            await self._api.call("/cgi-bin/kf/send_msg", body, final=FINAL)
        except (SendFailed, Uncertain) as error:
            code = error.code if isinstance(error, ApiError) else 0
            if code in self._settings.repeat_codes:
                return  # it arrived at an earlier try, and is counted now
            if code in OVER:
                await self._db.run(partial(quota.exhaust, key=key, before=began))
            elif kind:  # an uncertain one too: it is tried again, and a platform that is away must not use up the five
                await self._db.run(partial(quota.refund, key=key, kind=kind))
            talk = plan.answers and out.ticket is None
            if code == NOT_OURS and talk and await self._servicers.in_charge(plan.account, out.chat):
                # A human answers her now: what we would have answered is not said later; what has become of a matter
                # of hers is, and a number that she was given.
                raise SendFailed(str(error), final=True) from None
            if code in CLOSED:
                raise Closed(out, str(error)) from None
            raise

    # --- what the database says ---------------------------------------------------------------------------------

    def _plan(self, session: Session, out: Outgoing) -> Plan:
        now = self._clock()
        row = inbox.find(session, NAME, out.chat, out.trigger) if out.trigger else None
        trigger = _read(row)
        welcome = _welcome(trigger, now)
        account = self._account(session, out.chat, trigger, welcome, now)
        return Plan(
            account=account,
            left=ledger.left(session, account, out.chat, now),
            back=self._settings.human != "off" and _wants_back(session, out.chat),
            rating=to_rate(session, out),
            answers=trigger is not None,
            human=trigger is not None and row is not None and row.outcome == WANTS_HUMAN
            and self._settings.human != "off",
            welcome=welcome,
        )  # fmt: skip

    def _account(self, session: Session, user: str, trigger: Incoming | None, welcome: str, now: datetime) -> str:
        """The 客服账号 of the message that is answered, as long as it takes anything; else another one that does.

        To open a chat is not to write: it entitles to the one greeting, by its code, and to nothing later.
        """
        accounts = self._settings.accounts
        asked = trigger.platform.get("open_kfid", "") if trigger is not None else ""
        asked = asked if asked in accounts else ""
        if asked and (welcome or ledger.left(session, asked, user, now)):
            return asked
        return ledger.open_account(session, accounts, user, now) or asked or accounts[0]


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}"


def _read(row: Inbox | None) -> Incoming | None:
    try:
        return inbox.read(row) if row is not None else None
    except ValidationError:
        return None


def _welcome(trigger: Incoming | None, now: datetime) -> str:
    code = trigger.platform.get("welcome_code", "") if trigger is not None else ""
    return code if trigger is not None and now - trigger.sent_at <= WELCOME else ""


def _wants_back(session: Session, user: str) -> bool:
    rows = sa.select(col(Outbox.id)).where(
        col(Outbox.conversation) == f"{NAME}:{user}", col(Outbox.finished_at).is_(None),
        col(Outbox.dedup_key).startswith(BACK_KEY, autoescape=True),
    )  # fmt: skip
    return session.scalars(rows.limit(1)).first() is not None
