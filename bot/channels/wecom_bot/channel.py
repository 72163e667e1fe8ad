"""The AI bot as a channel: one of two modes hears, and what the handlers decided goes out by it.

Long connection: any message at any time, into chats that have spoken. Webhook: only as an answer (ADR 0027).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from bot import metrics
from bot.channels import media, proofs
from bot.channels.base import Capabilities, Channel, Proof, SendFailed, Uncertain
from bot.channels.media import NotFetched
from bot.channels.pressed import Presses, ticket_of
from bot.channels.replays import Replays, Under
from bot.channels.sealed import Seal
from bot.channels.wecom_bot import mailbox, opinions, webhook
from bot.channels.wecom_bot.face import face
from bot.channels.wecom_bot.figures import feedback, unread
from bot.channels.wecom_bot.holding import held
from bot.channels.wecom_bot.letters import NAME, Letter, What, quoting
from bot.channels.wecom_bot.live import Live
from bot.channels.wecom_bot.rates import Rates
from bot.channels.wecom_bot.replying import Replying
from bot.channels.wecom_bot.response import Responses, allowed
from bot.channels.wecom_bot.socket import Pace
from bot.channels.wecom_bot.webhook import Webhook
from bot.ingest import Ingest
from bot.wakeup import Bell
from config.settings import WecomBotSettings
from models.base import Clock, utc_now
from models.database import Database
from models.message import Incoming, Media, Outgoing

log = structlog.get_logger(__name__)
BYTES = 20_480
SHOWN_SECONDS = 15.0  # for a picture after its words: well within what the sender gives both
REMEMBERED = 2_000  # direct or group, by chat


class WecomBot(Channel):
    """One bot of one deployment, whichever way it is connected."""

    name = NAME

    def __init__(
        self, settings: WecomBotSettings, db: Database, ingest: Ingest, *, clock: Clock = utc_now,
        body_bytes: int = 64 * 1024, pace: Pace | None = None, decided: Bell | None = None,
        pictures: Path | None = None,
    ) -> None:  # fmt: skip
        """decided: rings when a worker of this process has handled something. pictures: the folder of those that are
        shown; None shows none. Raises ValueError naming the settings that are missing."""
        if not settings.enabled:
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        live = settings.mode == "connection"
        self.can = Capabilities(dedups=False, max_bytes=BYTES, rate=settings.rate, push=live)
        self._settings = settings
        self._db = db
        self._ingest = ingest
        self._clock = clock
        key = settings.aes_key.get_secret_value() if settings.aes_key and settings.mode == "webhook" else ""
        self._aes_keys = [key, *(settings.old_keys or ())[1:]]
        self._kinds: OrderedDict[str, bool] = OrderedDict()
        self._pictures = pictures
        self._responses = Responses(settings.response_url, clock)
        self._replays = Replays(NAME, db)
        self._presses = Presses(NAME, db, decided)
        self._rates = Rates(settings, db, clock)
        self.live: Live | None = None
        self._webhook: Webhook | None = None
        if settings.mode == "connection":
            self.live = Live(settings, db, self, self._rates, clock, pace)
        elif settings.token is not None:
            seal = Seal(settings.token.get_secret_value(), key, "", settings.old_keys)
            self._replying = Replying(db, self._responses, self._rates, clock)
            self._webhook = Webhook(
                db, seal, self, self._rates, clock, bot_id=settings.bot_id or "", name=settings.name,
                corp_id=settings.corp_id, body_bytes=body_bytes, feedback=settings.feedback,
            )  # fmt: skip

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The callback address; none in the long-connection mode."""
        return self._webhook.routes() if self._webhook is not None else ()

    @property
    def ready(self) -> bool:
        """False as long as this process cannot send: rows then wait for one that can, and are not tried in vain."""
        return self.live is None or self.live.up

    @property
    def holds(self) -> bool:
        """In the long-connection mode, unless another process is meant to have the connection."""
        return self.live is not None and self._settings.connect

    @property
    def state(self) -> str:
        """`standby` where another process of the deployment has the connection; "" in the webhook mode."""
        return self.live.state if self.live is not None else ""

    async def start(self) -> None:
        """Open the sessions, and begin to connect."""
        await self._responses.start()
        if self.live is not None:
            self.live.start()

    async def stop(self) -> None:
        """Hang up; what was heard is stored first."""
        if self.live is not None:
            await self.live.stop()
        await self._responses.stop()

    async def prove(self, public_url: str) -> list[Proof]:
        """A subscription, unless a process of this deployment has one; in the webhook mode the address check, which is
        all there is to prove of a token and a key."""
        if self.live is not None:
            return [await self._subscribed(self.live)]
        token, key = self._settings.token, self._settings.aes_key
        if token is None or key is None:
            return []
        greeting = proofs.sealed_greeting(token.get_secret_value(), key.get_secret_value(), "", self._clock())
        return [await proofs.callback(public_url, webhook.PATH, greeting, within=1.0)]

    async def _subscribed(self, live: Live) -> Proof:
        where = self._settings.ws_url
        try:
            if await live.prove():
                return Proof("credentials", proofs.OK, f"{where} took the bot's subscription; hung up again")
        except (SendFailed, Uncertain) as error:
            return Proof("credentials", proofs.FAIL, f"{where}: {proofs.told(error)} Look at bot_id and secret.")
        except Exception as error:  # its words hold the address
            said = f"no connection to {where} ({type(error).__name__}): may this machine reach it?"
            return Proof("credentials", proofs.FAIL, said)
        return held(where, *await live.noted())

    # --- what came in -----------------------------------------------------------------------------------------------

    async def keep(self, letter: Letter, under: Under | None = None) -> None:
        """Store what a letter says. under: what its callback came under. Raises Refused for another letter's nonce,
        Busy, or what the database raises."""
        incoming = await self._incoming(letter)
        if incoming is None and under is not None:
            await self._replays.check(*under)
        elif incoming is not None and under is not None:
            await self._replays.accept(self._ingest, incoming, *under)
        elif incoming is not None:
            await self._ingest.accept(incoming)
        if letter.what == What.FEEDBACK:
            feedback.labels(letter.opinion).inc()
            await self._db.run(partial(opinions.note, letter=letter))
        if letter.unread:
            unread.inc()
            log.warning("message.unread", channel=NAME, message=letter.id, kind=letter.unread)
        if incoming is not None:
            self._remember(letter.chat, not letter.direct)

    async def _incoming(self, letter: Letter) -> Incoming | None:
        """What of a letter goes to the inbox."""
        incoming = letter.incoming
        if incoming is None or (letter.what == What.CLICK and ticket_of(incoming.action or "") is None):
            return None  # a grey button, or nobody's key
        if letter.response_url and not allowed(letter.response_url, self._settings.response_url):
            # The message counts; the address is somebody else's idea.
            metrics.refused.labels(NAME, "response_url").inc()
            log.warning("callback.response_url", channel=NAME, message=letter.id)
            rest = {key: value for key, value in incoming.platform.items() if key != "response_url"}
            incoming = incoming.model_copy(update={"platform": rest})
        if letter.quoted:
            find = partial(mailbox.resolve_quote, incoming=incoming, words=letter.quoted, now=self._clock())
            known = await self._db.run(find)
            incoming = incoming.model_copy(update={"quote": known}) if known else quoting(incoming, letter.quoted)
        return incoming

    async def pressed(self, letter: Letter) -> dict[str, Any] | None:
        """Wait for what the handlers make of a press that is stored, and give the card's new face; None where it has
        none. Whatever they decide late is shown at the next press."""
        if ticket_of((letter.incoming.action if letter.incoming else None) or "") is None:
            return None  # of a card that is none of ours
        await self._presses.outcome(letter.chat, letter.id)
        return await self._db.run(lambda session: face(session, letter))

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A file from where the platform has it for five minutes, encrypted with the message's own key (101463) or the
        callbacks' (101039). Raises NotFetched."""
        sealed = await media.fetch(wanted.url, hosts=self._settings.media_hosts)
        *others, last = [wanted.key] if wanted.key else self._aes_keys
        for key in others:
            with suppress(NotFetched):  # encrypted before the platform had it
                return await asyncio.to_thread(_opened, sealed, key, folder, wanted.name)
        return await asyncio.to_thread(_opened, sealed, last, folder, wanted.name)

    # --- what goes out ----------------------------------------------------------------------------------------------

    async def send(self, out: Outgoing, client_id: str) -> str:
        """As markdown or a card, in a long connection with its picture after it; see `Channel.send`."""
        group = await self._is_group(out.chat)
        if self.live is not None:
            sent = await self.live.send(out, client_id, group=group)
            if out.picture and (group is False or self._settings.photos_in_groups):
                await self._show(self.live, out, group=group)
            return sent
        return await self._replying.send(out, client_id, group=group is not False)

    async def _show(self, live: Live, out: Outgoing, *, group: bool | None) -> None:
        """The words have arrived: whatever goes wrong with the picture must not have them said twice."""
        try:
            if self._pictures is not None:
                data = await asyncio.to_thread((self._pictures / Path(out.picture).name).read_bytes)
                async with asyncio.timeout(SHOWN_SECONDS):
                    await live.show(out.chat, out.picture, data, group=group)
        except (SendFailed, Uncertain, OSError) as error:  # a TimeoutError is one, too
            log.warning("picture.not_shown", channel=NAME, ticket=out.ticket, error=type(error).__name__)

    async def _is_group(self, chat: str) -> bool | None:
        """None as long as nothing says; what is not known is not remembered."""
        if chat not in self._kinds:
            group = await self._db.run(lambda session: mailbox.is_group(session, chat))
            if group is None:
                return None
            self._remember(chat, group)
        return self._kinds[chat]

    def _remember(self, chat: str, group: bool) -> None:
        self._kinds[chat] = group
        self._kinds.move_to_end(chat)
        if len(self._kinds) > REMEMBERED:
            self._kinds.popitem(last=False)


def _opened(sealed: bytes, key: str, folder: Path, name: str) -> Media:
    return media.keep(folder, media.decrypt(sealed, key), name)
