"""Photos that people post in the web chat: recognised by their first bytes, named by their content."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from bot.channels.web_fault import Fault
from models.message import Media

MAX_BYTES = 8 * 1024 * 1024
MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
_NAME = re.compile(r"[0-9a-f]{64}\.(jpg|png|webp|gif)")


def sniff(data: bytes) -> str | None:
    """The kind of picture by its magic bytes, whatever the browser called it: jpg, png, webp, gif, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None


def keep(folder: Path, data: bytes, name: str = "") -> Media:
    """Write the picture to disk, once for each content, and have it there before returning.

    name: what the sender called it, for the record only. Raises Fault 415 when it is no picture.
    """
    kind = sniff(data)
    if kind is None:
        raise Fault(415, "a photo must be JPEG, PNG, WebP or GIF", "photo")
    path = folder / f"{hashlib.sha256(data).hexdigest()}.{kind}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed: nobody ever reads half a photo, and two uploads of one photo do not meet.
        handle, beside = tempfile.mkstemp(dir=folder, prefix=".upload-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    return Media(name=name[:100], path=path.name, mime=MIME[kind])


def stored(folder: Path, name: str) -> tuple[Path, str]:
    """Path and MIME type of a kept photo. Raises Fault 404 for any name that `keep` could not have given."""
    match = _NAME.fullmatch(name)
    path = folder / name
    if match is None or not path.is_file():
        raise Fault(404, "there is no such photo", "name")
    return path, MIME[match[1]]
