"""The AI bot (智能机器人): who wrote to it, what it may answer, and what people see of that. Both modes share this.

Sources: 企业微信 100719, 101027, 101031, 101032 (webhook mode), 101463 (long connection).
"""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.platform.cards import check_card, words_of
from bot.platform.clock import Timepiece
from bot.platform.codes import PlatformError, mapping, need
from bot.platform.limits import conversation_rates
from bot.platform.media import MediaStore
from bot.platform.names import Names
from bot.platform.world import Body, Bubble, World

CHANNEL = "wecom_bot"
CONTENT_BYTES = 20_480
STREAM_LIFE = timedelta(minutes=6)  # after the user's message (webhook) or the stream's first frame (long connection)
REPLY_LIFE = timedelta(hours=24)
ANSWER_SECONDS = 5.0  # for a welcome and for the update of a card
FEEDBACK_BYTES = 256
IN_FLIGHT = 3  # 100719: of one user with one bot, all chats together
PICTURE_BYTES = 10 * 1024 * 1024


@dataclass
class Turn:
    """One callback, and what may still be answered to it. kind: message, card or welcome."""

    id: str
    kind: str
    chat: str
    user: str
    at: datetime
    msgid: str
    card: Bubble | None = None
    streams: dict[str, Bubble] = field(default_factory=dict)
    begun: dict[str, datetime] = field(default_factory=dict)
    used: bool = False
    session: int = 0  # the long connection that it was sent on

    @property
    def answered(self) -> bool:
        """All that was begun is finished, or it had its one answer."""
        return self.used or (bool(self.streams) and all(stream.finished for stream in self.streams.values()))


TOLD = ("markdown", "text", "file", "image", "voice", "video")


