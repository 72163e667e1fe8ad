"""What a channel is: two translations, and an honest word on what the platform can do.

A channel turns the platform's letters into `Incoming` and hands them to `Ingest.accept`, and turns an `Outgoing` into
the platform's letter. Retries, rate limits, order and the outbox live once, in `bot.sender`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from models.message import Outgoing


@dataclass(frozen=True)
class Capabilities:
    """dedups: the platform drops a repeat with the same client id, so a send may always be tried again.
    max_bytes: UTF-8 bytes of one text. rate: messages a second, all chats together.
    push: it may write first, at any time; where it may not (`NotNow`), what is for one person goes to another of her
    channels that may, instead of waiting for her next word.
    """

    dedups: bool
    max_bytes: int
    rate: float
    push: bool = True


class SendFailed(Exception):
    """The platform did not take the message. final: trying again cannot help. after: seconds to wait before. parts: of
    a message in several parts so many have left all the same, with those of earlier tries."""

    def __init__(self, reason: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(reason)
        self.final = final
        self.after = after
        self.parts = 0


class NoRoom(SendFailed):
    """By our own count the platform takes no more for now: nothing left, so it was no try, however often."""


class Halted(NoRoom):
    """The platform takes nothing of our account's for now, whoever it is for: it says nothing of who it was for, so it
    was no try of hers. It waits until the platform takes it again; an alert, in the end, on another of her channels."""


WAIT = 6 * 3600.0  # seconds until another try, unless somebody there speaks before: ten of them are 60 hours


class NotNow(SendFailed):
    """Nothing can be said there before somebody there says something: it waits for that, and what is behind it does
    not wait for it. final: that would be too late; where somebody else can be told, she is told instead."""


class Noticed(NotNow):
    """A short notice has left that stands for the words; they themselves wait for a word of hers. Where none comes, the
    notice was all that could be said. message: what the platform calls the notice."""

    def __init__(self, message: str) -> None:
        super().__init__("a notice stands for it", after=WAIT)
        self.message = message


class Uncertain(Exception):
    """The request left, and no answer came: nobody knows whether the message arrived."""


class Proof(NamedTuple):
    """One line of `linsheng doctor --channel`. state: ok, warn or fail. said: what is the case, and what to do."""

    check: str
    state: str
    said: str


class Channel(ABC):
    """Base of all channels."""

    name: str
    can: Capabilities

    @property
    def ready(self) -> bool:
        """Whether messages can leave from this process now. While they cannot, their rows wait, and no try is counted;
        a channel that the platform dials is ready only in the process that has the connection."""
        return True

    @property
    def holds(self) -> bool:
        """Whether this process keeps a connection by which alone the channel's messages leave: it then sends them, even
        when it handles nothing."""
        return False

    @property
    def state(self) -> str:
        """How its connection is, for /healthz: `up`, `waiting`, `resting` …; "" for a channel that keeps none."""
        return ""

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Addresses that the web application serves for this channel."""
        return ()

    async def start(self) -> None:
        """Open what the channel needs (a client session, a connection)."""

    async def stop(self) -> None:
        """Close it again."""

    async def callers(self) -> Sequence[str] | None:
        """Addresses from which the platform says that it calls back; None for one that gives no list.

        Raises SendFailed or Uncertain.
        """
        return None

    async def prove(self, public_url: str) -> Sequence[Proof]:
        """For `linsheng doctor --channel`, on a channel that is not started: whether the platform takes its
        credentials, and whether its callback address under `public_url` leads here; see `bot.channels.proofs`.

        Changes nothing, here or there, and never raises for what is wrong outside.
        """
        return ()

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
