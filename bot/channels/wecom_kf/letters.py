"""What sync_msg gives, as our messages and events (微信客服: 读取消息, 企业微信 94670).

Whatever a servicer (接待人员) writes is between her and the customer, and is not kept.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.menus import pressed
from bot.channels.security import Refused, refusing
from models.message import Forwarded, Incoming, Kind, Media

log = structlog.get_logger(__name__)
NAME = "wecom_kf"
CUSTOMER, SYSTEM = 3, 4  # origin
TEXT = 20_000  # characters, as `Incoming` takes them
MOST_LINES = 100  # of a forwarded record
DEEP = 4  # records within records
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
    lines = list(_lines(body, DEEP))
    if len(lines) > MOST_LINES:
        log.warning("kf.record_cut", left_out=len(lines) - MOST_LINES)
    return {"forwarded": tuple(lines[:MOST_LINES])}


def _lines(body: object, deep: int) -> Iterator[Forwarded]:
    """What of a record can be read, item by item: one that is not what we know takes no other with it."""
    items = body.get("item") if isinstance(body, dict) else None
    for item in items if isinstance(items, list) else ():
        try:
            kind = word(item, "msgtype", 32)
            # The inner message is JSON in a string. Its pictures cannot be had: they have no media_id of ours.
            content = item.get("msg_content")
            found = json.loads(content) if isinstance(content, str) else content
            inner = found.get(kind)
        except (AttributeError, ValueError, RecursionError):
            continue
        if kind == "merged_msg" and deep > 1:
            yield from _lines(inner, deep - 1)
        elif kind in INNER and (words := INNER[kind](inner)["text"].strip()):
            yield Forwarded(sender="", at=_moment(item), text=words)


def _moment(item: Body) -> datetime | None:
    """When it was said in the other group; None where that cannot be read."""
    try:
        return datetime.fromtimestamp(int(item["send_time"]), UTC) if item.get("send_time") else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


# What says something inside a record. A pin is its name there: where a neighbour of hers was matters as words.
INNER: dict[str, Callable[[Any], Fields]] = {
    "text": _titled("content"),
    "location": _titled("name", "address"),
    "link": _titled("title", "desc", "url"),
    "miniprogram": _titled("title"),
    "channels": _titled("title"),
}


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
    """One of msg_list; None for what says nothing to us. account: that was asked. Raises Refused.

    A customer's message of a kind that we cannot read (名片, 笔记, a record of pictures only) is one without words: she
    is asked to write it (`handlers.questions`), and not left without an answer.
    """
    with refusing():
        kind, origin = word(item, "msgtype", 32), item.get("origin")
        if kind == "event" and origin == SYSTEM:
            return _event(item, account)
        if origin != CUSTOMER or kind == "event":
            return None
        reader, body = READERS.get(kind), item.get(kind)
        fields = reader(body) if reader is not None and isinstance(body, dict) else {}
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
