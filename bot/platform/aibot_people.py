"""What people do with the AI bot: write, show pictures, press cards, say what they think of an answer.

Groups deliver only what @s the bot (text, mixed, quotes); pictures, voices, files and videos reach it only in a direct
chat. A user has at most three messages in flight with one bot; what her client says to a fourth is not documented, here
it does not take it. Over a long connection, where no page speaks of it, one is in flight until its stream is finished.
Source: 企业微信 100719, 101027.
"""

from bot.platform.aibot import CHANNEL, IN_FLIGHT, AiBot, Turn
from bot.platform.aibot_socket import LongConnection
from bot.platform.aibot_webhook import Webhook
from bot.platform.cards import pressed
from bot.platform.crypto import Sealer, new_key, random_word
from bot.platform.push import Push
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


class TooMany(ValueError):
    """She has as many messages in flight as the platform allows; her client does not take another."""


class BotPeople(AiBot):
    """The bot as a test or a player sees it. The long connection counts while one is subscribed, else the webhook."""

    def __init__(self, shared: Shared, name: str = "邻声") -> None:
        super().__init__(shared.clock, shared.world, shared.media, shared.names, name)
        self.wire = LongConnection(self)
        self.webhook = Webhook(self, shared.pusher, shared.complaints)
        self.lost: list[Body] = []  # callbacks that nobody was there for

    @property
    def callback(self) -> str:
        """The address of the webhook mode."""
        return self.webhook.url

    @callback.setter
    def callback(self, url: str) -> None:
        self.webhook.url = url

    @property
    def connected(self) -> bool:
        """Somebody is subscribed."""
        return self.wire.current is not None

    async def say(self, chat: str | None, user: str, text: str, *, quote: Bubble | None = None) -> Bubble:
        """Words. chat: a group's id, or None for the direct chat. In a group write `@邻声` to be heard."""
        body: Body = {"text": {"content": text}}
        if quote is not None:
            body["quote"] = {"msgtype": "text", "text": {"content": quote.text}}
        return await self._write(chat, user, "text", body, text, quote=quote.text if quote else "")

    async def photo(self, chat: str | None, user: str, data: bytes = JPEG, text: str = "") -> Bubble:
        """A picture; with words, or in a group, it comes as `mixed`."""
        image = self._sealed("image", "picture.jpg", data)
        if chat is None and not text:
            return await self._write(chat, user, "image", {"image": image}, "[图片]")
        items: list[Body] = [{"msgtype": "text", "text": {"content": text}}] if text else []
        items.append({"msgtype": "image", "image": image})
        return await self._write(chat, user, "mixed", {"mixed": {"msg_item": items}}, f"{text}[图片]")

    async def voice(self, user: str, transcript: str) -> Bubble:
        """A voice message; the platform gives its words only."""
        return await self._write(None, user, "voice", {"voice": {"content": transcript}}, transcript)

    async def file(self, user: str, data: bytes, name: str = "file.pdf") -> Bubble:
        """A file in the direct chat."""
        return await self._write(None, user, "file", {"file": self._sealed("file", name, data)}, f"[文件]{name}")

    async def video(self, user: str, data: bytes) -> Bubble:
        """A video in the direct chat."""
        return await self._write(None, user, "video", {"video": self._sealed("video", "video.mp4", data)}, "[视频]")

    async def enter(self, user: str) -> Push | None:
        """She opens the direct chat; the bot hears of it the first time of a day."""
        now = self.clock()
        last = self.welcomed.get(user)
        if last is not None and last.date() == now.date():
            return None
        self.welcomed[user] = now
        body = self.head(user, user, "event") | {"create_time": int(now.timestamp())}
        body |= {"event": {"eventtype": "enter_chat"}}
        return await self._deliver(body, Turn(random_word(32), "welcome", user, user, now, body["msgid"]))

    async def click(
        self, card: Bubble, user: str, key: str, *, chosen: dict[str, list[str]] | None = None
    ) -> Push | None:  # fmt: skip
        """She presses a button. chosen: option ids by question_key. Raises ValueError for what she cannot press."""
        face = card.card_for(user)
        if face is None:
            raise ValueError("that is no card")
        event: Body = {"card_type": face["card_type"], "event_key": key, "task_id": face.get("task_id", "")}
        event |= pressed(face, key, chosen or {})
        return await self._press(card.chat, user, event, card)

    async def forge(self, user: str, event: Body) -> Push | None:
        """A press that no screen offers: her client claims it from her own direct chat. event: what it claims."""
        return await self._press(user, user, event, None)

    async def _press(self, chat: str, user: str, event: Body, card: Bubble | None) -> Push | None:
        now = self.clock()
        body = self.head(chat, user, "event") | {"create_time": int(now.timestamp())}
        body |= {"event": {"eventtype": "template_card_event", "template_card_event": event}}
        self.known.add(chat)
        return await self._deliver(body, Turn(random_word(32), "card", chat, user, now, body["msgid"], card=card))

    async def feedback(self, answer: Bubble, user: str, kind: int, content: str = "") -> Push | None:
        """What she thinks of a stream that had a feedback id. kind: 1 accurate, 2 inaccurate, 3 taken back."""
        now = self.clock()
        body = self.head(answer.chat, user, "event") | {"create_time": int(now.timestamp())}
        event = {"id": answer.key, "type": kind, "content": content}
        if kind == 2:
            event["inaccurate_reason_list"] = [2]
        body |= {"event": {"eventtype": "feedback_event", "feedback_event": event}}
        return await self._deliver(body, Turn(random_word(32), "feedback", answer.chat, user, now, body["msgid"]))

    async def verify(self) -> bool:
        """Enter the callback address on the admin's page: it is checked at once."""
        return await self.webhook.verify()

    async def poll(self) -> int:
        """Webhook mode: ask for all unfinished streams once."""
        return await self.webhook.poll()

    async def cut(self, *, clean: bool = False) -> None:
        """End the long connection: with a close frame, or by a reset."""
        await self.wire.cut(clean=clean)

    def freeze(self) -> None:
        """Make the long connection half-open."""
        self.wire.freeze()

    async def push(self, body: Body, user: str = "", chat: str = "") -> Push | None:
        """Any body whatever, as a message."""
        turn = Turn(random_word(32), "message", chat or user, user, self.clock(), str(body.get("msgid", "")))
        return await self._deliver(body, turn)

    async def _write(
        self, chat: str | None, user: str, kind: str, body: Body, text: str, *, quote: str = ""
    ) -> Bubble:  # fmt: skip
        where = chat or user
        head = self.head(where, user, kind)
        bubble = Bubble(
            head["msgid"], self.clock(), CHANNEL, where, by=user, kind=kind, text=text, body=head | body, quote=quote
        )
        if not self.direct(where) and user not in self.world.groups[where].members:
            raise ValueError(f"{user} is not in this group")
        heard = self.direct(where) or (kind in ("text", "mixed") and f"@{self.name}" in text)
        if heard and self.in_flight(user) >= IN_FLIGHT:
            raise TooMany(f"{self.name}正在回答您的 {IN_FLIGHT} 条消息，请稍后再发")
        self.world.show(bubble)
        if not heard:
            return bubble
        self.known.add(where)
        await self._deliver(head | body, Turn(random_word(32), "message", where, user, self.clock(), head["msgid"]))
        return bubble

    async def _deliver(self, body: Body, turn: Turn) -> Push | None:
        if self.connected:
            event = body.get("msgtype") == "event"
            if not event:
                self.begin(turn)
            await self.wire.callback("aibot_event_callback" if event else "aibot_msg_callback", body, turn)
            return None
        if self.callback:
            return await self.webhook.push(body, turn)
        self.lost.append(body)
        return None

    def _sealed(self, kind: str, name: str, data: bytes) -> Body:
        """Where the file is. On the long connection it has a key of its own, else the callback's."""
        if self.connected:
            key = new_key()
            return {"url": self.media.sealed(kind, name, data, Sealer("", key, "").key), "aeskey": key}
        return {"url": self.media.sealed(kind, name, data, Sealer("", self.aes_key, "").key)}
