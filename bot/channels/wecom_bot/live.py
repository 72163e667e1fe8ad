"""The long-connection mode: one process of the deployment holds the connection, hears by it and sends by it."""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels.api import ApiError
from bot.channels.base import WAIT, NotNow, SendFailed, Uncertain
from bot.channels.holder import Holder
from bot.channels.replays import Under
from bot.channels.replies import AccountRefused
from bot.channels.rests import Rests
from bot.channels.security import Refused
from bot.channels.wecom_bot import mailbox
from bot.channels.wecom_bot.holding import Holding
from bot.channels.wecom_bot.letters import NAME, Letter, What, read
from bot.channels.wecom_bot.mailbox import Said
from bot.channels.wecom_bot.rates import Rates
from bot.channels.wecom_bot.replying import letter, words
from bot.channels.wecom_bot.socket import Connection, Pace
from bot.channels.wecom_bot.turns import Turns
from bot.channels.wecom_bot.upload import Kind, upload
from bot.channels.wecom_bot.webhook import shown, stream, welcome
from bot.ingest import Busy
from config.settings import WecomBotSettings
from models.base import Clock
from models.database import Database
from models.message import Outgoing, Purpose

log = structlog.get_logger(__name__)
BAD_FIELD = 40058
STRANGER = 846604  # who has never written to the bot: nothing reaches her before she does
BAD_TURN = frozenset({846605, 846608})  # this callback can no longer be answered; the chat can be written to
TURNS = 5_000  # messages whose request id is remembered; an answer to an older one begins anew
AGAIN = (0.2, 1.0, 5.0)  # seconds between tries to store what was heard: the platform does not say it twice
TRIES = 3
DOWN = "not connected"


class Ears(Protocol):
    """See `webhook.Ears`."""

    async def keep(self, letter: Letter, under: Under | None = None) -> None:
        """Store it. under: nothing, frames come under no nonce."""

    async def pressed(self, letter: Letter) -> dict[str, Any] | None:
        """The new face of a card whose press is stored."""


