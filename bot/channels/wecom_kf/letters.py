"""What sync_msg gives, as our messages and events (微信客服: 读取消息, 企业微信 94670).

Whatever a servicer (接待人员) writes is between her and the customer, and is not kept.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.menus import pressed
from bot.channels.security import Refused, refusing
from models.message import Forwarded, Incoming, Kind, Media

NAME = "wecom_kf"
CUSTOMER, SYSTEM = 3, 4  # origin
TEXT = 20_000  # characters, as `Incoming` takes them
MOST_LINES = 100  # of a forwarded record
ENDED = 3  # change_type of session_status_change: the session with a servicer is over

Body = dict[str, Any]
Fields = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """name: enter_session, msg_send_fail, user_recall_msg, session_status_change … about: the msgid it speaks of.

    welcome: the code that one greeting may use, for 20 seconds. kind: fail_type or change_type.
    """

    id: str
    name: str
    account: str
    user: str
    at: datetime
    scene: str = ""
    welcome: str = ""
    about: str = ""
    kind: int = 0


def word(body: object, name: str, most: int = 200) -> str:
    """A text of the platform's, without what no database keeps; "" when there is none."""
    value = body.get(name) if isinstance(body, dict) else None
    return str(value).replace("\x00", "")[:most] if isinstance(value, str | int | float) else ""


def _text(body: Body) -> Fields:
    return pressed(word(body, "content", TEXT).strip(), word(body, "menu_id", 128))


def _media(kind: Kind, mime: str = "") -> Callable[[Body], Fields]:
    def reader(body: Body) -> Fields:
        found = word(body, "media_id", 256)
        if not found:
            raise Refused("malformed")
        return {"kind": kind, "media": (Media(platform_id=found, mime=mime),)}

    return reader


def _location(body: Body) -> Fields:
    lon, lat = wgs84_from_gcj02(float(body["longitude"]), float(body["latitude"]))
    label = " ".join(filter(None, (word(body, "name"), word(body, "address"))))
    return {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": label[:200]}


def _titled(*names: str) -> Callable[[Body], Fields]:
    return lambda body: {"text": "\n".join(filter(None, (word(body, name, 2_000) for name in names)))}


def _merged(body: Body) -> Fields:
    """A forwarded chat record: a leader's relay. Who said it in the other group is not kept: only what."""
    lines = []
    for item in body["item"][:MOST_LINES]:
        at = datetime.fromtimestamp(int(item["send_time"]), UTC) if item.get("send_time") else None
        # The inner message is JSON in a string. Its pictures cannot be had: they have no media_id of ours.
        words = _inner(item.get("msg_content")) if item.get("msgtype") == "text" else ""
        if words:
            lines.append(Forwarded(sender="", at=at, text=words))
    return {"forwarded": tuple(lines)}


def _inner(content: object) -> str:
    found = json.loads(content) if isinstance(content, str) else content
    return word(found.get("text"), "content", 2_000).strip() if isinstance(found, dict) else ""


READERS: dict[str, Callable[[Body], Fields]] = {
    "text": _text,
    "image": _media(Kind.IMAGE),
    "voice": _media(Kind.VOICE, "audio/amr"),
    "video": _media(Kind.VIDEO, "video/mp4"),
    "file": _media(Kind.FILE),
    "location": _location,
    "link": _titled("title", "desc", "url"),
    "miniprogram": _titled("title"),
    "channels": _titled("title"),
    "merged_msg": _merged,
}


def read(item: Body, account: str) -> Incoming | Event | None:
    """One of msg_list; None for what says nothing to us. account: that was asked. Raises Refused."""
    with refusing():
        kind, origin = word(item, "msgtype", 32), item.get("origin")
        if kind == "event" and origin == SYSTEM:
            return _event(item, account)
        reader = READERS.get(kind)
        if origin != CUSTOMER or reader is None or not isinstance(body := item.get(kind), dict):
            return None
        fields = reader(body)
        if not any(value for name, value in fields.items() if name != "kind"):
            return None  # an empty text, a record of pictures only
        user = word(item, "external_userid", 129)
        return Incoming(
            id=word(item, "msgid", 129),
            channel=NAME,
            chat=user,
            sender=user,
            sent_at=datetime.fromtimestamp(int(item["send_time"]), UTC),
            direct=True,
            platform={"open_kfid": account},
            **fields,
        )


def _event(item: Body, account: str) -> Event:
    told = item["event"]
    user, message = word(told, "external_userid", 129), word(item, "msgid", 129)
    if not (0 < len(user) <= 128 and 0 < len(message) <= 128):
        raise Refused("malformed")
    kind = told.get("fail_type", told.get("change_type", 0))
    return Event(
        id=message,
        name=word(told, "event_type", 64),
        account=account,
        user=user,
        at=datetime.fromtimestamp(int(item["send_time"]), UTC),
        scene=word(told, "scene_param", 256),
        welcome=word(told, "welcome_code", 256),
        about=word(told, "recall_msgid", 128) or word(told, "fail_msgid", 128),
        kind=kind if isinstance(kind, int) else 0,
    )
