"""WeChat Official Account (公众号, 服务号): direct messages in safe mode (安全模式), answers as 客服消息.

Platform pages: 接收普通消息, 接收事件推送, 消息加解密说明, 客服接口-发消息. A user may be sent five messages within
48 hours of her last one. The platform comes again twice with a callback that is not answered within five seconds.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

from bot import metrics
from bot.channels.api import ApiClient
from bot.channels.base import Capabilities, Channel, SendFailed
from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.plain import plain, split
from bot.channels.security import Refused, Replays, Vault, read_body, refusing
from bot.ingest import Busy, Ingest
from config.settings import OfficialAccountSettings
from models.base import Clock, utc_now
from models.message import Incoming, Kind, Media, Outgoing

log = structlog.get_logger(__name__)

NAME = "wechat_mp"
PATH = f"/callback/{NAME}"
TEXT_BYTES = 2048
PARTS = 3  # of the five messages that one question entitles to, two stay for what happens later
UNFINISHED = 1_000  # messages of several parts that are remembered between two tries

# 45015 the 48 hours are over, 45047 the five are used up, 48002 the user refuses messages, 40003 no such openid,
# 43004 not a follower, 45002 too long. Source: 全局返回码说明.
FINAL = frozenset({45015, 45047, 48002, 40003, 43004, 45002})
MIME = {"amr": "audio/amr", "speex": "audio/speex", "mp3": "audio/mpeg"}

Fields = dict[str, Any]


def _text(value: object) -> str:
    """An element's text; an element that is nested or repeated is not the platform's."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("malformed")
    return value


def _words(message: Any) -> Fields:
    return {"text": _text(message.content)}


def _image(message: Any) -> Fields:
    media = Media(url=_text(message.image), platform_id=_text(message.media_id))
    return {"kind": Kind.IMAGE, "media": (media,)}


def _voice(message: Any) -> Fields:
    media = Media(platform_id=_text(message.media_id), mime=MIME.get(_text(message.format).lower(), ""))
    return {"kind": Kind.VOICE, "media": (media,), "text": _text(message.recognition)}


def _video(message: Any) -> Fields:
    media = Media(platform_id=_text(message.media_id), mime="video/mp4")
    return {"kind": Kind.VIDEO, "media": (media,), "platform": {"thumb_media_id": _text(message.thumb_media_id)}}


def _location(message: Any) -> Fields:
    # Location_X is the latitude; both are GCJ-02.
    lon, lat = wgs84_from_gcj02(float(_text(message.location_y)), float(_text(message.location_x)))
    return {"kind": Kind.LOCATION, "lon": lon, "lat": lat, "label": _text(message.label)}


def _link(message: Any) -> Fields:
    found = (_text(message.title), _text(message.description), _text(message.url))
    return {"text": "\n".join(filter(None, found))}


READERS: dict[str, Callable[[Any], Fields]] = {
    "text": _words,
    "image": _image,
    "voice": _voice,
    "video": _video,
    "shortvideo": _video,
    "location": _location,
    "link": _link,
}


def read(message: Any) -> Incoming | None:
    """A wechatpy message as ours; None for events and kinds that say nothing to us. Raises Refused."""
    with refusing():
        reader = READERS.get(message.type)
        if reader is None:
            return None
        if message.id <= 0:
            raise Refused("malformed")
        sender = _text(message.source)
        # `time` is the platform's unix seconds; `create_time` would be in a zone of wechatpy's own choice.
        sent_at = datetime.fromtimestamp(message.time, UTC)
        return Incoming(
            id=str(message.id),
            channel=NAME,
            chat=sender,
            sender=sender,
            sent_at=sent_at,
            direct=True,
            **reader(message),
        )


