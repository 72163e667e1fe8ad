"""A OneBot message: a list of segments, or the older text with CQ codes, which comes to the same.

Source: OneBot v11, 消息: 消息段类型, 字符串格式, 数组格式. Only arrays leave: in a text segment nothing is a code, so
that a resident's `[CQ:at,qq=all]` stays what it is.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.security import Refused
from models.message import Kind, Media

Segment = tuple[str, dict[str, Any]]
Fields = dict[str, Any]

TEXT = 20_000  # characters, as `Incoming` takes them
URL = 1_000  # characters; an attachment takes 1,024
MOST_MEDIA = 20
MOST_SEGMENTS = 500
MIME = {"amr": "audio/amr", "silk": "audio/silk", "mp3": "audio/mpeg", "ogg": "audio/ogg"}
KINDS = {"image": Kind.IMAGE, "record": Kind.VOICE, "video": Kind.VIDEO, "file": Kind.FILE}

_CODE = re.compile(r"\[CQ:([A-Za-z0-9_.-]+)((?:,[A-Za-z0-9_.-]+=[^,\[\]]*)*)\]")
_ESCAPES = (("&#91;", "["), ("&#93;", "]"), ("&#44;", ","), ("&amp;", "&"))  # the last one last


def _plain(text: str) -> str:
    for code, mark in _ESCAPES:
        text = text.replace(code, mark)
    return text


def codes(message: str) -> Iterator[Segment]:
    """The segments of a message in the text format."""
    end = 0
    for found in _CODE.finditer(message):
        if found.start() > end:
            yield "text", {"text": _plain(message[end : found.start()])}
        pairs = (pair.partition("=") for pair in found[2].split(",")[1:])
        yield found[1], {name: _plain(value) for name, _, value in pairs}
        end = found.end()
    if end < len(message):
        yield "text", {"text": _plain(message[end:])}


def segments(message: object) -> list[Segment]:
    """The segments of a message in either format. Raises Refused for what is neither."""
    if isinstance(message, str):
        return list(codes(message[: 2 * TEXT]))[:MOST_SEGMENTS]
    if isinstance(message, dict):
        message = [message]  # some implementations send a lone segment bare
    if not isinstance(message, list):
        raise Refused("malformed")
    found: list[Segment] = []
    for one in message[:MOST_SEGMENTS]:
        if not isinstance(one, dict) or not isinstance(one.get("type"), str):
            raise Refused("malformed")
        data = one.get("data")
        found.append((one["type"], data if isinstance(data, dict) else {}))
    return found


def _word(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _media(kind: str, data: dict[str, Any]) -> Media:
    name = _word(data, "file") or _word(data, "name")
    url = _word(data, "url")
    # `file` may be an address or the whole picture as base64: neither is a name.
    name = "" if "://" in name else name[:200]
    mime = MIME.get(name.rpartition(".")[2].lower(), "") if kind == "record" else ""
    web = url if url.startswith(("http://", "https://")) and len(url) <= URL else ""
    # An id by which the file is found again once it is on our disk.
    which = _word(data, "file_id")[:200] or name or hashlib.sha256(url.encode()).hexdigest()[:32]
    return Media(name=name, url=web, platform_id=which, mime=mime)


class Reading:
    """What a message's segments say, one after another."""

    def __init__(self, account: str) -> None:
        """account: the bot's own number."""
        self._account = account
        self._words: list[str] = []
        self._mentions: list[str] = []
        self._media: list[Media] = []
        self._kind: Kind | None = None
        self._place: Fields = {}
        self._quote: str | None = None
        self._readers: dict[str, Callable[[dict[str, Any]], None]] = {
            "text": lambda data: self._words.append(_word(data, "text")),
            "at": self._at,
            "reply": self._reply,
            "location": self._location,
            "share": lambda data: self._words.append("\n".join(filter(None, map(data.get, ("title", "content"))))),
        }

    def fields(self, message: list[Segment]) -> Fields | None:
        """For `Incoming`; None when nothing of it means anything to us: a face, a dice."""
        for kind, data in message:
            if kind in KINDS:
                self._media.append(_media(kind, data))
                self._kind = self._kind or KINDS[kind]
            elif reader := self._readers.get(kind):
                reader(data)
        text = "".join(self._words).strip()[:TEXT]
        if not (text or self._media or self._place or self._mentions or self._quote):
            return None
        kind = self._kind if self._kind is not None and (not text or self._kind == Kind.VOICE) else Kind.TEXT
        found: Fields = {
            "kind": kind, "text": text, "quote": self._quote, "mentions": tuple(dict.fromkeys(self._mentions)),
            "media": tuple(self._media[:MOST_MEDIA]),
        }  # fmt: skip
        return found | self._place

    def _at(self, data: dict[str, Any]) -> None:
        who = _word(data, "qq")
        if who == self._account:
            self._mentions.append("bot")
        elif who:
            self._mentions.append(who[:64])
            self._words.append(f"@{_word(data, 'name').removeprefix('@')} ")

    def _reply(self, data: dict[str, Any]) -> None:
        self._quote = _word(data, "id")[:128] or None

    def _location(self, data: dict[str, Any]) -> None:
        # QQ's map is Tencent's: GCJ-02.
        lon, lat = wgs84_from_gcj02(float(_word(data, "lon")), float(_word(data, "lat")))
        label = _word(data, "title") or _word(data, "content")
        self._place = {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": label[:200]}
