"""Uploads in chunks over the long connection. Source: 企业微信 101463."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.platform.clock import Timepiece
from bot.platform.codes import PlatformError, need, number
from bot.platform.crypto import random_word
from bot.platform.limits import Rate
from bot.platform.media import LIMITS, MediaStore
from bot.platform.world import Body

CHUNK_BYTES = 512 * 1024
CHUNKS = 100
LIFE = timedelta(minutes=30)


@dataclass
class _Upload:
    kind: str
    name: str
    size: int
    total: int
    md5: str
    begun: datetime
    chunks: dict[int, bytes] = field(default_factory=dict)


class Uploads:
    """Of one bot; an upload goes on after a reconnect. Chunks may come in any order and twice."""

    def __init__(self, clock: Timepiece, media: MediaStore) -> None:
        self._clock = clock
        self._media = media
        self._open: dict[str, _Upload] = {}
        self._rates = Rate(30, timedelta(minutes=1)), Rate(1000, timedelta(hours=1))

    def begin(self, body: Body) -> Body:
        """`aibot_upload_media_init`. Raises PlatformError."""
        for rate in self._rates:
            rate.take("", self._clock())
        kind, name = body.get("type"), body.get("filename")
        size, total = number(body.get("total_size"), "total_size"), number(body.get("total_chunks"), "total_chunks")
        need(kind in LIMITS and kind != "thumb", 40004, str(kind))
        need(isinstance(name, str) and name, 40058, "filename")
        need(5 < size <= LIMITS[str(kind)] and 1 <= total <= CHUNKS, 45001)
        upload = random_word(32)
        self._open[upload] = _Upload(str(kind), str(name), size, total, str(body.get("md5") or ""), self._clock())
        return {"upload_id": upload}

    def chunk(self, body: Body) -> Body:
        """`aibot_upload_media_chunk`. Raises PlatformError."""
        upload = self._find(body)
        index = number(body.get("chunk_index"), "chunk_index")
        need(0 <= index < upload.total, 40058, "chunk_index")
        try:
            data = base64.b64decode(str(body.get("base64_data", "")), validate=True)
        except binascii.Error:
            raise PlatformError(40058, "base64_data") from None
        need(0 < len(data) <= CHUNK_BYTES, 45001, "512 KB a chunk")
        upload.chunks[index] = data
        return {}

    def finish(self, body: Body) -> Body:
        """`aibot_upload_media_finish`: all chunks are there and are what was announced. Raises PlatformError."""
        upload = self._find(body)
        need(len(upload.chunks) == upload.total, 40058, "chunks are missing")
        data = b"".join(upload.chunks[index] for index in range(upload.total))
        need(len(data) == upload.size, 40058, "total_size")
        digest = hashlib.md5(data).hexdigest()  # noqa: S324 - the platform's own check
        need(not upload.md5 or upload.md5 == digest, 40058, "md5")
        media = self._media.keep(upload.kind, upload.name, data)
        del self._open[str(body["upload_id"])]
        return {"type": upload.kind, "media_id": media, "created_at": str(int(self._clock().timestamp()))}

    def _find(self, body: Body) -> _Upload:
        upload = self._open.get(str(body.get("upload_id")))
        if upload is None or self._clock() - upload.begun >= LIFE:
            raise PlatformError(40058, "upload_id")
        return upload
