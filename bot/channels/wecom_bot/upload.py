"""A file in chunks over the long connection, platform page 101463: at most 100 of 512 KB, each may be sent again."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from bot.channels.api import ApiError
from bot.channels.base import SendFailed, Uncertain

CHUNK = 512 * 1024  # bytes before base64
CHUNKS = 100
TRIES = 3

Kind = Literal["image", "voice", "video", "file"]
Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
Wait = Callable[[], Awaitable[object]]


async def upload(ask: Ask, back: Wait, kind: Kind, name: str, data: bytes) -> str:
    """The media id of `data`, kept by the platform for three days.

    ask: sends a command and gives the answering frame. back: waits for a lost connection to come back; chunks are
    idempotent and an upload lives 30 minutes, so it goes on where it was. Raises SendFailed.
    """
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    if not chunks or len(chunks) > CHUNKS:
        raise SendFailed(f"a file has 1 to {CHUNK * CHUNKS} bytes", final=True)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    told = {
        "type": kind, "filename": name, "total_size": len(data), "total_chunks": len(chunks), "md5": digest,
    }  # fmt: skip
    begun = await _sure(ask, back, "aibot_upload_media_init", told)
    session = _field(begun, "upload_id")
    for index, chunk in enumerate(chunks):
        body = {"upload_id": session, "chunk_index": index, "base64_data": base64.b64encode(chunk).decode()}
        await _sure(ask, back, "aibot_upload_media_chunk", body)
    return _field(await _sure(ask, back, "aibot_upload_media_finish", {"upload_id": session}), "media_id")


async def _sure(ask: Ask, back: Wait, cmd: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask, and again when no answer came: nobody sees an upload twice."""
    for _ in range(TRIES - 1):
        try:
            return await ask(cmd, body)
        except ApiError:
            raise
        except (SendFailed, Uncertain):
            await back()
    try:
        return await ask(cmd, body)
    except Uncertain as error:
        raise SendFailed(str(error)) from None


def _field(frame: dict[str, Any], name: str) -> str:
    body = frame.get("body")
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise SendFailed(f"the answer to an upload holds no {name}")
    return value
