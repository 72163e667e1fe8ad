"""Decrypted records of the message archive as our messages.

Platform page 91774 获取会话内容: what `DecryptData` gives, one JSON object a record. Fetching and decrypting need a
native SDK and the corporation's private key; both stay outside of this service.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bot.channels.archive.files import By, name_of
from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.security import Refused, refusing
from models.message import Forwarded, Incoming, Kind, Media

NAME = "archive"
ROBOT = "wb"  # ids of robots begin so; people outside are wm…, wo…
TEXT = 20_000  # characters, as `Incoming` takes them
MOST_LINES = 100  # of a forwarded record
IGNORED = frozenset({"switch"})  # somebody changed her corporation

Record = dict[str, Any]
Fields = dict[str, Any]
Reader = Callable[[Record, By | None], Fields]


def _word(found: object, name: str, most: int = 200) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    return str(value).replace("\x00", "")[:most] if isinstance(value, str | int | float) else ""


def _text(body: Record, _by: By | None) -> Fields:
    return {"text": _word(body, "content", TEXT).strip()}


def _media(kind: Kind, mime: str = "", name: str = "") -> Reader:
    def reader(body: Record, by: By | None) -> Fields:
        return {"kind": kind, "media": (_file(body, by, name=_word(body, name) if name else "", mime=mime),)}

    return reader


def _file(body: object, by: By | None, **more: str) -> Media:
    """The file itself is fetched in slices by the SDK; here it is only named."""
    named = name_of(body, by) if by is not None and isinstance(body, dict) else ""
    return Media(platform_id=named, **more)


def _location(body: Record, _by: By | None) -> Fields:
    lon, lat = wgs84_from_gcj02(float(body["longitude"]), float(body["latitude"]))
    label = " ".join(filter(None, (_word(body, "title"), _word(body, "address"))))
    return {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": label[:200]}


def _link(body: Record, _by: By | None) -> Fields:
    return {
        "text": "\n".join(filter(None, (_word(body, name, 2_000) for name in ("title", "description", "link_url"))))
    }


def _forwarded(body: Record, _by: By | None) -> Fields:
    lines = []
    for item in body["item"][:MOST_LINES]:
        at = datetime.fromtimestamp(int(item["msgtime"]), UTC) if item.get("msgtime") else None
        # The inner content is JSON in a string; only of a text the words are its own.
        words = _inner(item.get("content")) if item.get("type") == "ChatRecordText" else ""
        if words:
            lines.append(Forwarded(sender="", at=at, text=words))
    return {"kind": Kind.CARD, "text": "", "forwarded": tuple(lines)}


def _opened(content: object) -> object:
    return json.loads(content) if isinstance(content, str) else content


def _inner(content: object) -> str:
    return _word(_opened(content), "content", TEXT)


def _mixed(body: Record, by: By | None) -> Fields:
    words, media = [], []
    for item in body["item"][:MOST_LINES]:
        if item.get("type") == "text":
            words.append(_inner(item.get("content")))
        elif item.get("type") == "image":
            media.append(_file(_opened(item.get("content")), by))
    return {"text": "\n".join(filter(None, words))[:TEXT], "media": tuple(media)}


READERS: dict[str, Reader] = {
    "text": _text,
    "image": _media(Kind.IMAGE),
    "voice": _media(Kind.VOICE, "audio/amr"),
    "video": _media(Kind.VIDEO, "video/mp4"),
    "file": _media(Kind.FILE, name="filename"),
    "location": _location,
    "link": _link,
    "chatrecord": _forwarded,
    "mixed": _mixed,
}


def room(record: Record) -> str:
    """The group it was said in; "" for a direct chat between two people, which is none of our business."""
    return _word(record, "roomid", 128)


def read(record: Record, files_by: By | None = None) -> Incoming | None:
    """A message of a group, or a recall; None for robots and kinds that say nothing. Raises Refused.

    files_by: after what files are named; None: nobody brings any.
    """
    with refusing():
        sender, kind = _word(record, "from", 128), _word(record, "msgtype", 32)
        if record.get("action") in IGNORED or sender.startswith(ROBOT) or not room(record):
            return None
        fields: Fields | None = None
        if record["action"] == "recall" or kind == "revoke":
            taken = _word(record["revoke"], "pre_msgid", 128)
            if not taken:
                raise Refused("malformed")
            fields = {"kind": Kind.RECALL, "recalls": taken}
        elif kind in READERS:
            fields = READERS[kind](record.get(kind) or {}, files_by)
        if fields is None or not (set(fields) - {"text", "kind"} or fields.get("text")):
            return None
        return Incoming(
            id=_word(record, "msgid", 129),
            channel=NAME,
            chat=room(record),
            sender=sender,
            sent_at=datetime.fromtimestamp(int(record["msgtime"]) / 1000, UTC),
            **fields,
        )