class OfficialAccount(Channel):
    """The account: callbacks in, customer messages out."""

    name = NAME

    def __init__(
        self,
        settings: OfficialAccountSettings,
        ingest: Ingest,
        clock: Clock = utc_now,
        body_bytes: int = 64 * 1024,
        api: ApiClient | None = None,
    ) -> None:
        """api: another client than the settings' own. Raises ValueError naming the settings that are missing."""
        token, aes_key, app_id, secret = settings.token, settings.aes_key, settings.app_id, settings.app_secret
        if not (token and aes_key and app_id and secret):
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        self.can = Capabilities(groups=False, cards=False, dedups=False, max_bytes=TEXT_BYTES, rate=settings.rate)
        self._vault = Vault(token.get_secret_value(), aes_key.get_secret_value(), app_id)
        self._api = api or ApiClient(settings.api_base, app_id, secret.get_secret_value(), clock=clock)
        self._ingest = ingest
        self._clock = clock
        self._body_bytes = body_bytes
        self._replays = Replays()
        self._arrived: OrderedDict[str, int] = OrderedDict()  # client id: how many parts the platform has taken

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The one address that is entered at the platform (服务器地址)."""
        return [web.get(PATH, self._handshake), web.post(PATH, self._callback)]

    async def start(self) -> None:
        """Open the client session."""
        await self._api.start()

    async def stop(self) -> None:
        """Close it."""
        await self._api.stop()

    async def _handshake(self, request: web.Request) -> web.Response:
        try:
            echo = self._vault.greet(request.query, self._clock())
        except Refused as refused:
            return self._refuse(refused)
        return web.Response(text=echo, headers={"X-Content-Type-Options": "nosniff"})

    async def _callback(self, request: web.Request) -> web.Response:
        """Empty 200 once the message is kept; 503 asks the platform to come again; 403 for what is not the platform."""
        try:
            incoming = self._open(await read_body(request, self._body_bytes), request)
        except Refused as refused:
            return self._refuse(refused)
        if incoming is None:
            return web.Response()
        try:
            await self._ingest.accept(incoming)
        except Busy:
            return web.Response(status=503)
        except Exception as error:  # whatever the database raised: not kept, so not acknowledged
            log.error("callback.not_kept", channel=NAME, error=type(error).__name__)
            return web.Response(status=503)
        return web.Response()

    def _open(self, body: str, request: web.Request) -> Incoming | None:
        now = self._clock()
        message = self._vault.open_xml(body, request.query, now)
        incoming = read(message)
        with refusing():
            # Events carry no id; the platform's own advice is sender and second.
            letter = incoming.id if incoming else f"{_text(message.source)}:{message.time}:{message.type}"
            kind = str(getattr(message, "event", message.type))[:32]
        self._replays.check(request.query["timestamp"], request.query["nonce"], letter, now)
        if incoming is None:
            log.info("callback.acknowledged", channel=NAME, kind=kind)
        return incoming

    def _refuse(self, refused: Refused) -> web.Response:
        metrics.refused.labels(NAME, refused.why).inc()
        log.warning("callback.refused", channel=NAME, why=refused.why)
        return web.Response(status=403, text="refused")

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As one to three texts. The platform gives no id for them and does not dedup; see `Channel.send`.

        When a later part fails for now, the next try goes on with that part. Raises SendFailed or Uncertain; of a
        message in parts one uncertain part makes the whole uncertain.
        """
        parts = split(plain(out), TEXT_BYTES, PARTS)
        if not parts:
            raise SendFailed("the message is empty", final=True)
        first = 0 if out.repeat else self._arrived.pop(client_id, 0)
        for index in range(first, len(parts)):
            letter = {"touser": out.chat, "msgtype": "text", "text": {"content": parts[index]}}
            try:
                await self._api.call("/cgi-bin/message/custom/send", letter, final=FINAL)
            except SendFailed as error:
                if index and not error.final:
                    self._arrived[client_id] = index
                    if len(self._arrived) > UNFINISHED:
                        self._arrived.popitem(last=False)
                raise
        return ""
