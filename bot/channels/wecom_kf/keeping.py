"""A page of sync_msg into the database: messages, their files, what they entitle to and the cursor, in one transaction.

The same page again changes nothing: the inbox keeps a message once, a grant counts once, and the cursor can only be
moved from where this page began.
"""

import re
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col

from bot import metrics
from bot.channels.menus import msgid
from bot.channels.wecom_kf import ledger
from bot.channels.wecom_kf.letters import ENDED, NAME, Event
from bot.scenes import Scenes, there
from handlers.texts import say
from models import fetching, inbox, outbox, quota
from models.message import Incoming, Kind, Outgoing
from models.outbox import Outbox

log = structlog.get_logger(__name__)
# To the bot again, said to a human servicer (接待人员): never a matter.
BACK = re.compile(
    r"^(?:转|换|返?回|转回|找|叫)(?:到|给)?(?:机器人|邻声|智能助手|自动回复)[。！!]*$|^结束人工(?:客服|服务)?[。！!]*$"
)
BACK_KEY = "wecom_kf:back:"  # how the key of the row begins that ends a servicer's session
CLOSED = frozenset({4, 6})  # fail_type: the 48 hours are over, the five are used up


class Keeping:
    """Writes what was read."""

    def __init__(self, scenes: Scenes | None, *, humans: bool) -> None:
        """scenes: None reads no scene_param. humans: there are servicers, from whom one may want to come back."""
        self._scenes = scenes
        self._humans = humans

    def keep(self, session: Session, found: Sequence[Incoming | Event], now: datetime) -> int:
        """Everything of a page but its cursor. Returns how many messages were new."""
        messages = []
        for one in found:
            if isinstance(one, Event):
                if (told := self._happened(session, one, now)) is not None:
                    messages.append(told)
                continue
            account = one.platform["open_kfid"]
            ledger.heard(session, account, one.sender, one.sent_at)
            if self._humans and BACK.search(one.text):
                self._come_back(session, one, now)
            else:
                messages.append(one)
            outbox.hurry(session, [f"{NAME}:{one.chat}"], now)
        fetching.put(session, messages, now)
        new = inbox.receive(session, messages, now)
        metrics.received.labels("new").inc(new)
        metrics.received.labels("duplicate").inc(len(messages) - new)
        return new

    def _come_back(self, session: Session, one: Incoming, now: datetime) -> None:
        """As a row of the outbox: the platform hears of it in its turn, and it is not lost over a crash."""
        out = Outgoing(channel=NAME, chat=one.chat, text=say("kf_back"), trigger=one.id)
        outbox.put(session, [(f"{BACK_KEY}{one.id}", out)], now)

    def _happened(self, session: Session, event: Event, now: datetime) -> Incoming | None:
        """What an event changes, and the message that it is for the handlers."""
        if event.name == "enter_session":
            return self._entered(session, event)
        if event.name == "user_recall_msg" and event.about:
            return _message(event, {}).model_copy(update={"kind": Kind.RECALL, "recalls": event.about})
        if event.name == "msg_send_fail":
            _not_arrived(session, event, now)
        elif event.name == "session_status_change" and event.kind == ENDED:
            outbox.hurry(session, [f"{NAME}:{event.user}"], now)
        else:
            log.info("kf.event", name=event.name)
        return None

    def _entered(self, session: Session, event: Event) -> Incoming | None:
        """She opens the chat: greeted when the platform lets us, and settled where the code hangs that she scanned.
        Anybody may change the address in a code: a scene that is not ours counts as none."""
        scene = (self._scenes.read(event.scene) or "") if self._scenes is not None and event.scene else ""
        scene = scene if scene and there(session, scene) else ""
        if event.scene and not scene:
            metrics.refused.labels(NAME, "scene").inc()
            log.warning("scene.refused", channel=NAME)
        if not scene and not event.welcome:
            return None
        told = {"scene": scene} if scene else {"enter": "first"}
        return _message(event, told | ({"welcome_code": event.welcome} if event.welcome else {}))


def _message(event: Event, told: dict[str, str]) -> Incoming:
    return Incoming(
        id=event.id, channel=NAME, chat=event.user, sender=event.user, sent_at=event.at, direct=True,
        platform={"open_kfid": event.account} | told,
    )  # fmt: skip


def _not_arrived(session: Session, event: Event, now: datetime) -> None:
    """A message that the platform took did not reach her: the sender gives it up. Told again, it changes nothing."""
    name, error = event.about.partition("_")[0], f"msg_send_fail {event.kind}"  # of several parts one row
    columns = (col(Outbox.id), col(Outbox.dedup_key), col(Outbox.finished_at))
    hers = sa.select(*columns).where(col(Outbox.conversation) == f"{NAME}:{event.user}")
    # Of one whose answer we are still waiting for only we know what it is called.
    found = sa.or_(col(Outbox.platform_id) == name, col(Outbox.finished_at).is_(None))
    rows = [(number, left) for number, key, left in session.execute(hers.where(found)) if msgid(key) == name]
    lost = [left or event.at for number, left in rows if outbox.lost(session, number, error, now)]
    if event.kind in CLOSED and lost:
        # So it was when that message left; by now she may have written again.
        quota.exhaust(session, ledger.key(event.account, event.user), min(lost))
    metrics.sent.labels(NAME, "not_arrived").inc()
    log.warning("kf.not_arrived", rows=len(lost), fail_type=event.kind)
