"""Photos that people post in the web chat: recognised by their first bytes, named by their content."""

import re
from pathlib import Path

from bot.channels import media
from bot.channels.web_fault import Fault
from models.message import Media

MAX_BYTES = 8 * 1024 * 1024
MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
_NAME = re.compile(r"[0-9a-f]{64}\.(jpg|png|webp|gif)")


def keep(folder: Path, data: bytes, name: str = "") -> Media:
    """Write the picture to disk, once for each content, and have it there before returning.

    name: what the sender called it, for the record only. Raises Fault 415 when it is no picture.
    """
    kind = media.sniff(data)
    if kind not in MIME:
        raise Fault(415, "a photo must be JPEG, PNG, WebP or GIF", "photo")
    return Media(name=name[:100], path=media.written(folder, data, kind), mime=MIME[kind])


def stored(folder: Path, name: str) -> tuple[Path, str]:
    """Path and MIME type of a kept photo. Raises Fault 404 for any name that `keep` could not have given."""
    match = _NAME.fullmatch(name)
    path = folder / name
    if match is None or not path.is_file():
        raise Fault(404, "there is no such photo", "name")
    return path, MIME[match[1]]