class Live:
    """The connection, who holds it, and what goes over it."""

    def __init__(
        self, settings: WecomBotSettings, db: Database, ears: Ears, rates: Rates, clock: Clock, pace: Pace | None = None
    ) -> None:  # fmt: skip
        self._settings = settings
        self._db = db
        self._ears = ears
        self._rates = rates
        self._clock = clock
        self._pace = pace or Pace()
        self._bot_id = settings.bot_id or ""
        secret = settings.secret.get_secret_value() if settings.secret else ""
        self._connection = Connection(settings.ws_url, self._bot_id, secret, self._hear, self._pace)
        self._holder = Holder(db, f"{NAME}:{self._bot_id}")
        self._rests = Rests(clock)
        self._order = Turns()
        self._turns: OrderedDict[Said, str] = OrderedDict()  # what was said: its request id, of this connection
        self._tasks: list[asyncio.Task[None]] = []
        self._holding = Holding(self._connection, self._holder, self._on_up, settings.standby_seconds)

    @property
    def up(self) -> bool:
        """This process can send."""
        return self._connection.up

    @property
    def state(self) -> str:
        """`standby` where another process of the deployment holds the connection; else how it is."""
        if self._settings.connect and not self._holding.held:
            return "standby"
        return self._connection.state.value

    def start(self) -> None:
        """Begin to connect; nothing is waited for."""
        if self._settings.connect:
            self._tasks.append(asyncio.create_task(self._holding.run(), name=f"{NAME}-connection"))
            if self._settings.finish_unanswered:
                self._tasks.append(asyncio.create_task(self._finish(), name=f"{NAME}-unanswered"))

    async def prove(self) -> bool:
        """True when the platform takes the bot's id and secret; False when another process of the deployment has the
        connection, which a proof must not take away. Raises as `Connection.prove` does."""
        if not await self._holder.take():
            return False
        try:
            await self._connection.prove()
        finally:
            await self._holder.let_go()
        return True

    async def noted(self) -> tuple[str, str]:
        """How the connection is of the process that has it, and why: see `Holder.noted`."""
        return await self._holder.noted()

    async def stop(self) -> None:
        """Let another process have the connection, hang up, and store what was heard."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()
            await self._holding.stop()
        await self._connection.drain()

    async def _on_up(self) -> None:
        """Connected (again): request ids of the old connection are void, and what waits is sent now."""
        self._turns.clear()

        def work(session: Session) -> int:
            now = self._clock()
            return mailbox.revive(session, DOWN, now) + mailbox.hurry(session, now)

        try:
            count = await self._db.run(work)
        except sa.exc.SQLAlchemyError as error:
            log.warning("connection.not_hurried", channel=NAME, error=type(error).__name__)
        else:
            log.info("connection.caught_up", channel=NAME, rows=count)

    # --- what comes in ----------------------------------------------------------------------------------------------

    async def _hear(self, cmd: str, req_id: str, body: dict[str, Any]) -> None:
        """One callback. Never raises."""
        try:
            heard = read(
                body, bot_id=self._bot_id, now=self._clock(), name=self._settings.name, corp_id=self._settings.corp_id
            )  # fmt: skip
        except Refused as refused:
            metrics.refused.labels(NAME, refused.why).inc()
            log.warning("callback.refused", channel=NAME, why=refused.why)
            return
        try:
            async with self._order.of(heard.chat):
                await self._stored(heard, req_id)
            await self._answer(heard, req_id)
        except (ApiError, SendFailed, Uncertain) as error:
            log.warning("callback.not_answered", channel=NAME, what=heard.what.value, why=str(error))
        except Exception as error:
            log.exception("callback.failed", channel=NAME, cmd=cmd[:32], error=type(error).__name__)

    async def _answer(self, heard: Letter, req_id: str) -> None:
        """What the platform waits five seconds for. A message can be answered later, by whoever decides about it."""
        if heard.what == What.ENTER:
            await self._rates.take(heard.chat)
            await self._connection.ask("aibot_respond_welcome_msg", welcome(), req_id)
        elif heard.what == What.CLICK and (shown := await self._ears.pressed(heard)) is not None:
            answer = {"response_type": "update_template_card", "template_card": shown}
            await self._connection.ask("aibot_respond_update_msg", answer, req_id)

    async def _stored(self, heard: Letter, req_id: str) -> None:
        """Store it, however long the database takes to come back: nobody will say it again."""
        tries = 0
        while True:
            try:
                # Before it is stored: the answer may be there in a moment. A repeat of what is handled needs none.
                if heard.what == What.MESSAGE and not await self._db.run(partial(mailbox.is_handled, letter=heard)):
                    self._await_answer(heard, req_id)
                return await self._ears.keep(heard)
            except Exception as error:
                log.error("callback.not_kept", channel=NAME, message=heard.id, error=type(error).__name__)
                if tries >= TRIES and not _passes(error):
                    self._turns.pop((heard.chat, heard.id), None)
                    raise  # the letter itself cannot be stored: it must not hold up its chat for ever
                await asyncio.sleep(AGAIN[min(tries, len(AGAIN) - 1)])
                tries += 1

    def _await_answer(self, heard: Letter, req_id: str) -> None:
        self._turns[heard.chat, heard.id] = req_id
        if len(self._turns) > TURNS:
            self._turns.popitem(last=False)

    # --- what goes out ----------------------------------------------------------------------------------------------

    async def send(self, out: Outgoing, client_id: str, *, group: bool | None) -> str:
        """As an answer to the message that caused it, while that can be answered; else as a message of its own.

        group: None where nobody knows; it is written as for a group then, and the platform finds the conversation.
        """
        if not self.up:
            raise SendFailed(DOWN, after=5)
        body = letter(out, client_id, group=group is not False)
        is_reply = body["msgtype"] == "markdown" and not out.repeat
        if is_reply and await self._answered(out, body["markdown"]["content"], client_id):
            return mailbox.tag("reply", client_id)
        try:
            await self._told(out.chat, body, group=group, alert=out.purpose == Purpose.ALERT)
        except ApiError as error:
            if error.code != BAD_FIELD or body["msgtype"] != "template_card":
                raise
            # Such as a task id that is used: of a repeat that broke, too, and nobody knows whether it arrived.
            log.warning("card.as_words", channel=NAME, why=str(error))
            await self._told(out.chat, words(out, group=group is not False), group=group)
        return mailbox.tag("sent", client_id)

    async def _answered(self, out: Outgoing, content: str, key: str) -> bool:
        """Finish the stream of the message that caused it. False where there is none, or it can be no more."""
        # Only in the chat where that was said: what a worker is told of a resident's words has the same trigger.
        said = (out.chat, out.trigger or "")
        if said not in self._turns:
            return False
        await self._rates.take(out.chat)
        return await self._end(said, content, key)

    async def _end(self, said: Said, content: str, key: str = "") -> bool:
        """The one frame that answers a message. key: of the row that it is. False when it can no longer be answered."""
        req_id = self._turns.pop(said, None)
        if req_id is None:
            return False
        answer = stream(req_id, content, finish=True)
        if self._settings.feedback and key:
            answer["stream"]["feedback"] = {"id": mailbox.tag("answer", key)}
        try:
            await self._say("aibot_respond_msg", answer, req_id)
        except ApiError as error:
            if error.code in BAD_TURN:
                return False
            if error.after is not None:
                self._turns[said] = req_id  # not now, and still open; whatever else it says, it would say again
            raise
        return True

    async def _finish(self) -> None:
        """A word for each message that was handled and has no answer: of one user the platform takes three at a time
        (100719), and whether that counts here, too, is not written down."""
        rests: dict[str, datetime] = {}  # chats that take no more before then
        while True:
            await asyncio.sleep(self._pace.settle)
            if not (self.up and self._turns):
                continue
            try:
                rests = {chat: until for chat, until in rests.items() if until > self._clock()}
                waiting = [said for said in self._turns if said[0] not in rests]  # not in the thread: they change
                handled = await self._db.run(partial(mailbox.unanswered, said=waiting)) if waiting else []
                for said in handled:
                    if said[0] not in rests and (pause := await self._finish_one(said)):
                        rests[said[0]] = self._clock() + timedelta(seconds=pause)
            except Exception as error:  # the database is away: they are still there at the next look
                log.warning("callback.not_finished", channel=NAME, error=type(error).__name__)

    async def _finish_one(self, said: Said) -> float:
        """Seconds that its chat is to be left alone; 0 where it may go on."""
        try:
            await self._rates.take(said[0], spare=True)
            await self._end(said, shown(mailbox.Content(finished=True), direct=True))
        except (SendFailed, Uncertain) as error:
            log.warning("callback.not_finished", channel=NAME, why=str(error))
            return (error.after or 0.0) if isinstance(error, SendFailed) else 0.0
        return 0.0

    async def show(self, chat: str, name: str, data: bytes, *, group: bool | None) -> None:
        """A picture as a message of its own. Raises SendFailed or Uncertain."""
        media_id = await self.upload("image", name, data)
        await self._told(chat, {"msgtype": "image", "image": {"media_id": media_id}}, group=group)

    async def _told(self, chat: str, body: dict[str, Any], *, group: bool | None, alert: bool = False) -> None:
        """A message that answers nothing. alert: it does not wait for a word of hers, somebody else must hear of it."""
        await self._rates.take(chat)
        kind = {} if group is None else {"chat_type": 2 if group else 1}
        try:
            await self._say("aibot_send_msg", {"chatid": chat} | kind | body)
        except ApiError as error:
            if error.code != STRANGER:
                raise
            raise NotNow(str(error), final=alert, after=WAIT) from None

    async def _say(self, cmd: str, body: dict[str, Any], req_id: str | None = None) -> None:
        """One frame that says something, unless the platform takes no such frames of this bot's now."""
        self._rests.check(cmd)
        try:
            await self._connection.ask(cmd, body, req_id)
        except AccountRefused as error:
            raise self._rests.refused(cmd, error) from None
        self._rests.taken(cmd)

    async def upload(self, kind: Kind, name: str, data: bytes) -> str:
        """The media id of a file, for `image`, `voice`, `video` and `file` messages. Raises SendFailed."""
        await self._rates.upload()
        return await upload(self._connection.ask, lambda: self._connection.come_up(60), kind, name, data)


def _passes(error: Exception) -> bool:
    """True for what is no fault of the letter: a database that is away, full, read-only or busy, or a closed door."""
    if isinstance(error, sa.exc.StatementError) and not isinstance(error, sa.exc.DBAPIError):
        return False  # a value that no statement can carry
    its_own = isinstance(error, (sa.exc.DataError, sa.exc.IntegrityError))
    return isinstance(error, (Busy, sa.exc.SQLAlchemyError)) and not its_own
