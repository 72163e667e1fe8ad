"""What a channel is: two translations, and an honest word on what the platform can do.

A channel turns the platform's letters into `Incoming` and hands them to `Ingest.accept`, and turns an `Outgoing` into
the platform's letter. Retries, rate limits, order and the outbox live once, in `bot.sender`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from models.message import Outgoing


@dataclass(frozen=True)
class Capabilities:
    """groups: can post in groups. cards: shows buttons; elsewhere they are offered as words to type.
    dedups: the platform drops a repeat with the same client id, so a send may always be tried again.
    max_bytes: UTF-8 bytes of one text. rate: messages a second, all chats together.
    """

    groups: bool
    cards: bool
    dedups: bool
    max_bytes: int
    rate: float


class SendFailed(Exception):
    """The platform did not take the message. final: trying again cannot help. after: seconds to wait before."""

    def __init__(self, reason: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(reason)
        self.final = final
        self.after = after


class Uncertain(Exception):
    """The request left, and no answer came: nobody knows whether the message arrived."""


class Channel(ABC):
    """Base of all channels."""

    name: str
    can: Capabilities

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Addresses that the web application serves for this channel."""
        return ()

    async def start(self) -> None:
        """Open what the channel needs (a client session, a connection)."""

    async def stop(self) -> None:
        """Close it again."""

    @abstractmethod
    async def send(self, out: Outgoing, client_id: str) -> str:
        """Deliver one message; returns the platform's id of it, or "".

        client_id: the same whenever this message is tried again. Raises SendFailed or Uncertain.
        """


def cut(text: str, max_bytes: int) -> str:
    """`text` in at most `max_bytes` of UTF-8, cut between characters, with an ellipsis where something is missing."""
    raw = text.encode()
    if len(raw) <= max_bytes:
        return text
    return raw[: max_bytes - 3].decode(errors="ignore") + "…"
