"""What the platform writes to an AI bot, as ours: the same letters in both modes.

Platform pages 100719 (接收消息), 101027 (接收事件), 101463 (长连接). Groups deliver text, mixed and quotes that @ the
bot; picture, voice, file and video come only in a direct chat. A message carries no time: it counts from when it is
heard.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot.channels import cards
from bot.channels.security import Refused, refusing
from models.message import Forwarded, Incoming, Kind, Media

NAME = "wecom_bot"
ITEMS = 20  # parts of one mixed message that are read
MAX_TEXT = 20_000
# "@网格助手 3幢…": in a group every message that arrives begins with, or holds, the bot's name.
_FIRST = re.compile(r"^\s*@\S+[\s\u2005]+")

OPINION = "opinion:"  # begins the id of what somebody wrote about an answer: no stream answers that
OPINIONS = {"1": "accurate", "2": "inaccurate", "3": "taken_back"}
REASONS = (1, 2, 3, 4)  # of an inaccurate answer; their words: `opinion_…` of replies.yaml

Fields = dict[str, Any]


class What(StrEnum):
    """What a letter is about."""

    MESSAGE = "message"
    CLICK = "template_card_event"
    FEEDBACK = "feedback_event"
    ENTER = "enter_chat"
    KICKED = "disconnected_event"
    POLL = "stream"
    OTHER = "other"


EVENTS = {what.value: what for what in (What.CLICK, What.FEEDBACK, What.ENTER)}


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of the platform.

    incoming: what goes to the inbox, None for what says nothing to the handlers. quoted: the words of a quoted message;
    the platform gives no id of it. card: the task id of a pressed card. stream: the id of a stream whose content is
    asked for. opinion: of an answer of the bot: accurate, inaccurate, taken_back; answer: the feedback id of that one;
    reasons: why it is inaccurate, as numbers; at: when that was said. unread: the kind of a message that cannot be
    read. response_url: where one later answer may be posted; it holds a secret and is never logged.
    """

    what: What
    id: str
    chat: str
    sender: str
    direct: bool
    incoming: Incoming | None = None
    quoted: str = ""
    card: str = ""
    stream: str = ""
    opinion: str = ""
    answer: str = ""
    reasons: tuple[int, ...] = ()
    at: datetime | None = None
    unread: str = ""
    response_url: str = field(default="", repr=False)


