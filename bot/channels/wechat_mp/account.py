"""WeChat Official Account (公众号, 服务号): direct messages and events in safe mode (安全模式), answers as 客服消息.

Platform pages: 接收普通消息, 接收事件推送, 消息加解密说明. The platform comes again twice with a callback that is not
answered within five seconds.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from bot.channels import media, proofs
from bot.channels.api import ApiClient
from bot.channels.base import Capabilities, Channel, Proof
from bot.channels.callers import listed
from bot.channels.credentials import stable_token
from bot.channels.door import greeting, refuse
from bot.channels.render import TEXT_BYTES
from bot.channels.replays import Replays, Under
from bot.channels.security import Refused, Vault, read_body, refusing
from bot.channels.wechat_mp.events import Event, read_event
from bot.channels.wechat_mp.happened import Happened
from bot.channels.wechat_mp.letters import NAME, read
from bot.channels.wechat_mp.menu import menu, words
from bot.channels.wechat_mp.pushing import Pushing
from bot.ingest import Busy, Ingest
from bot.scenes import Scenes
from config.settings import OfficialAccountSettings
from models.base import Clock, utc_now
from models.database import Database
from models.message import Incoming, Media, Outgoing

log = structlog.get_logger(__name__)
PATH = f"/callback/{NAME}"
AES_KEY = (
    "not proved: the platform greets in the clear, the first message shows it; a wrong one is callback.refused in the "
    "log, why malformed"
)


class OfficialAccount(Channel):
    """The account: callbacks in, customer messages and notices out."""

    name = NAME

    def __init__(
        self,
        settings: OfficialAccountSettings,
        ingest: Ingest,
        clock: Clock = utc_now,
        body_bytes: int = 64 * 1024,
        api: ApiClient | None = None,
        *,
        db: Database | None = None,
        scenes: Scenes | None = None,
        zone: ZoneInfo | None = None,
    ) -> None:
        """api: another client than the settings' own. db: nonces, ledger, events, files; without one none are kept.
        scenes: None reads no QR scene. Raises ValueError naming the settings that are missing.
        """
        token, aes_key, app_id, secret = settings.token, settings.aes_key, settings.app_id, settings.app_secret
        if not (token and aes_key and app_id and secret):
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        self.can = Capabilities(dedups=False, max_bytes=TEXT_BYTES, rate=settings.rate, push=False)
        self._settings = settings
        self._vault = Vault(token.get_secret_value(), aes_key.get_secret_value(), app_id, settings.old_keys)
        credential = stable_token(app_id, secret.get_secret_value())
        self._api = api or ApiClient(settings.api_base, credential, db=db, clock=clock)
        self._pushing = Pushing(settings, self._api, clock=clock, zone=zone or ZoneInfo("Asia/Shanghai"), db=db)
        self._happened = Happened(db, scenes, clock)
        self._ingest = ingest
        self._db = db
        self._clock = clock
        self._body_bytes = body_bytes
        self._hosts = settings.media_hosts or media.HOSTS
        self._replays = Replays(NAME, db)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The one address that is entered at the platform (服务器地址)."""
        return [web.get(PATH, self._handshake), web.post(PATH, self._callback)]

    async def start(self) -> None:
        """Open the client session. Raises TableError when the menu's table is wrong."""
        words()
        await self._api.start()

    async def stop(self) -> None:
        """Close it."""
        await self._api.stop()

    async def _handshake(self, request: web.Request) -> web.Response:
        return greeting(NAME, lambda: self._vault.greet(request.query, self._clock()))

    async def _callback(self, request: web.Request) -> web.Response:
        """Empty 200 once the message is kept; 503 asks the platform to come again; 403 for what is not the platform."""
        try:
            body = await read_body(request, self._body_bytes)
            letter = self._vault.open_xml(body, request.query, self._clock())
            incoming, event = read(letter), read_event(letter)
            if incoming is not None and event is None:
                await self._replays.accept(self._ingest, incoming, *self._under(request, incoming.id))
            else:
                await self._seen(request, incoming, event, letter)
                await self._keep(incoming, event)
        except Refused as refused:
            return refuse(NAME, refused)
        except Busy:
            return web.Response(status=503)
        except Exception as error:  # whatever the database raised: not kept, so not acknowledged
            log.error("callback.not_kept", channel=NAME, error=type(error).__name__)
            return web.Response(status=503)
        return web.Response()

    def _under(self, request: web.Request, message: str) -> Under:
        return Under(request.query["timestamp"], request.query["nonce"], message, self._clock())

    async def _seen(self, request: web.Request, incoming: Incoming | None, event: Event | None, letter: Any) -> None:
        """Raises Refused when another message came under this nonce."""
        with refusing():  # of a kind that says nothing to us nobody has read these before
            name = incoming.id if incoming else event.id if event else f"{letter.source}:{letter.time}"[:256]
        await self._replays.check(*self._under(request, name))
        if incoming is None:
            kind = event.name if event else str(letter.type)[:32]
            log.info("callback.acknowledged", channel=NAME, kind=kind)

    async def _keep(self, incoming: Incoming | None, event: Event | None) -> None:
        """Returns once everything that the callback says is committed."""
        if event is not None:
            incoming = await self._happened.note(event)
        if incoming is not None:
            await self._ingest.accept(incoming)

    async def send(self, out: Outgoing, client_id: str) -> str:
        """See `Pushing.send`. The platform gives no id for texts and does not dedup them."""
        return await self._pushing.send(out, client_id)

    async def callers(self) -> Sequence[str]:
        """See `Channel.callers`."""
        return await listed(self._api)

    async def prove(self, public_url: str) -> list[Proof]:
        """A token, and the handshake of 服务器配置."""
        given = self._settings
        token, secret = given.token, given.app_secret
        if token is None or secret is None or given.app_id is None:
            return []
        credential = stable_token(given.app_id, secret.get_secret_value())
        greeting = proofs.plain_greeting(token.get_secret_value(), self._clock())
        return [
            await proofs.token(given.api_base, credential, self._clock),
            await proofs.callback(public_url, PATH, greeting, within=5.0),
            Proof("aes_key", proofs.OK, AES_KEY),
        ]

    async def publish_menu(self) -> None:
        """Put config/wechat_menu.yaml there. Phones show it within a day. Raises TableError, SendFailed, Uncertain."""
        await self._api.call("/cgi-bin/menu/create", menu())

    async def qr_code(self, scene: str, *, life: timedelta | None = None) -> tuple[str, str]:
        """A QR code for a scene: (ticket of its picture, the address that it holds). It lasts, and an account has
        100,000 of these; with a `life` it ends by then. Raises SendFailed, Uncertain."""
        body: dict[str, Any] = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}}
        if life is not None:
            body |= {"action_name": "QR_STR_SCENE", "expire_seconds": int(life.total_seconds())}
        answer = await self._api.call("/cgi-bin/qrcode/create", body)
        return str(answer.get("ticket", "")), str(answer.get("url", ""))

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A file that the platform keeps for three days (获取临时素材), on our disk. Raises NotFetched."""
        found = await self._api.stored_file(wanted.platform_id)
        data = await media.fetch(found.url, hosts=self._hosts) if found.url else found.data
        return await asyncio.to_thread(media.keep, folder, data, found.name)
