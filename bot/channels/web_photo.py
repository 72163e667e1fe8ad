"""Photos that people post in the web chat or on the task page: cleaned as all others are, and shown again."""

import re
from pathlib import Path

from bot.channels import media
from bot.channels.web_fault import Fault
from models.message import Media

MAX_BYTES = 8 * 1024 * 1024
MIME = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}  # that may be sent
_NAME = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(MIME)})")


def keep(folder: Path, data: bytes, name: str = "") -> Media:
    """Have the picture on disk before returning; see `media.keep`. Raises Fault 415 when it is none."""
    if media.sniff(data) not in MIME:
        raise Fault(415, "a photo must be JPEG, PNG, WebP or GIF", "photo")
    try:
        return media.keep(folder, data, name)
    except media.NotFetched as error:
        raise Fault(415, str(error), "photo") from None


def stored(folder: Path, name: str) -> tuple[Path, str]:
    """Path and MIME type of a kept photo. Raises Fault 404 for any name that `keep` could not have given."""
    match = _NAME.fullmatch(name)
    path = folder / name
    if match is None or not path.is_file():
        raise Fault(404, "there is no such photo", "name")
    return path, MIME[match[1]]
