"""What an event changes on our side, in one transaction, before the platform is told that we have it; and the message
that it is for the handlers."""

import structlog
from sqlmodel import Session

from bot import metrics
from bot.channels.wechat_mp import ledger
from bot.channels.wechat_mp.events import Event, said
from bot.channels.wechat_mp.letters import NAME
from bot.channels.wechat_mp.menu import words
from bot.scenes import Scenes, there
from models.database import Database
from models.message import Incoming

log = structlog.get_logger(__name__)
SENT = "success"  # of TEMPLATESENDJOBFINISH; else `failed:user block`, `failed: system failed`
AGREEMENTS = ("subscribe_msg_popup_event", "subscribe_msg_change_event")


class Happened:
    """Takes note of events."""

    def __init__(self, db: Database | None, scenes: Scenes | None) -> None:
        """scenes: None reads no QR code."""
        self._db = db
        self._scenes = scenes

    async def note(self, event: Event) -> Incoming | None:
        """Returns once it is committed, with what is to be handled. The same event twice changes nothing the second
        time, and is the same message."""
        if event.name == "templatesendjobfinish" and event.status != SENT:
            metrics.sent.labels(NAME, "notice_failed").inc()
            log.warning("notice.not_delivered", channel=NAME, message=event.message, status=event.status)
        scene = self._scene(event)
        if self._db is not None and (scene or event.moves or event.name in (*AGREEMENTS, "unsubscribe")):
            scene = await self._db.run(lambda session: self._change(session, event, scene))
        if event.scene and not scene:
            metrics.refused.labels(NAME, "scene").inc()
            log.warning("scene.refused", channel=NAME)
        if event.name == "click":
            return said(event, words())
        told = {"scene": scene} if scene else {"enter": "first"} if event.name == "subscribe" else {}
        return _message(event, told) if told else None

    def _scene(self, event: Event) -> str:
        return (self._scenes.read(event.scene) or "") if self._scenes is not None and event.scene else ""

    def _change(self, session: Session, event: Event, scene: str) -> str:
        """The scene, if the town has it."""
        if event.moves:
            ledger.moved(session, event.user, event.at)
        if event.name == "unsubscribe":
            ledger.gone(session, event.user, event.at)
        for one in event.agreements if event.name in AGREEMENTS else ():
            ledger.agreed(session, event.user, one.template, event.at, accepted=one.accepted)
        return scene if scene and there(session, scene) else ""


def _message(event: Event, told: dict[str, str]) -> Incoming:
    return Incoming(
        id=event.id, channel=NAME, chat=event.user, sender=event.user, sent_at=event.at, direct=True, platform=told
    )
