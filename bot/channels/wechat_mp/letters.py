"""The platform's messages as ours (接收普通消息)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.menus import pressed
from bot.channels.security import Refused, refusing
from models.message import Incoming, Kind, Media

NAME = "wechat_mp"
MIME = {"amr": "audio/amr", "speex": "audio/speex", "mp3": "audio/mpeg"}

Fields = dict[str, Any]


def text_of(value: object) -> str:
    """An element's text; an element that is nested or repeated is not the platform's. Raises Refused."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("malformed")
    return value


def _words(message: Any) -> Fields:
    """Typed, or pressed in a menu: wechatpy does not know `bizmsgmenuid`."""
    return pressed(text_of(message.content), text_of(message._data.get("bizmsgmenuid")))


def _image(message: Any) -> Fields:
    media = Media(url=text_of(message.image), platform_id=text_of(message.media_id))
    return {"kind": Kind.IMAGE, "media": (media,)}


def _voice(message: Any) -> Fields:
    media = Media(platform_id=text_of(message.media_id), mime=MIME.get(text_of(message.format).lower(), ""))
    return {"kind": Kind.VOICE, "media": (media,), "text": text_of(message.recognition)}


def _video(message: Any) -> Fields:
    media = Media(platform_id=text_of(message.media_id), mime="video/mp4")
    return {"kind": Kind.VIDEO, "media": (media,), "platform": {"thumb_media_id": text_of(message.thumb_media_id)}}


def _location(message: Any) -> Fields:
    # Location_X is the latitude; both are GCJ-02.
    lon, lat = wgs84_from_gcj02(float(text_of(message.location_y)), float(text_of(message.location_x)))
    return {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": text_of(message.label)}


def _link(message: Any) -> Fields:
    found = (text_of(message.title), text_of(message.description), text_of(message.url))
    return {"text": "\n".join(filter(None, found))}


READERS: dict[str, Callable[[Any], Fields]] = {
    "text": _words,
    "image": _image,
    "voice": _voice,
    "video": _video,
    "shortvideo": _video,
    "location": _location,
    "link": _link,
}


def read(message: Any) -> Incoming | None:
    """A wechatpy message as ours; None for events and kinds that say nothing to us. Raises Refused."""
    with refusing():
        reader = READERS.get(message.type)
        if reader is None:
            return None
        if message.id <= 0:
            raise Refused("malformed")
        sender = text_of(message.source)
        # `time` is the platform's unix seconds; `create_time` would be in a zone of wechatpy's own choice.
        sent_at = datetime.fromtimestamp(message.time, UTC)
        return Incoming(
            id=str(message.id),
            channel=NAME,
            chat=sender,
            sender=sender,
            sent_at=sent_at,
            direct=True,
            **reader(message),
        )