class AiBot:
    """One bot. token, aes_key: of the webhook mode. id, secret: of the long connection."""

    def __init__(self, clock: Timepiece, world: World, media: MediaStore, names: Names, name: str = "邻声") -> None:
        self.id = f"aib{names.word('bot', 24)}"
        self.secret = names.word("bot.secret", 43)
        self.token = names.word("bot.token", 24)
        self.aes_key = names.key("bot")
        self.name = name
        self.clock = clock
        self.world = world
        self.media = media
        self.known: set[str] = set()  # conversations whose people have written: only there may the bot begin
        self.welcomed: dict[str, datetime] = {}
        self._minute, self._hour = conversation_rates()
        self._answering: list[Turn] = []

    def direct(self, chat: str) -> bool:
        """A direct chat is named by its user."""
        return chat not in self.world.groups

    def head(self, chat: str, user: str, kind: str) -> Body:
        """What every callback begins with."""
        body: Body = {"msgid": secrets.token_urlsafe(24), "aibotid": self.id, "from": {"userid": user}, "msgtype": kind}
        if self.direct(chat):
            return body | {"chattype": "single"}
        return body | {"chatid": chat, "chattype": "group"}

    def take_rate(self, chat: str) -> None:
        """One more message into this conversation. Raises PlatformError 846607."""
        self._minute.take(chat, self.clock())
        self._hour.take(chat, self.clock())

    def begin(self, turn: Turn) -> None:
        """A message is in flight from now on."""
        if turn not in self._answering:
            self._answering.append(turn)

    def in_flight(self, user: str) -> int:
        """How many of her messages are just being answered: neither finished nor given up."""
        begun = self.clock() - STREAM_LIFE
        self._answering = [turn for turn in self._answering if turn.at > begun and not turn.answered]
        return sum(turn.user == user for turn in self._answering)

    # --- what the app answers ---------------------------------------------------------------------------------------

    def respond(self, turn: Turn, body: Body, *, pictures: bool) -> Bubble:
        """An answer to a message. pictures: `msg_item` works (webhook mode only). Raises PlatformError."""
        need(turn.kind == "message", 846605, "not a message")
        need(self.clock() - turn.at < REPLY_LIFE, 846605, "older than 24 h")
        kind = body.get("msgtype")
        if kind in ("stream", "stream_with_template_card"):
            bubble = self._stream(turn, body.get("stream"), pictures=pictures)
            if kind == "stream_with_template_card" and body.get("template_card") is not None:
                self.show_card(turn.chat, body["template_card"])
            return bubble
        # 101031: to a callback of the webhook nothing else is an answer.
        need(kind == "template_card" or (kind in TOLD and not pictures), 40008, str(kind))
        bubble = self.post(turn.chat, body)
        turn.used = True
        return bubble

    def welcome(self, turn: Turn, body: Body) -> Bubble:
        """The first words of the day, once and within five seconds. Raises PlatformError."""
        need(turn.kind == "welcome" and not turn.used, 846605)
        need((self.clock() - turn.at).total_seconds() <= ANSWER_SECONDS, 846605, "later than 5 s")
        need(body.get("msgtype") in ("text", "template_card"), 40008)
        turn.used = True
        return self.post(turn.chat, body)

    def update(self, turn: Turn, body: Body) -> Bubble:
        """The new face of the card that was pressed, within five seconds. Raises PlatformError."""
        if turn.kind != "card" or turn.card is None or turn.used:
            raise PlatformError(846605)
        need((self.clock() - turn.at).total_seconds() <= ANSWER_SECONDS, 846605, "later than 5 s")
        need(body.get("response_type") == "update_template_card", 40008)
        card = check_card(body.get("template_card"))
        need(card.get("task_id") == (turn.card.card or {}).get("task_id"), 40058, "task_id")
        turn.used = True
        turn.card.update(card, body.get("userids") or ())
        self.world.touch()
        return turn.card

    def send(self, chat: str, chat_type: int, body: Body) -> Bubble:
        """A message that answers nothing. chat_type: 1 direct, 2 group, 0 whichever. Raises PlatformError."""
        need(chat in self.known, 846604)
        need(chat_type in (0, 1 if self.direct(chat) else 2), 40058, "chat_type")
        kind = body.get("msgtype")
        need(kind in ("markdown", "template_card", "file", "image", "voice", "video"), 40008, str(kind))
        return self.post(chat, body)

    def post(self, chat: str, body: Body) -> Bubble:
        """Show a message of any kind. Raises PlatformError."""
        kind = str(body.get("msgtype"))
        if kind == "template_card":
            self.take_rate(chat)
            return self.show_card(chat, body.get("template_card"))
        inner = mapping(body.get(kind), 40058, kind)
        spoken = kind in ("text", "markdown")
        text = _words(inner) if spoken else f"[{self.media.get(str(inner.get('media_id', ''))).name}]"
        self.take_rate(chat)
        return self.world.show(self._bubble(chat, kind, text, body))

    def show_card(self, chat: str, card: Any) -> Bubble:
        """Show a card. Raises PlatformError."""
        good = check_card(card)
        task = good.get("task_id")
        mine = (bubble.card for bubble in self.world.bubbles if bubble.channel == CHANNEL and bubble.card)
        need(not task or all(other.get("task_id") != task for other in mine), 40058, "task_id is used already")
        bubble = self._bubble(chat, "template_card", words_of(good), {"template_card": good})
        bubble.card = good
        return self.world.show(bubble)

    def _stream(self, turn: Turn, given: Any, *, pictures: bool) -> Bubble:
        stream = mapping(given, 40058, "stream")
        name = str(stream.get("id") or "")
        need(name, 40058, "stream.id")
        content = _words(stream, empty=True)
        items = stream.get("msg_item") or []
        need(not items or (pictures and stream.get("finish")), 40058, "msg_item")
        _check_pictures(items)
        bubble = turn.streams.get(name)
        need(bubble is None or not bubble.finished, 846608, "finished")
        feedback = (stream.get("feedback") or {}).get("id", "")
        need(len(feedback.encode()) <= FEEDBACK_BYTES, 40058, "feedback.id")
        begun = turn.at if pictures else turn.begun.setdefault(name, self.clock())
        need(self.clock() - begun < STREAM_LIFE, 846608)
        if bubble is None:
            self.take_rate(turn.chat)  # assumed to count once: a stream of 31 frames would be impossible otherwise
            bubble = turn.streams[name] = self._bubble(turn.chat, "stream", "", {})
            bubble.key = feedback
            self.begin(turn)
            self.world.show(bubble)
        bubble.text, bubble.body = content, {"msgtype": "stream", "stream": stream}
        bubble.finished = bool(stream.get("finish"))
        self.world.touch()
        return bubble

    def _bubble(self, chat: str, kind: str, text: str, body: Body) -> Bubble:
        return Bubble(secrets.token_urlsafe(12), self.clock(), CHANNEL, chat, kind=kind, text=text, body=body)


def _words(inner: Body, *, empty: bool = False) -> str:
    content = inner.get("content", "")
    if not isinstance(content, str) or not (content or empty):
        raise PlatformError(44004)
    need(len(content.encode()) <= CONTENT_BYTES, 45002)
    return content


def _check_pictures(items: list[Body]) -> None:
    need(len(items) <= 10, 40058, "msg_item takes 10")
    for item in items:
        image = item.get("image") or {}
        try:
            data = base64.b64decode(image.get("base64", ""), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        need(data.startswith((b"\xff\xd8\xff", b"\x89PNG")) and len(data) <= PICTURE_BYTES, 40058, "image")
        need(hashlib.md5(data).hexdigest() == image.get("md5"), 40058, "md5")  # noqa: S324 - the platform's own check
