"""What an engine is asked, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

# What a message can be. Everything that is none of the others is chatter, and the bot stays silent.
INTENTS = (
    "chatter",
    "report",
    "detail",
    "join",
    "correct",
    "withdraw",
    "refuse",
    "relay",
    "status",
    "rate",
    "ask",
    "order",
    "human",
    "work",
    "privacy",
)
# What opens a matter or belongs to one.
MATTER = ("report", "detail", "join", "correct", "relay")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a message beside its words. Ages are minutes; None means there is none.

    own_ticket: since the sender's latest message to an open matter in this chat.
    chat_ticket: since anybody's latest message to an open matter in this chat.
    own_photo: since the sender's last picture or voice here that belongs to nothing yet.
    pause: since the sender's last message here.
    before: since anybody's last message here, within half an hour; before_kind and before_asks: what it was, and
    whether it asked something; echo: the share of the message's character pairs that it holds; echoes: the largest
    such share among the last few messages.
    """

    direct: bool = False
    mentioned: bool = False
    role: str = "resident"
    kind: str = "text"
    quotes: str = ""
    own_ticket: float | None = None
    chat_ticket: float | None = None
    own_photo: float | None = None
    pause: float | None = None
    asked: bool = False
    before: float | None = None
    before_kind: str = ""
    before_asks: bool = False
    echo: float = 0.0
    echoes: float = 0.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message to be understood."""

    text: str
    context: Context = Context()


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text: characters `start` up to `end` of the text as it was written.

    kind: `location` or `object`. codes: the gazetteer rows it may name (empty if the grammar alone found it). how: by
    its `name`, by its `sound` in a voice transcript, or by its `form` (`nlu.spans`; without codes).
    """

    start: int
    end: int
    kind: str
    text: str
    codes: tuple[str, ...] = ()
    how: str = "name"


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that somebody must deal with. categories: (leaf code, probability), best first. credible: how credible
    each of them is (of held-out matters, the share that looked no likelier to be what they were); empty if unknown."""

    text: str
    categories: tuple[tuple[str, float], ...]
    spans: tuple[Span, ...] = ()
    credible: tuple[float, ...] = ()

    def likely(self, error: float) -> tuple[str, ...]:
        """The conformal set of leaves: what it can be, if this share of errors is allowed. Never empty."""
        found = [code for (code, _), p in zip(self.categories, self.credible, strict=False) if p > error]
        return tuple(found) or (self.category,)

    @property
    def category(self) -> str:
        """The likeliest leaf."""
        return self.categories[0][0]


@dataclass(frozen=True, slots=True)
class Understanding:
    """What one message means.

    intents: probability of each of INTENTS, calibrated, summing to 1.
    matters: at least one; several when the message tells of several things.
    urgent, sensitive: probabilities. flags: names of the lexicon entries that fired.
    credible: for `chatter` and for `matter`, the share of held-out messages of that kind that looked at least as
    strange for it; empty if the engine has no calibration. A label leaves the conformal set where it falls below the
    error allowed.
    """

    intents: dict[str, float]
    matters: tuple[Matter, ...]
    urgent: float = 0.0
    sensitive: float = 0.0
    flags: tuple[str, ...] = ()
    engine: str = ""
    spans: tuple[Span, ...] = field(default=())
    credible: dict[str, float] = field(default_factory=dict)

    @property
    def intent(self) -> str:
        """The likeliest intent."""
        return max(self.intents, key=self.intents.__getitem__)

    def p(self, *names: str) -> float:
        """The probability that it is one of `names`."""
        return sum(self.intents.get(name, 0.0) for name in names)


class Names(Protocol):
    """The names of a town, as an engine needs them."""

    def find(self, text: str) -> list[Span]:
        """Names in a normalised text, leftmost-longest, not overlapping."""
        ...


class Engine(Protocol):
    """Something that understands messages, many at a time."""

    name: str

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """One answer for each utterance, in order. Pure: the same question has the same answer."""
        ...

    def again(self, words: Utterance, names: Names) -> Understanding:
        """What the words of several messages mean as one. In this process: it is asked inside a transaction."""
        ...
