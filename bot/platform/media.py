"""Files that were given to the platform, or by it. Sources: 企业微信 90253, 91770, 101463; 公众号 新增临时素材."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from aiohttp import web

from bot.platform.clock import Timepiece
from bot.platform.codes import PlatformError, fine, need
from bot.platform.crypto import lock, random_word

KEPT = timedelta(days=3)
DOWNLOAD = timedelta(minutes=5)  # so long the address of an AI bot's picture is good
MIB = 1024 * 1024
LIMITS = {"image": 10 * MIB, "voice": 2 * MIB, "video": 10 * MIB, "file": 20 * MIB, "thumb": 64 * 1024}
SMALLEST = 5  # bytes, 企业微信
TYPES = {"image": "image/jpeg", "voice": "audio/amr", "video": "video/mp4"}


@dataclass(frozen=True)
class File:
    """One file. until: when the platform forgets it."""

    kind: str
    name: str
    data: bytes
    until: datetime


class MediaStore:
    """By media id, and, for AI bots, by a secret address."""

    def __init__(self, clock: Timepiece) -> None:
        self._clock = clock
        self._files: dict[str, File] = {}
        self.base = ""

    def keep(self, kind: str, name: str, data: bytes, *, limit: int | None = None) -> str:
        """Store a file; returns its media id. Raises PlatformError 40004, 45001, 44004."""
        need(kind in LIMITS, 40004, kind)
        need(len(data) > SMALLEST, 44004)
        need(len(data) <= (limit or LIMITS[kind]), 45001)
        media = random_word(43)
        self._files[media] = File(kind, name, data, self._clock() + KEPT)
        return media

    def get(self, media: str) -> File:
        """Raises PlatformError 40007."""
        found = self._files.get(media)
        if found is None or self._clock() >= found.until:
            raise PlatformError(40007)
        return found

    def sealed(self, kind: str, name: str, data: bytes, key: bytes) -> str:
        """An address where the file can be had for five minutes, encrypted."""
        ticket = random_word(32)
        self._files[ticket] = File(kind, name, lock(key, data), self._clock() + DOWNLOAD)
        return f"{self.base}/aibot-media/{ticket}?sign={secrets.token_hex(8)}"

    def plain(self, kind: str, name: str, data: bytes) -> str:
        """An address where the file can be had as it is (PicUrl)."""
        ticket = random_word(32)
        self._files[ticket] = File(kind, name, data, self._clock() + KEPT)
        return f"{self.base}/mmbiz/{ticket}/0"

    def routes(self) -> list[web.RouteDef]:
        """Addresses without a token: they are secrets themselves."""
        return [web.get("/aibot-media/{ticket}", self._encrypted), web.get("/mmbiz/{ticket}/0", self._picture)]

    async def _encrypted(self, request: web.Request) -> web.Response:
        return self._serve(request, "application/octet-stream")

    async def _picture(self, request: web.Request) -> web.Response:
        return self._serve(request, "image/jpeg")

    def _serve(self, request: web.Request, content_type: str) -> web.Response:
        found = self._files.get(request.match_info["ticket"])
        if found is None or self._clock() >= found.until:
            return web.Response(status=403)
        return web.Response(body=found.data, content_type=content_type, headers=_named(found))

    async def upload(self, request: web.Request) -> web.Response:
        """`media/upload` of both platforms, and `webhook/upload_media`: form field `media`."""
        kind = request.query.get("type", "")
        need(kind in LIMITS, 40004, kind)
        need(request.content_type == "multipart/form-data", 44004, "no form")
        part = (await request.post()).get("media")
        if not isinstance(part, web.FileField):
            raise PlatformError(44004, "form field `media`")
        media = self.keep(kind, part.filename, part.file.read())
        return web.json_response(
            fine(type=kind, media_id=media, created_at=str(int(self._clock().timestamp())))
        )  # fmt: skip

    async def download(self, request: web.Request) -> web.Response:
        """`media/get`: the bytes, or a JSON error."""
        found = self.get(request.query.get("media_id", ""))
        return web.Response(
            body=found.data, content_type=TYPES.get(found.kind, "application/octet-stream"), headers=_named(found)
        )


def _named(found: File) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename=\"{found.kind}\"; filename*=UTF-8''{quote(found.name)}"}
