"""The AI bot by its webhook, and what a test does to it from outside."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.channels.sealed import Seal
from bot.channels.wecom_bot.channel import WecomBot
from bot.channels.wecom_bot.letters import NAME
from bot.sender import Sender
from models.database import Database
from tests.platform.harness import TestPlatform
from tests.platform.wecom_bot import handled, put


@dataclass
class Scene:
    """One bot, its platform and its database."""

    p: TestPlatform
    bot: WecomBot
    db: Database

    def keys(self, said: Any, count: int = 1) -> list[str]:
        """The keys that a decision on a message gives its answers."""
        return [f"{NAME}:{said.chat}:{said.id}>{number}" for number in range(count)]

    def answer(self, said: Any, *texts: str, **more: Any) -> list[str]:
        """As if the worker had decided this."""
        keys = self.keys(said, len(texts))
        for key, text in zip(keys, texts, strict=True):
            put(self.db, self.p, said.chat, text, key, trigger=said.id, **more)
        handled(self.db, self.p)
        return keys

    def sender(self) -> Sender:
        """A sender that has this bot."""
        return Sender(self.db, {NAME: self.bot}, self.p.clock)

    def shown(self, who: str) -> list[str]:
        """What she reads."""
        return [bubble.text for bubble in self.p.seen(who) if bubble.text]


async def post(
    p: TestPlatform, seal: Seal, body: object, *, nonce: str = "", at: int = 0, signature: str = "", raw: bytes = b""
) -> int:
    """A callback as the platform would make it, or nearly so. at: seconds beside the right time."""
    stamp, nonce = str(int(p.clock().timestamp()) + at), nonce or secrets.token_hex(8)
    encrypted, right = seal.seal(json.dumps(body), stamp, nonce)
    query = {"msg_signature": signature or right, "timestamp": stamp, "nonce": nonce}
    data = raw or json.dumps({"encrypt": encrypted}).encode()
    async with aiohttp.ClientSession() as session, session.post(p.bot.callback, params=query, data=data) as answer:
        return answer.status
