"""What a browser posts, checked, and turned into one durable message."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import uuid4

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlmodel import Session

from bot.channels.web_fault import Fault, first_fault
from bot.channels.web_lines import Line, find, heard_id, lines, put
from bot.channels.web_people import CHANNEL, Member, enter, member
from bot.channels.web_photo import MAX_BYTES
from models.chat import ChatKind
from models.inbox import receive
from models.message import Incoming, Kind, Media

MAX_JSON = 64 * 1024
MAX_TEXT = 2_000
MAX_PARTS = 40
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


def _clean(value: object) -> object:
    # PostgreSQL keeps no NUL in a text.
    return value.replace("\0", "").strip() if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_clean)]
Id = Annotated[str, Field(pattern=rf"^{_ID.pattern}$")]


class Post(BaseModel):
    """The body of a POST. lon/lat: WGS-84 degrees. client_id: the browser's own id, the same when it tries again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str = Field(min_length=1, max_length=64)
    kind: Kind | None = None
    text: Words = Field(default="", max_length=MAX_TEXT)
    quote: Id | None = None
    mentions: tuple[Id, ...] = Field(default=(), max_length=20)
    lon: float | None = Field(default=None, ge=-180, le=180, allow_inf_nan=False)
    lat: float | None = Field(default=None, ge=-90, le=90, allow_inf_nan=False)
    label: Words = Field(default="", max_length=200)
    recalls: Id | None = None
    action: Annotated[str, Field(pattern=r"^[^\x00-\x20]{1,128}$")] | None = None
    client_id: Id | None = None

    def settled(self, *, photo: bool) -> Kind:
        """The kind, said or seen, once it has what it needs. Raises Fault 400."""
        seen = Kind.TEXT
        if photo:
            seen = Kind.IMAGE
        elif self.recalls is not None:
            seen = Kind.RECALL
        elif self.action is not None:
            seen = Kind.CARD
        elif self.lon is not None or self.lat is not None:
            seen = Kind.LOCATION
        if (self.kind or seen) is not seen:
            raise Fault(400, f"this is no complete message of the kind {self.kind}", "kind")
        if seen is Kind.TEXT and not self.text:
            raise Fault(400, "there is nothing in it", "text")
        if seen is Kind.LOCATION and (self.lon is None or self.lat is None):
            raise Fault(400, "a location needs both degrees", "lon" if self.lon is None else "lat")
        return seen


async def read(request: web.Request) -> tuple[Post, bytes | None, str]:
    """The post, the photo's bytes if there is one, and its file name. Raises Fault 400, 413 or 415."""
    if request.content_type == "multipart/form-data":
        return await _read_form(request)
    if request.content_type != "application/json":
        raise Fault(415, "send application/json or multipart/form-data")
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) > MAX_JSON:
            raise Fault(413, f"a message has at most {MAX_JSON} bytes")
    try:
        return Post.model_validate_json(bytes(raw)), None, ""
    except ValidationError as error:
        raise first_fault(error) from error


async def _read_form(request: web.Request) -> tuple[Post, bytes | None, str]:
    fields: dict[str, object] = {}
    mentions: list[str] = []
    photo: bytes | None = None
    name = ""
    parts = 0
    try:
        form = await request.multipart()
        async for part in form:
            parts += 1
            if not isinstance(part, BodyPartReader) or not part.name or parts > MAX_PARTS:
                raise Fault(400, f"a form has at most {MAX_PARTS} parts, each with a name")
            if part.name == "photo":
                photo, name = await take(part, MAX_BYTES), part.filename or ""
            elif part.name == "mentions":
                mentions.append((await take(part, 1024)).decode())
            else:
                fields[part.name] = (await take(part, MAX_JSON)).decode()
    except (ValueError, AssertionError) as error:
        raise Fault(400, "the form cannot be read") from error
    try:
        post = Post.model_validate(fields | {"mentions": mentions})
    except ValidationError as error:
        raise first_fault(error) from error
    if not photo:
        raise Fault(400, "there is no photo in the form", "photo")
    return post, photo, name


async def take(part: BodyPartReader, most: int) -> bytes:
    """A field of a form, up to `most` bytes. Raises Fault 413 naming the field."""
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > most:
            raise Fault(413, f"{part.name} has more than {most} bytes", part.name or "")
    return bytes(data)


def store(post: Post, chat_code: str, media: Media | None, now: datetime) -> Callable[[Session], tuple[Line, bool]]:
    """One transaction: the line that the chat shows, and the message that the worker handles. Both or neither.

    The transaction gives the line, and whether it is new.
    """

    def work(session: Session) -> tuple[Line, bool]:
        kind = post.settled(photo=media is not None)
        who = member(session, post.person)
        chat = enter(session, who, chat_code)
        if kind is Kind.RECALL:
            _take_back(session, who, chat_code, post.recalls or "")
        message = Incoming(
            id=post.client_id or uuid4().hex,
            channel=CHANNEL,
            chat=chat_code,
            sender=who.user,
            sender_name=who.name,
            sent_at=now,
            kind=kind,
            direct=chat.kind is ChatKind.DIRECT,
            text=post.text,
            quote=post.quote,
            mentions=post.mentions,
            media=(media,) if media else (),
            lon=post.lon,
            lat=post.lat,
            label=post.label,
            recalls=post.recalls,
            action=post.action,
        )
        row, new = put(
            session,
            client_id=heard_id(chat_code, message.id),
            chat=chat_code,
            sender=who.user,
            body=message.model_dump_json(exclude_defaults=True),
            at=now,
        )
        if row.sender != who.user:
            raise Fault(409, "somebody else has used this id in this chat", "client_id")
        if new:
            receive(session, [message], now)
        return lines(session, [row])[0], new

    return work


def _take_back(session: Session, who: Member, chat: str, message: str) -> None:
    """The line is emptied: its photo's file goes when no row names it any more. Raises Fault."""
    row = find(session, chat, message)
    if row is None:
        raise Fault(404, "there is no such message in this chat", "recalls")
    if row.sender != who.user:
        raise Fault(403, "only one's own message can be recalled", "recalls")
    row.body = Incoming.model_validate_json(row.body).emptied.model_dump_json(exclude_defaults=True)
    session.add(row)