def text_of(value: object, limit: int = MAX_TEXT) -> str:
    """A field's text, "" where it is absent; anything else than text is not the platform's. Raises Refused."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("malformed")
    return value.encode(errors="replace").decode()[:limit]  # half a surrogate pair can be stored nowhere


def part(value: object, name: str) -> Mapping[str, Any]:
    """The object under `name`. Raises Refused when it is none."""
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        raise Refused("malformed")
    return found


def _words(body: Mapping[str, Any]) -> Fields:
    return {"text": text_of(part(body, "text").get("content"))}


def _file(kind: Kind) -> Callable[[Mapping[str, Any]], Fields]:
    def read_file(body: Mapping[str, Any]) -> Fields:
        found = part(body, kind.value)
        where = text_of(found.get("url"), 4096), text_of(found.get("aeskey"), 64)
        return {"kind": kind, "files": ((*where, text_of(found.get("filename"), 100)),)}

    return read_file


def _voice(body: Mapping[str, Any]) -> Fields:
    return {"kind": Kind.VOICE, "text": text_of(part(body, "voice").get("content"))}


def _mixed(body: Mapping[str, Any]) -> Fields:
    items = part(body, "mixed").get("msg_item")
    if not isinstance(items, list):
        raise Refused("malformed")
    read = [_body(item) for item in items[:ITEMS]]
    texts = [found["text"] for found in read if found.get("text")]
    files = tuple(one for found in read for one in found.get("files", ()))
    kind = Kind.TEXT if texts or not files else Kind.IMAGE
    return {"kind": kind, "text": "\n".join(texts)[:MAX_TEXT], "files": files}


READERS: dict[str, Callable[[Mapping[str, Any]], Fields]] = {
    "text": _words,
    "image": _file(Kind.IMAGE),
    "mixed": _mixed,
    "voice": _voice,
    "file": _file(Kind.FILE),
    "video": _file(Kind.VIDEO),
}


def _body(body: object) -> Fields:
    """Kind, text, media and their keys; nothing of a kind that nobody knows yet."""
    if not isinstance(body, Mapping):
        raise Refused("malformed")
    reader = READERS.get(text_of(body.get("msgtype"), 32))
    return reader(body) if reader else {}


def read(body: object, *, bot_id: str, now: datetime, name: str = "", corp_id: str = "") -> Letter:
    """A decrypted callback, or the body of a frame.

    now: aware. name: how people @ the bot; "": whatever stands first. corp_id: whoever is said to be of another
    corporation is refused; "": nobody is. What the inbox keeps beside the message is in
    `platform`: `response_url`. Raises Refused for what is not of this bot, or not of this shape.
    """
    with refusing():
        if not isinstance(body, Mapping):
            raise Refused("malformed")
        if text_of(body.get("aibotid"), 256) != bot_id:
            raise Refused("receiver")
        kind = text_of(body.get("msgtype"), 32)
        event = part(body, "event") if kind == "event" else {}
        happened = text_of(event.get("eventtype"), 64)
        if happened == What.KICKED:
            return Letter(What.KICKED, text_of(body.get("msgid"), 128), "", "", direct=True)
        who = part(body, "from")
        sender, corp = text_of(who.get("userid"), 128), text_of(who.get("corpid"), 128)
        if corp_id and corp not in ("", corp_id):
            raise Refused("receiver")  # a userid of another corporation names another person
        direct = text_of(body.get("chattype"), 16) != "group"
        chat = sender if direct else text_of(body.get("chatid"), 128)
        letter = Letter(
            what=EVENTS.get(happened, What.OTHER), id=text_of(body.get("msgid"), 129),
            chat=chat, sender=sender, direct=direct, response_url=text_of(body.get("response_url"), 2048),
        )  # fmt: skip
        platform = {"response_url": letter.response_url}
        base: Fields = {
            "id": letter.id, "channel": NAME, "chat": chat, "sender": sender, "direct": direct, "sent_at": now,
            "platform": platform if letter.response_url else {},
        }  # fmt: skip
        if not (letter.id and sender and chat):
            raise Refused("malformed")
        if kind == What.POLL:
            return replace(letter, what=What.POLL, stream=text_of(part(body, "stream").get("id"), 512))
        if kind != "event":
            return _message(letter, body, base, name)
        if "create_time" in body:
            base["sent_at"] = datetime.fromtimestamp(int(body["create_time"]), UTC)
        return _event(letter, event, base)


def _message(letter: Letter, body: Mapping[str, Any], base: Fields, name: str) -> Letter:
    found = _body(body)
    if not found:
        # A kind that came after this was written. Who sent it to the bot alone is to hear that nobody has read it.
        letter = replace(letter, unread=text_of(body.get("msgtype"), 32) or "none")
        return replace(letter, what=What.MESSAGE, incoming=Incoming(**base)) if letter.direct else letter
    quote = body.get("quote")
    # A kind of quote that cannot be read must not cost the words beside it.
    quoted = _body(quote) if isinstance(quote, Mapping) else {}
    files = found.pop("files", ()) + quoted.get("files", ())
    # The platform has no names for files: one is made, by which the message is told where the file is.
    media = tuple(
        Media(name=called, url=url, key=key, platform_id=f"{letter.id}#{i}")
        for i, (url, key, called) in enumerate(files)
    )
    text = without_bot(found.get("text", ""), name) if not letter.direct else found.get("text", "")
    mentions = () if letter.direct else ("bot",)
    incoming = Incoming(**base | found | {"text": text, "media": media, "mentions": mentions})
    return replace(letter, what=What.MESSAGE, incoming=incoming, quoted=quoted.get("text", ""))


def _event(letter: Letter, event: Mapping[str, Any], base: Fields) -> Letter:
    if letter.what == What.CLICK:
        click = cards.click(event)
        base["platform"] |= {f"selected:{key}": ",".join(ids) for key, ids in click.selected.items()}
        incoming = Incoming(**base | {"kind": Kind.CARD, "action": click.action})
        return replace(letter, card=click.task, incoming=incoming)
    if letter.what == What.FEEDBACK:
        said = part(event, "feedback_event")
        given = said.get("inaccurate_reason_list")
        reasons = given if isinstance(given, list) else []
        letter = replace(
            letter, opinion=OPINIONS.get(str(said.get("type")), "unknown"), answer=text_of(said.get("id"), 256),
            reasons=tuple(one for one in REASONS if one in reasons), at=base["sent_at"],
        )  # fmt: skip
        words = text_of(said.get("content"), 2000).strip()
        if not words:
            return letter
        # What somebody writes about an answer of the bot is said to the bot.
        base["platform"] |= {"feedback": letter.answer, "opinion": letter.opinion}
        base["id"] = OPINION + letter.id
        mentions = () if letter.direct else ("bot",)
        return replace(letter, incoming=Incoming(**base | {"text": words, "mentions": mentions}))
    return letter


def without_bot(text: str, name: str) -> str:
    """The words without the bot's own name in them: "@网格助手 3幢灯坏了" → "3幢灯坏了"."""
    if name:
        return re.sub(rf"@{re.escape(name)}[\s\u2005]?", "", text).strip()
    return _FIRST.sub("", text, count=1).strip()


def quoting(incoming: Incoming, words: str) -> Incoming:
    """The message with the words it quotes: as a line passed on, since nobody knows whose they are."""
    return incoming.model_copy(update={"forwarded": (Forwarded(sender="", text=words),)})
