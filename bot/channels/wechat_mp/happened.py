"""What an event changes on our side, in one transaction, before the platform is told that we have it; and the message
that it is for the handlers."""

import asyncio

import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels.wechat_mp import ledger
from bot.channels.wechat_mp.delivered import settle
from bot.channels.wechat_mp.events import Delivery, Event, said
from bot.channels.wechat_mp.letters import NAME
from bot.channels.wechat_mp.menu import words
from bot.scenes import Scenes, there
from models.base import Clock
from models.database import Database
from models.message import Incoming

log = structlog.get_logger(__name__)
PAUSES = (0.25, 0.5, 1.0, 1.5)  # seconds, of the platform's five, in which the sender notes what the platform took


class Early(Exception):
    """The platform tells of a message that our own database knows nothing of yet: it is to come again."""


class Happened:
    """Takes note of events."""

    def __init__(self, db: Database | None, scenes: Scenes | None, clock: Clock) -> None:
        """scenes: None reads no QR code."""
        self._db = db
        self._scenes = scenes
        self._clock = clock

    async def note(self, event: Event) -> Incoming | None:
        """Returns once it is committed, with what is to be handled. The same event twice changes nothing the second
        time, and is the same message. Raises Early."""
        for delivery in event.deliveries:
            await self._delivered(event.user, delivery)
        scene = self._scene(event)
        if self._db is not None and (scene or event.moves or event.agreements or event.name == "unsubscribe"):
            scene = await self._db.run(lambda session: self._change(session, event, scene))
        if event.scene and not scene:
            metrics.refused.labels(NAME, "scene").inc()
            log.warning("scene.refused", channel=NAME)
        if event.name == "click":
            return said(event, words())
        told = {"scene": scene} if scene else {"enter": "first"} if event.name == "subscribe" else {}
        return _message(event, told) if told else None

    async def _delivered(self, user: str, told: Delivery) -> None:
        if told.failed:
            metrics.sent.labels(NAME, "notice_failed").inc()
            log.warning("notice.not_delivered", channel=NAME, message=told.message, status=told.failed)
        if self._db is None or not (told.failed or told.template):
            return
        for pause in (0.0, *PAUSES):
            await asyncio.sleep(pause)
            if await self._db.run(lambda session: settle(session, user, told, self._clock())):
                return
        raise Early

    def _scene(self, event: Event) -> str:
        return (self._scenes.read(event.scene) or "") if self._scenes is not None and event.scene else ""

    def _change(self, session: Session, event: Event, scene: str) -> str:
        """The scene, if the town has it."""
        if event.moves:
            ledger.moved(session, event.user, event.at)
        if event.name == "unsubscribe":
            ledger.gone(session, event.user, event.at)
        for one in event.agreements:
            ledger.agreed(session, event.user, one.template, event.at, accepted=one.accepted)
        return scene if scene and there(session, scene) else ""


def _message(event: Event, told: dict[str, str]) -> Incoming:
    return Incoming(
        id=event.id, channel=NAME, chat=event.user, sender=event.user, sent_at=event.at, direct=True, platform=told
    )
