"""The robots themselves. Platform pages 91770 and 99110: POST /cgi-bin/webhook/send?key=…, 20 messages a minute each.

The key is the whole secret: whoever has it writes into the group. It stands in no log, no error and no row.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session

from bot.channels import proofs, render
from bot.channels.api import ApiClient, ApiError
from bot.channels.base import Capabilities, Channel, NoRoom, Proof, SendFailed, Uncertain
from bot.channels.credentials import robot_key
from bot.channels.group_robot.notices import NAME, Notices
from config.side_channels import GroupRobotSettings
from handlers.texts import say
from handlers.workdays import WorkCalendar
from models import quota
from models.base import Clock, utc_now
from models.database import Database
from models.message import Outgoing
from models.ticket import Ticket

log = structlog.get_logger(__name__)

PATH = "/cgi-bin/webhook/send"
BYTES = {"markdown": 4_096, "text": 2_048}  # 91770
MINUTE = timedelta(minutes=1)
# 93000 no such robot (the key is wrong, or the robot was removed), 45002 too long, 44004 empty. 全局返回码说明, 90313.
NO_ROBOT = 93000
FINAL = frozenset({NO_ROBOT, 45002, 44004})


class GroupRobot(Channel):
    """Push only: there is no address that a robot would call."""

    name = NAME

    def __init__(
        self, settings: GroupRobotSettings, db: Database, clock: Clock = utc_now, *, zone: ZoneInfo,
        apis: Mapping[str, ApiClient] | None = None,
    ) -> None:  # fmt: skip
        """zone: of the deadlines that are told. apis: other clients than the settings' own, by chat code."""
        if not settings.enabled:
            raise ValueError(f"{NAME}: not set: keys")
        size = BYTES[settings.style]
        self.can = Capabilities(dedups=False, max_bytes=size, rate=50.0)
        self._settings = settings
        self._db = db
        self._clock = clock
        self._zone = zone
        keys = {chat: secret.get_secret_value() for chat, secret in settings.keys.items()}
        self._apis = apis or {
            chat: ApiClient(settings.api_base, robot_key(key), clock=clock) for chat, key in keys.items()
        }
        # Of the key, not of the group: two groups cannot share a robot, but two entries can.
        self._buckets = {chat: f"{NAME}:{hashlib.sha256(key.encode()).hexdigest()[:16]}" for chat, key in keys.items()}
        self._notices: Notices | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the clients, and begin to read the tickets' histories."""
        for api in self._apis.values():
            await api.start()
        calendar = await self._db.call(WorkCalendar.configured, self._zone)
        self._notices = Notices(
            self._db, calendar, chats=self._settings.keys, alerts=self._settings.alerts, clock=self._clock
        )
        self._watch = asyncio.create_task(self._watching(), name=NAME)

    async def stop(self) -> None:
        """End both. What has not been read yet is read by whoever starts next."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None
        for api in self._apis.values():
            await api.stop()

    async def prove(self, public_url: str) -> list[Proof]:
        """Each robot is sent a message without words: the platform takes none, and says first whether it knows the key.
        Nobody sees anything."""
        return [await self._known(chat) for chat in sorted(self._apis)]

    async def _known(self, chat: str) -> Proof:
        api, check = self._apis[chat], f"robot {chat}"
        await api.start()
        try:
            await api.call(PATH, {"msgtype": "text", "text": {"content": ""}}, final=FINAL)
        except ApiError as error:
            if error.code == NO_ROBOT:
                return Proof(check, proofs.FAIL, f"{self._settings.api_base} knows no robot of this key: copy it anew.")
        except (SendFailed, Uncertain) as error:
            return Proof(check, proofs.FAIL, f"{self._settings.api_base}: {proofs.told(error)}")
        finally:
            await api.stop()
        return Proof(check, proofs.OK, f"{self._settings.api_base} knows the key")

    async def look(self) -> int:
        """Put what is new into the outbox; returns how many messages. Raises SendFailed before `start`."""
        if self._notices is None:
            raise SendFailed("the channel is not started")
        return await self._notices.look()

    async def _watching(self) -> None:
        while True:
            try:
                if told := await self.look():
                    log.info("group_robot.told", messages=told)
            except Exception as error:  # the database is away: nothing is missed, the histories stay
                log.warning("group_robot.not_looked", error=type(error).__name__)
            await asyncio.sleep(self._settings.poll_seconds)

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As one markdown or text message. The platform gives no id and does not dedup; see `Channel.send`."""
        api = self._apis.get(out.chat)
        if api is None:
            raise SendFailed("there is no robot for this group", final=True)
        letter = self._letter(await self._db.run(lambda session: _still_so(session, out)))
        bucket, limit = self._buckets[out.chat], self._settings.per_minute

        def take(session: Session) -> float:
            now = self._clock()
            if quota.take(session, bucket, limit=limit, per=MINUTE, now=now):
                return 0.0
            free = quota.free_at(session, bucket, limit=limit, per=MINUTE, now=now)
            return max(1.0, (free - now).total_seconds())

        if pause := await self._db.run(take):
            raise NoRoom("this minute's messages are used up", after=pause)
        await api.call(PATH, letter, final=FINAL)
        return ""

    def _letter(self, out: Outgoing) -> dict[str, Any]:
        style = self._settings.style
        shown = render.markdown if style == "markdown" else render.text
        parts = shown(out, BYTES[style], most=1, group=True)
        if not parts:
            raise SendFailed("the message is empty", final=True)
        return {"msgtype": style, style: {"content": parts[0]}}


def _still_so(session: Session, out: Outgoing) -> Outgoing:
    """What was put a while ago may be private by now: then only that there is something is said."""
    ticket = session.get(Ticket, out.ticket) if out.ticket is not None else None
    if ticket is None or not ticket.sensitive:
        return out
    return out.model_copy(update={"text": say("duty_private", number=ticket.number), "card": None})
