"""The platform's events (接收事件推送): who follows, which code was scanned, which button pressed, what agreed to.

Where somebody is (LOCATION, on every entry to the chat) is not kept: nobody asked for it to be (PIPL 5, 6).
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.channels.security import Refused, refusing
from bot.channels.wechat_mp.letters import NAME, text_of
from models.message import Incoming

SCENE = "qrscene_"
SAYS = "say:"  # how a menu key of ours begins
SENT = "success"  # of TEMPLATESENDJOBFINISH and subscribe_msg_sent_event; else `failed:user block` and the like
AGREEMENTS = {
    "subscribe_msg_popup_event": "SubscribeMsgPopupEvent",
    "subscribe_msg_change_event": "SubscribeMsgChangeEvent",
}
MOST = 50  # templates that one event may name; an account has 25


@dataclass(frozen=True)
class Agreement:
    """What somebody answered to a subscription template (订阅通知)."""

    template: str
    accepted: bool


@dataclass(frozen=True)
class Delivery:
    """What became of a notice. message: the platform's id. failed: why it did not arrive, "" if it did. template: of a
    subscription notice."""

    message: str
    failed: str
    template: str = ""


@dataclass(frozen=True)
class Event:
    """name: in lower case. key: EventKey."""

    name: str
    user: str
    at: datetime
    key: str = ""
    agreements: tuple[Agreement, ...] = field(default=())
    deliveries: tuple[Delivery, ...] = field(default=())

    @property
    def id(self) -> str:
        """Events have none of their own; the platform's advice is sender and second, here with what happened."""
        told = "\0".join((self.user, self.name, self.key, *(one.message for one in self.deliveries)))
        return f"e{int(self.at.timestamp())}-{hashlib.sha256(told.encode(errors='replace')).hexdigest()[:16]}"

    @property
    def scene(self) -> str:
        """What stands in the scanned code; "" when none was."""
        if self.name == "subscribe":
            return self.key.removeprefix(SCENE) if self.key.startswith(SCENE) else ""
        return self.key if self.name == "scan" else ""

    @property
    def moves(self) -> bool:
        """The user did something that entitles to three messages within a minute."""
        return self.name in ("subscribe", "scan", "click")


def read_event(message: Any) -> Event | None:
    """A wechatpy message as an event; None when it is none. Raises Refused."""
    with refusing():
        data = message._data
        if text_of(data.get("MsgType")).lower() != "event":
            return None
        name = text_of(data.get("Event")).lower()
        user = text_of(data.get("FromUserName"))
        key = text_of(data.get("EventKey"))
        if name == "subscribe_scan":  # wechatpy's own name for following by a code
            name, key = "subscribe", SCENE + key
        if not (name and 0 < len(user) <= 128):
            raise Refused("malformed")
        return Event(
            name=name[:64],
            user=user,
            at=datetime.fromtimestamp(int(text_of(data.get("CreateTime"))), UTC),
            key=key[:256],
            agreements=tuple(map(_agreement, _rows(data, AGREEMENTS.get(name, "")))),
            deliveries=_deliveries(name, data),
        )


def _rows(data: Any, name: str) -> list[Any]:
    if data.get(name) is None:
        return []
    rows = data[name]["List"]
    rows = rows if isinstance(rows, list) else [rows]
    if len(rows) > MOST:
        raise Refused("malformed")
    return rows


def _agreement(row: Any) -> Agreement:
    return Agreement(text_of(row["TemplateId"])[:128], text_of(row.get("SubscribeStatusString")) == "accept")


def _deliveries(name: str, data: Any) -> tuple[Delivery, ...]:
    if name == "templatesendjobfinish":
        return (_delivery(data.get("MsgID"), data.get("Status")),)
    rows = _rows(data, "SubscribeMsgSentEvent") if name == "subscribe_msg_sent_event" else []
    return tuple(_delivery(row["MsgID"], row.get("ErrorStatus"), row["TemplateId"]) for row in rows)


def _delivery(message: Any, status: Any, template: Any = None) -> Delivery:
    how = text_of(status)[:64]
    return Delivery(text_of(message)[:64], "" if how == SENT else how or "failed", text_of(template)[:100])


def said(event: Event, words: frozenset[str]) -> Incoming | None:
    """A pressed menu button as the words it stands for; None for a key that is not in the menu now. words: of ours."""
    text = event.key.removeprefix(SAYS)
    if event.name != "click" or not event.key.startswith(SAYS) or text not in words:
        return None
    return Incoming(
        id=event.id, channel=NAME, chat=event.user, sender=event.user, sent_at=event.at, direct=True, text=text
    )
