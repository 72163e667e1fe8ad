"""What the task page posts: one press of a button, checked, with a note and a photo where they are wanted, or with the
value that corrects something."""

from typing import Annotated, Literal

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bot.channels.web_fault import Fault, first_fault
from bot.channels.web_photo import MAX_BYTES
from bot.channels.web_post import take

MAX_NOTE = 500
MAX_VALUE = 1_500  # a hundred message ids, a category, a place
CORRECTIONS = frozenset({"category", "place", "urgent", "sensitive", "same", "apart", "split"})
MAX_JSON = 8 * 1024
MAX_PARTS = 8


def _clean(value: object) -> object:
    # PostgreSQL keeps no NUL in a text.
    return value.replace("\0", "").strip() if isinstance(value, str) else value


class Press(BaseModel):
    """The body of a press. value: what is right, for a correction (`handlers.corrections`). client_id: the browser's
    own id, the same when it tries again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal[
        "accept", "arrive", "done", "transfer", "dismiss",
        "category", "place", "urgent", "sensitive", "same", "apart", "split",
    ]  # fmt: skip
    note: Annotated[str, BeforeValidator(_clean), Field(max_length=MAX_NOTE)] = ""
    value: Annotated[str, BeforeValidator(_clean), Field(max_length=MAX_VALUE)] = ""
    client_id: str = Field(pattern=r"^[A-Za-z0-9_.:-]{8,100}$")

    @model_validator(mode="after")
    def _fits(self) -> "Press":
        if (self.action in CORRECTIONS) != bool(self.value):
            raise ValueError("a correction needs its value, and nothing else has one")
        return self

    def key(self, ticket: int) -> str:
        """The card button's key: `done:42`, with a note `done:42:换了灯泡`; a correction's `category:42:city.noise`."""
        if self.value:
            return f"{self.action}:{ticket}:{self.value}"
        return f"{self.action}:{ticket}" + (f":{self.note}" if self.note else "")


async def read_press(request: web.Request) -> tuple[Press, bytes | None, str]:
    """The press, the photo's bytes if there is one, and its file name. Raises Fault 400, 413 or 415."""
    fields: dict[str, object] = {}
    photo: bytes | None = None
    name = ""
    if request.content_type == "multipart/form-data":
        try:
            parts = 0
            async for part in await request.multipart():
                parts += 1
                if not isinstance(part, BodyPartReader) or not part.name or parts > MAX_PARTS:
                    raise Fault(400, f"a form has at most {MAX_PARTS} parts, each with a name")
                if part.name == "photo":
                    photo, name = await take(part, MAX_BYTES), part.filename or ""
                else:
                    fields[part.name] = (await take(part, MAX_JSON)).decode()
        except (ValueError, AssertionError) as error:
            raise Fault(400, "the form cannot be read") from error
    elif request.content_type != "application/json":
        raise Fault(415, "send application/json or multipart/form-data")
    try:
        if request.content_type == "application/json":
            return Press.model_validate_json(await _take_json(request)), None, ""
        return Press.model_validate(fields), photo, name
    except ValidationError as error:
        raise first_fault(error) from error


async def _take_json(request: web.Request) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > MAX_JSON:
            raise Fault(413, f"a press has at most {MAX_JSON} bytes")
    return bytes(data)
