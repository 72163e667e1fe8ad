"""The channel-neutral letters: what came in, what goes out. They are the payloads of inbox and outbox."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

NUL = "\x00"
EXACT = frozenset({"id", "chat", "sender"})  # another id would be somebody else's: half a character in it is refused


class Kind(StrEnum):
    """What a message is made of."""

    TEXT = "text"
    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    LOCATION = "location"
    FILE = "file"
    RECALL = "recall"
    CARD = "card"


def _storable(value: object) -> object:
    if isinstance(value, str):
        # Half an emoji, as JSON of a name that was cut may have it, is no UTF-8 and could never be kept.
        return value.replace(NUL, "").encode(errors="replace").decode()
    if isinstance(value, list | tuple):
        return tuple(_storable(one) for one in value)
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return value


class Letter(BaseModel):
    """Base of both: frozen, strict about fields nobody knows, with whole characters only and without NUL: PostgreSQL
    keeps none, and nobody who writes means one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _kept(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name in EXACT and isinstance(value, str):
            return value.replace(NUL, "")
        return _storable(value)


class Media(Letter):
    """A picture, voice or video: where it can be had. `path` is relative to the data folder's media/.

    url, key: where its platform has it, and what it is encrypted with; only `models.fetching` keeps them.
    """

    name: str = ""
    path: str = ""
    url: str = Field(default="", repr=False)
    key: str = Field(default="", repr=False)
    platform_id: str = ""
    mime: str = ""


class Forwarded(Letter):
    """One line of a forwarded chat record."""

    sender: str
    at: datetime | None = None
    text: str


class Incoming(Letter):
    """One message as a channel heard it.

    id: the platform's message id, unique in the chat. sent_at: aware. lon/lat: WGS-84 degrees.
    action: the key of a pressed card button, such as `accept:42`; a key proves nothing, the clicker is checked.
    mentions: platform user ids; the bot itself is "bot".
    """

    id: str = Field(min_length=1, max_length=128)
    channel: str = Field(min_length=1, max_length=32)
    chat: str = Field(min_length=1, max_length=128)
    sender: str = Field(min_length=1, max_length=128)
    sender_name: str = ""
    sent_at: datetime
    kind: Kind = Kind.TEXT
    direct: bool = False
    text: str = Field(default="", max_length=20_000)
    quote: str | None = None
    mentions: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    label: str = ""
    recalls: str | None = None
    forwarded: tuple[Forwarded, ...] = ()
    action: str | None = None
    platform: dict[str, str] = Field(default_factory=dict)

    @field_validator("sent_at")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a time needs its offset")
        return value.astimezone(UTC)

    @property
    def conversation(self) -> str:
        """Messages with the same key are handled one after another."""
        return f"{self.channel}:{self.chat}"

    @property
    def dedup_key(self) -> str:
        """The same message delivered twice has the same key."""
        return f"{self.channel}:{self.chat}:{self.id}"

    @property
    def to_bot(self) -> bool:
        """True when the bot is meant: mentioned, or spoken to directly."""
        return self.direct or "bot" in self.mentions

    @property
    def emptied(self) -> "Incoming":
        """What is left of a message that was taken back: that it was there."""
        return self.model_copy(update={"text": "", "media": (), "lon": None, "lat": None, "label": "", "forwarded": ()})

    @property
    def words(self) -> str:
        """All text in it: its own, and that of a forwarded record."""
        return "\n".join(filter(None, [self.text, *(item.text for item in self.forwarded)]))


class Button(Letter):
    """A choice on a card. Channels without cards offer it as a word to type."""

    text: str
    action: str


class Card(Letter):
    """A task card: a title, facts as (name, value), the resident's words, buttons, a signed link."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    words: str = ""
    buttons: tuple[Button, ...] = ()
    link: str = ""


class Purpose(StrEnum):
    """Why a message goes out: it decides what happens when nobody knows whether it arrived."""

    REPLY = "reply"  # never sent twice
    ALERT = "alert"  # rather twice than never; a repeat says that it is one


class Outgoing(Letter):
    """One message of the bot. trigger: id of the incoming message that caused it; why: of an alert, for the record.
    picture: a file below media/, shown after the words where the channel can; whatever becomes of it, the words count.
    been: the channels by which it was to reach this person before; it never goes back to one of them.
    informs: (channel, user id) of whoever is given the privacy notice by it. urgent: it leaves its chat first.

    What the sender tells the channel, and no payload holds: repeat: an earlier try may have arrived. parts: so many of
    a long message have left; the channel goes on behind them. noticed: a short notice stands for it already.
    """

    channel: str
    chat: str
    text: str
    purpose: Purpose = Purpose.REPLY
    card: Card | None = None
    picture: str = ""
    ticket: int | None = None
    trigger: str | None = None
    to_person: str | None = None
    why: str = ""
    repeat: bool = False
    parts: int = 0
    noticed: bool = False
    been: tuple[str, ...] = ()
    informs: tuple[str, str] | None = None
    urgent: bool = False

    def by(self, channel: str, chat: str) -> Self:
        """The same for another address of the same person."""
        been = (*self.been, self.channel)
        return self.model_copy(update={"channel": channel, "chat": chat, "been": been, "parts": 0, "noticed": False})

    @property
    def conversation(self) -> str:
        """Messages with the same key leave one after another."""
        return f"{self.channel}:{self.chat}"
