"""The platform's XML as ours. Platform pages: 90239 消息格式, 90240 事件格式."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.channels.clicks import Click, click_of_app
from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.security import Refused, refusing
from models.message import Incoming, Kind, Media

NAME = "wecom_app"
MIME = {"amr": "audio/amr", "speex": "audio/speex", "mp3": "audio/mpeg"}
CLICKS = ("template_card_event", "template_card_menu_event")
# 90240: an app that nobody uses is switched off, after warnings.
SWITCHED_OFF = frozenset({"inactive_alert", "low_active_alert", "close_inactive_agent", "low_active"})
CHOSEN = "choose"  # the submit button of a vote: what counts is the option that was chosen
SLOT = 600  # seconds; an open app may tell where it is every five, and one of them is a check-in

Fields = dict[str, Any]


@dataclass(frozen=True)
class Letter:
    """One callback. id: of the message, or made of what an event says. event: its name in lower case, "" for words.
    click: a pressed card, whose press `incoming` is. place: where the app was opened, as a message for the handlers,
    in the platform's coordinates.
    """

    id: str
    user: str
    at: datetime
    event: str = ""
    incoming: Incoming | None = None
    click: Click | None = None
    place: Incoming | None = None


def text_of(value: object) -> str:
    """An element's text; one that is nested or repeated is not the platform's. Raises Refused."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("malformed")
    return value


def read(fields: Mapping[str, Any], *, corp_id: str, agent_id: int) -> Letter:
    """A decrypted callback. Raises Refused, `receiver` for a letter to another corporation or app."""
    with refusing():
        if text_of(fields.get("ToUserName")) != corp_id or text_of(fields.get("AgentID")) not in ("", str(agent_id)):
            raise Refused("receiver")
        user, kind = text_of(fields.get("FromUserName")), text_of(fields.get("MsgType")).lower()
        if not (0 < len(user) <= 128 and kind):
            raise Refused("malformed")
        at = datetime.fromtimestamp(int(text_of(fields.get("CreateTime"))), UTC)
        return _event(fields, user, at) if kind == "event" else _message(fields, kind, user, at)


def _message(fields: Mapping[str, Any], kind: str, user: str, at: datetime) -> Letter:
    name = text_of(fields.get("MsgId"))
    if not (name.isascii() and name.isdigit() and len(name) <= 64):
        raise Refused("malformed")
    reader = READERS.get(kind)
    told = None if reader is None else Incoming(**_head(name, user, at), **reader(fields))
    return Letter(name, user, at, incoming=told)


def _event(fields: Mapping[str, Any], user: str, at: datetime) -> Letter:
    name = text_of(fields.get("Event")).lower()[:64]
    told = "\0".join([user, name, *(text_of(fields.get(part)) for part in ("EventKey", "TaskId"))])
    own = f"e{int(at.timestamp())}-{hashlib.sha256(told.encode(errors='replace')).hexdigest()[:16]}"
    if name in CLICKS:
        pressed = click_of_app(fields)
        action = _chosen(pressed)
        press = Incoming(**_head(own, user, at), kind=Kind.CARD, action=action) if action else None
        return Letter(own, user, at, name, incoming=press, click=pressed)
    if name == "location":
        return Letter(own, user, at, name, place=_place(fields, user, at))
    return Letter(own, user, at, name)


def _chosen(pressed: Click) -> str:
    """The action that a press stands for; "" for a vote that was sent without a choice."""
    if pressed.action.partition(":")[0] != CHOSEN:
        return pressed.action
    options = [option for chosen in pressed.selected.values() for option in chosen]
    return options[0] if len(options) == 1 else ""


def _place(fields: Mapping[str, Any], user: str, at: datetime) -> Incoming:
    """Where the app was opened (上报地理位置), as it was told: which coordinates those are is a setting."""
    lat, lon = float(text_of(fields.get("Latitude"))), float(text_of(fields.get("Longitude")))
    head = _head(f"patrol-{int(at.timestamp()) // SLOT}", user, at)
    told = {"patrol": text_of(fields.get("Precision"))[:16] or "0"}
    return Incoming(**head, kind=Kind.LOCATION, lon=lon, lat=lat, platform=told)


def _head(name: str, user: str, at: datetime) -> Fields:
    return {"id": name, "channel": NAME, "chat": user, "sender": user, "sent_at": at, "direct": True}


def _words(fields: Mapping[str, Any]) -> Fields:
    return {"text": text_of(fields.get("Content"))}


def _image(fields: Mapping[str, Any]) -> Fields:
    media = Media(url=text_of(fields.get("PicUrl")), platform_id=text_of(fields.get("MediaId")))
    return {"kind": Kind.IMAGE, "media": (media,)}


def _voice(fields: Mapping[str, Any]) -> Fields:
    mime = MIME.get(text_of(fields.get("Format")).lower(), "")
    return {"kind": Kind.VOICE, "media": (Media(platform_id=text_of(fields.get("MediaId")), mime=mime),)}


def _video(fields: Mapping[str, Any]) -> Fields:
    media = Media(platform_id=text_of(fields.get("MediaId")), mime="video/mp4")
    return {"kind": Kind.VIDEO, "media": (media,)}


def _location(fields: Mapping[str, Any]) -> Fields:
    # Location_X is the latitude; both are GCJ-02.
    given = [float(text_of(fields.get(name))) for name in ("Location_Y", "Location_X")]
    lon, lat = wgs84_from_gcj02(*given)
    return {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": text_of(fields.get("Label"))}


def _link(fields: Mapping[str, Any]) -> Fields:
    return {"text": "\n".join(filter(None, (text_of(fields.get(name)) for name in ("Title", "Description", "Url"))))}


READERS: dict[str, Callable[[Mapping[str, Any]], Fields]] = {
    "text": _words,
    "image": _image,
    "voice": _voice,
    "video": _video,
    "location": _location,
    "link": _link,
}
