"""What everybody sees: chats, and the bubbles in them. The only state that all accounts share."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.platform.crypto import random_word

Body = dict[str, Any]


@dataclass(eq=False)
class Bubble:
    """One message on somebody's screen.

    by: a user id, or "" for an account. chat: a group's id, or the user id of a direct chat. kind: the platform's
    msgtype. body: the platform's JSON. card: as first sent; updates are per user, see `card_for`.
    """

    id: str
    at: datetime
    channel: str
    chat: str
    by: str = ""
    kind: str = "text"
    text: str = ""
    body: Body = field(default_factory=dict)
    card: Body | None = None
    quote: str = ""
    finished: bool = True
    recalled: bool = False
    missed: list[str] = field(default_factory=list)  # members of the group whose quota was used up: dropped silently
    views: dict[str, Body] = field(default_factory=dict)
    key: str = ""  # what the channel needs to know it again: a response_code, a stream's id

    def card_for(self, user: str) -> Body | None:
        """The card as this user sees it now."""
        return self.views.get(user, self.views.get("", self.card))

    def update(self, card: Body, users: Iterable[str] = ()) -> None:
        """Replace the card for these users, or for everybody."""
        named = list(users)
        if not named:
            self.views.clear()
        for user in named or [""]:
            self.views[user] = deepcopy(card)


@dataclass
class Group:
    """A group of a channel. members: user ids."""

    id: str
    name: str
    channel: str
    members: list[str]


class World:
    """Groups and bubbles of all channels."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.bubbles: list[Bubble] = []
        self.version = secrets.randbits(32)  # a page that was open before a restart must not take it for news it has
        self._waiting: list[asyncio.Future[None]] = []

    def group(self, channel: str, name: str, members: Iterable[str], chat: str = "") -> Group:
        """Open a group. chat: its id; one is made up otherwise."""
        made = Group(chat or f"wr{random_word(20)}", name, channel, list(members))
        self.groups[made.id] = made
        self.touch()
        return made

    def show(self, bubble: Bubble) -> Bubble:
        """Put it on the screens."""
        self.bubbles.append(bubble)
        self.touch()
        return bubble

    def talk(self, who: str) -> list[Bubble]:
        """All bubbles of a group, or of a user's direct chats."""
        return [bubble for bubble in self.bubbles if bubble.chat == who]

    def seen(self, who: str) -> list[Bubble]:
        """Of these, what accounts posted and did not take back."""
        return [bubble for bubble in self.talk(who) if not bubble.by and not bubble.recalled]

    def touch(self) -> None:
        """Something has changed: tell who waits for it."""
        self.version += 1
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait until it holds; asked anew after every change. seconds: of real time. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future
