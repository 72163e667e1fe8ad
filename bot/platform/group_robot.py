"""Webhook robots of duty groups (群机器人): push only, 20 a minute. Sources: 企业微信 91770, 99110."""

import base64
import binascii
import hashlib
import secrets
import uuid
from datetime import timedelta

from aiohttp import web

from bot.platform.api import read_json
from bot.platform.cards import NOTICES, check_card, words_of
from bot.platform.codes import PlatformError, fine, mapping, need
from bot.platform.limits import Rate
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble

CHANNEL = "group_robot"
SEND, UPLOAD = "/cgi-bin/webhook/send", "/cgi-bin/webhook/upload_media"
BYTES = {"text": 2048, "markdown": 4096, "markdown_v2": 4096}
PICTURE_BYTES = 2 * 1024 * 1024


class GroupRobot:
    """One robot in one duty group. key: the whole secret. chat: the group's id."""

    def __init__(self, shared: Shared) -> None:
        self.key = str(uuid.UUID(bytes=shared.names.bytes("robot", 16), version=4))
        self.base = ""
        self.chat = shared.world.group(CHANNEL, "值班群", []).id
        self._shared = shared
        self._rate = Rate(20, timedelta(minutes=1))

    @property
    def url(self) -> str:
        """The address that the group's owner copies out of WeCom."""
        return f"{self.base}{SEND}?key={self.key}"

    def routes(self) -> list[web.RouteDef]:
        """No token: the key is in the query."""
        return [web.post(SEND, self._send), web.post(UPLOAD, self._upload)]

    async def _send(self, request: web.Request) -> web.Response:
        need(request.query.get("key") == self.key, 93000)
        body = await read_json(request)
        kind = str(body.get("msgtype"))
        text = self._words(kind, mapping(body.get(kind), 40008, kind))
        self._rate.take(self.key, self._shared.clock())
        bubble = Bubble(
            secrets.token_urlsafe(12), self._shared.clock(), CHANNEL, self.chat, kind=kind, text=text, body=body
        )
        bubble.card = body.get("template_card") if kind == "template_card" else None
        self._shared.world.show(bubble)
        return web.json_response(fine())

    def _words(self, kind: str, inner: Body) -> str:
        if kind in BYTES:
            content = str(inner.get("content") or "")
            need(content, 44004)
            need(len(content.encode()) <= BYTES[kind], 45002)
            return content
        if kind == "image":
            try:
                data = base64.b64decode(str(inner.get("base64")), validate=True)
            except binascii.Error:
                raise PlatformError(40058, "base64") from None
            need(len(data) <= PICTURE_BYTES, 45001)
            need(hashlib.md5(data).hexdigest() == inner.get("md5"), 40058, "md5")  # noqa: S324 - the platform's check
            return "[图片]"
        if kind == "news":
            articles = inner.get("articles") or []
            need(1 <= len(articles) <= 8 and all(a.get("title") and a.get("url") for a in articles), 40058, "articles")
            return "\n".join(str(article["title"]) for article in articles)
        if kind == "template_card":
            return words_of(check_card(inner, kinds=NOTICES))
        need(kind in ("file", "voice"), 40008, kind)
        return f"[{self._shared.media.get(str(inner.get('media_id', ''))).name}]"

    async def _upload(self, request: web.Request) -> web.Response:
        need(request.query.get("key") == self.key, 93000)
        need(request.query.get("type") in ("file", "voice"), 40004)
        return await self._shared.media.upload(request)
