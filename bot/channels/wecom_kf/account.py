"""WeChat customer service (微信客服): direct chats with anybody on plain WeChat, by a corporation's 客服账号.

Platform pages: 企业微信 94670 接收消息和事件, 94677 发送消息. A callback only says that there is something to ask for.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web

from bot.channels import media, proofs
from bot.channels.api import ApiClient
from bot.channels.base import Capabilities, Channel
from bot.channels.callers import listed
from bot.channels.door import greeting, refuse
from bot.channels.proofs import Proof
from bot.channels.render import TEXT_BYTES
from bot.channels.replays import Replays
from bot.channels.sealed import Seal
from bot.channels.security import Refused, read_body
from bot.channels.wecom_kf.codes import client, credential, managed
from bot.channels.wecom_kf.keeping import Keeping
from bot.channels.wecom_kf.letters import NAME, word
from bot.channels.wecom_kf.puller import Puller
from bot.channels.wecom_kf.pushing import Pushing
from bot.scenes import Scenes
from config.wecom_kf import WecomKfSettings
from models.base import Clock, utc_now
from models.database import Database
from models.message import Media, Outgoing

log = structlog.get_logger(__name__)
PATH = f"/callback/{NAME}"
EVENT = "kf_msg_or_event"


class WecomKf(Channel):
    """Callbacks and pages of messages in, messages out."""

    name = NAME

    def __init__(
        self, settings: WecomKfSettings, db: Database, *, clock: Clock = utc_now, scenes: Scenes | None = None,
        wake: Callable[[], None] = lambda: None, body_bytes: int = 64 * 1024, api: ApiClient | None = None,
    ) -> None:  # fmt: skip
        """scenes: None reads no scene_param. wake: called when messages were kept. api: another client than the
        settings' own. Raises ValueError naming the settings that are missing."""
        token, aes_key, corp_id = settings.token, settings.aes_key, settings.corp_id
        if settings.missing or not (token and aes_key and corp_id):
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        self.can = Capabilities(dedups=True, max_bytes=TEXT_BYTES, rate=settings.rate, push=False)
        self._settings = settings
        self._seal = Seal(token.get_secret_value(), aes_key.get_secret_value(), corp_id, settings.old_keys)
        self._api = api or client(settings, db, clock)
        keeping = Keeping(scenes, humans=settings.human != "off")
        self.puller = Puller(settings, self._api, db, keeping, clock=clock, wake=wake)
        self._pushing = Pushing(settings, self._api, db, clock)
        self._clock = clock
        self._body_bytes = body_bytes
        self._replays = Replays(NAME, db)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The one address that is entered at the platform (接收消息服务器配置 URL)."""
        return [web.get(PATH, self._handshake), web.post(PATH, self._callback)]

    async def start(self) -> None:
        """Open the client session, and begin to pull: also for callbacks that an earlier process was told of."""
        await self._api.start()
        self.puller.start()

    async def stop(self) -> None:
        """Close it; a page that is being kept is kept."""
        await self.puller.stop()
        await self._api.stop()

    async def send(self, out: Outgoing, client_id: str) -> str:
        """See `Pushing.send`."""
        return await self._pushing.send(out, client_id)

    async def callers(self) -> Sequence[str]:
        """See `Channel.callers`."""
        return await listed(self._api)

    async def prove(self, public_url: str) -> list[Proof]:
        """A token, the right to each account, and the address check of 接收消息服务器配置."""
        given = self._settings
        if given.token is None or given.aes_key is None:
            return []
        token, aes_key = given.token.get_secret_value(), given.aes_key.get_secret_value()
        greeting = proofs.sealed_greeting(token, aes_key, given.corp_id or "", self._clock())
        token_given = await proofs.token(given.api_base, credential(given), self._clock)
        return [
            token_given,
            *([await managed(given, self._clock)] if token_given.state == proofs.OK else []),
            await proofs.callback(public_url, PATH, greeting, within=1.0),
        ]

    # --- callbacks ----------------------------------------------------------------------------------------------

    async def _handshake(self, request: web.Request) -> web.Response:
        return greeting(NAME, lambda: self._seal.greet(request.query, self._clock()))

    async def _callback(self, request: web.Request) -> web.Response:
        """Empty 200 once it is written down that there is something; 503 asks the platform to come again; 403 for what
        is not the platform."""
        try:
            body = await read_body(request, self._body_bytes)
            told = self._seal.open_fields(body, request.query, self._clock())
            event, token, account = word(told, "Event"), word(told, "Token", 512), word(told, "OpenKfId")
            nonce = request.query["nonce"]
            # Of the same moment and nonce there is one callback: its token is its own.
            await self._replays.check(request.query["timestamp"], nonce, token or event, self._clock())
            if event != EVENT or account not in self._settings.accounts:
                log.info("callback.acknowledged", channel=NAME, kind=event or "message")
                return web.Response()
            await self.puller.told(account, token)
        except Refused as refused:
            return refuse(NAME, refused)
        except Exception as error:  # whatever the database raised: not kept, so not acknowledged
            log.error("callback.not_kept", channel=NAME, error=type(error).__name__)
            return web.Response(status=503)
        return web.Response()

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A file that the platform keeps for three days (90253 获取临时素材), on our disk. Raises NotFetched."""
        found = await self._api.stored_file(wanted.platform_id)
        return await asyncio.to_thread(media.keep, folder, found.data, found.name)
