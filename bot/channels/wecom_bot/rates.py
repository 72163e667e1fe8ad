"""What the platform takes for one conversation in a minute and an hour, whichever way it leaves: 101463, 30 and 1,000.

Counted is every frame that makes a message, before it leaves, also one that is then refused. The new face of a card and
a stream that goes on make none.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.base import NoRoom
from bot.channels.wecom_bot.letters import NAME, OPINION
from config.settings import WecomBotSettings
from models import quota
from models.base import Clock
from models.database import Database
from models.inbox import Inbox
from models.message import Kind

FULL = "the rate is used up"  # begins the reason of whatever waits for this, ours or the platform's own word
LIMITED = frozenset({45009, 45011, 846607})  # the first two are said of the bot, the last of the conversation
KEPT = 3  # of so many messages one is kept for those that say something


UPLOADS = (("minute", 30, timedelta(minutes=1)), ("hour", 1_000, timedelta(hours=1)))  # 101463: of one bot


class Rates:
    """Buckets in the database, for all processes."""

    def __init__(self, settings: WecomBotSettings, db: Database, clock: Clock) -> None:
        self._limits = (
            ("minute", settings.per_minute, timedelta(minutes=1)),
            ("hour", settings.per_hour, timedelta(hours=1)),
        )
        self._streams = settings.mode == "webhook"
        self._db = db
        self._clock = clock

    async def take(self, chat: str, *, spare: bool = False) -> None:
        """One more message into this conversation. spare: one that says nothing; a part of the room is kept from such.
        Raises NoRoom with the seconds to wait when its minute or hour is full."""
        if (wait := await self._db.run(lambda session: self._take(session, chat, spare=spare))) > 0:
            raise NoRoom(FULL, after=wait)

    async def upload(self) -> None:
        """One more file of the long connection. Raises NoRoom."""
        if (wait := await self._db.run(self._uploaded)) > 0:
            raise NoRoom(FULL, after=wait)

    def _uploaded(self, session: Session) -> float:
        now = self._clock()
        for name, most, per in UPLOADS:
            key = f"{NAME}:upload:{name}"
            if not quota.take(session, key, limit=most, per=per, now=now):
                return max(1.0, (quota.free_at(session, key, limit=most, per=per, now=now) - now).total_seconds())
        return 0.0

    def _take(self, session: Session, chat: str, *, spare: bool) -> float:
        now = self._clock()
        whose = hashlib.sha256(chat.encode()).hexdigest()[:32]  # a direct chat is a person
        for name, most, per in self._limits:
            limit = most - most // KEPT if spare else most
            begun = self._begun(session, chat, now - per, limit)
            left = limit - len(begun)
            key = f"{NAME}:{name}:{whose}"
            if left <= 0:
                return max(1.0, (begun[-1] + per - now).total_seconds())
            if not quota.take(session, key, limit=left, per=per, now=now):
                free = quota.free_at(session, key, limit=left, per=per, now=now)
                return max(1.0, (free - now).total_seconds())
        return 0.0

    def _begun(self, session: Session, chat: str, since: datetime, most: int) -> Sequence[datetime]:
        """When streams were begun, the newest first, at most `most`: in the webhook mode every message opens one, and
        the inbox has them all; to count them at the door as well would cost each callback a transaction."""
        if not self._streams:
            return []
        told = sa.select(col(Inbox.sent_at)).where(
            col(Inbox.channel) == NAME, col(Inbox.chat) == chat, col(Inbox.sent_at) > since,
            col(Inbox.kind) != Kind.CARD.value, ~col(Inbox.message).startswith(OPINION),
        )  # fmt: skip
        return session.scalars(told.order_by(sa.desc(col(Inbox.sent_at))).limit(most)).all()
