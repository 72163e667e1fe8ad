"""Who said what when: turns a chat's recent past into the `Context` of its next message.

Runs in training, over a town with its gold. A worker asks its database the same questions (`handlers.past`), and a
test holds the two equal.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nlu.normalize import normalize
from nlu.types import Context

# Minutes after which an open matter no longer colours what is said.
FORGET = 14 * 24 * 60.0
PHOTO_MINUTES = 30.0
# What was said before in the chat, and how far back it still counts.
BEFORE_MINUTES = 30.0
BEFORE_MESSAGES = 6
ASKS = re.compile(r"[?？]|吗$|没$|有没有|谁|哪|咋|怎么|多少")
MEDIA = frozenset({"image", "video", "voice", "location"})


@dataclass(frozen=True, slots=True)
class Heard:
    """One message. at: minutes on any clock that only goes forward."""

    at: float
    chat: str
    sender: str
    id: str
    kind: str = "text"
    text: str = ""
    direct: bool = False
    mentioned: bool = False
    role: str = "resident"
    quote: str | None = None
    asked: bool = False


def echo(text: str, before: str) -> float:
    """The share of `text`'s character pairs that occur in `before`; both as people wrote them."""
    said, there = normalize(text), normalize(before)
    pairs = {said[i : i + 2] for i in range(len(said) - 1)}
    return sum(pair in there for pair in pairs) / len(pairs) if pairs else 0.0


def after(text: str, before: Sequence[tuple[float, str, str]]) -> dict[str, object]:
    """The fields of `Context` that speak of what was said before. before: (minutes ago, kind, text), oldest first."""
    lately = [said for said in before if said[0] <= BEFORE_MINUTES][-BEFORE_MESSAGES:]
    if not lately:
        return {}
    age, kind, words = lately[-1]
    return {
        "before": age, "before_kind": "text" if words else kind, "before_asks": bool(ASKS.search(normalize(words))),
        "echo": echo(text, words), "echoes": max(echo(text, said) for _, _, said in lately),
    }  # fmt: skip


class Timeline:
    """The recent past of many chats."""

    def __init__(self) -> None:
        self._said: dict[str, deque[tuple[float, str, str]]] = {}
        self._own: dict[tuple[str, str], float] = {}
        self._chat: dict[str, float] = {}
        self._photo: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._owner: dict[tuple[str, str], bool] = {}

    def context(self, m: Heard) -> Context:
        """What is known when `m` arrives; call before `add`."""
        who = (m.chat, m.sender)
        photo = self._age(self._photo.get(who), m.at)
        quotes = ""
        if m.quote:
            quotes = "ticket" if self._owner.get((m.chat, m.quote)) else "other"
        return Context(
            direct=m.direct,
            mentioned=m.mentioned,
            role=m.role,
            kind=m.kind,
            quotes=quotes,
            own_ticket=self._age(self._own.get(who), m.at),
            chat_ticket=self._age(self._chat.get(m.chat), m.at),
            own_photo=photo if photo is not None and photo <= PHOTO_MINUTES else None,
            pause=self._age(self._last.get(who), m.at),
            asked=m.asked,
            **after(m.text, [(m.at - at, kind, text) for at, kind, text in self._said.get(m.chat, ())]),  # type: ignore[arg-type]
        )

    def add(self, m: Heard, *, tickets: Sequence[object], ended: bool = False) -> None:
        """`m` was said and belongs to `tickets`. ended: it took its matter back."""
        who = (m.chat, m.sender)
        self._last[who] = m.at
        self._said.setdefault(m.chat, deque(maxlen=BEFORE_MESSAGES)).append((m.at, m.kind, m.text))
        self._owner[(m.chat, m.id)] = bool(tickets)
        if tickets:
            self._own[who] = self._chat[m.chat] = m.at
            self._photo.pop(who, None)
            if ended:
                self._own.pop(who)
        elif m.kind in MEDIA and not m.text:
            self._photo[who] = m.at

    @staticmethod
    def _age(then: float | None, now: float) -> float | None:
        return None if then is None or now - then > FORGET else max(0.0, now - then)
