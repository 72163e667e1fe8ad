"""Somebody's phone: her direct chat with the bot on a channel of her own choice, and what she reads there."""

from collections.abc import Callable

import sqlalchemy as sa

from models.message import Incoming, Kind
from models.outbox import Outbox, read
from tests.scenario.chat import Scene

CHANNEL = "wechat_mp"


class Phone:
    """user: her id on the channel, which is also the code of her direct chat, as platforms have it."""

    def __init__(self, scene: Scene, user: str, channel: str = CHANNEL) -> None:
        self.scene = scene
        self.channel = channel
        self.user = user
        self._sent = 0

    def says(self, text: str = "", *, chat: str = "", **fields: object) -> list[str]:
        """She writes to the bot; what it answers her. chat: in a group instead."""
        before = len(self.heard)
        self._sent += 1
        told = {
            "id": f"p{id(self)}-{self._sent}", "channel": self.channel, "chat": chat or self.user,
            "sender": self.user, "sent_at": self.scene.clock(), "direct": not chat, "text": text,
        }  # fmt: skip
        self.scene.arrives(Incoming.model_validate(told | fields))
        self.scene.work()
        self.scene.clock.forward(seconds=5)
        return self.heard[before:]

    def scans(self, scene: str) -> list[str]:
        """She scans a code whose signature the channel has checked."""
        return self.says(kind=Kind.TEXT, platform={"scene": scene})

    @property
    def heard(self) -> list[str]:
        """Everything the bot wrote to her in private."""
        return self.lines(self.user)

    def lines(self, chat: str) -> list[str]:
        """Everything the bot wrote in a chat of this channel."""
        statement = sa.select(Outbox).where(Outbox.conversation == f"{self.channel}:{chat}").order_by(Outbox.id)  # type: ignore[arg-type]
        rows = self.scene.db.tx(lambda session: list(session.scalars(statement)))
        return [read(row).text for row in rows]


Make = Callable[..., Phone]
