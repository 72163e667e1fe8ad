"""The app as a channel: staff hear of matters by cards, press them, and write to it.

Groups it has none (page 90235: 暂不支持接收群聊消息); rooms for urgent matters are its own (`rooms`).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from bot.channels import media, proofs
from bot.channels.api import ApiClient
from bot.channels.base import Capabilities, Channel, Proof, SendFailed
from bot.channels.callers import listed
from bot.channels.coordinates import wgs84_from_gcj02
from bot.channels.credentials import Credential, gettoken
from bot.channels.known import Known
from bot.channels.pressed import LATE, Presses, ticket_of
from bot.channels.replays import Replays, Under
from bot.channels.sealed import Seal
from bot.channels.wecom_app import faces
from bot.channels.wecom_app.codes import Codes
from bot.channels.wecom_app.door import PATH, Door
from bot.channels.wecom_app.faces import Change
from bot.channels.wecom_app.letters import NAME, Letter
from bot.channels.wecom_app.pushing import BYTES, Pushing
from bot.channels.wecom_app.rooms import Rooms
from bot.channels.wecom_app.updating import CODE_LIFE, Updating
from bot.ingest import Ingest
from bot.wakeup import Bell
from config.wecom_app import WecomAppSettings
from handlers.patrol import on_round
from handlers.workdays import WorkCalendar
from models.base import Clock, utc_now
from models.database import Database
from models.message import Incoming, Media, Outgoing
from models.person import STAFF, WORKERS

log = structlog.get_logger(__name__)
FORGET_EVERY = 1_800  # looks at the cards between two removals of old rows

__all__ = ["PATH", "WecomApp"]


class WecomApp(Channel):
    """One app of one corporation."""

    name = NAME

    def __init__(
        self, settings: WecomAppSettings, db: Database, ingest: Ingest, *, zone: ZoneInfo, clock: Clock = utc_now,
        body_bytes: int = 64 * 1024, decided: Bell | None = None,
    ) -> None:  # fmt: skip
        """zone: of the deadlines that are told. decided: rings when a worker of this process has handled something.

        Raises ValueError naming the settings that are missing."""
        secret, token, aes_key = settings.secret, settings.token, settings.aes_key
        if not (settings.corp_id and settings.agent_id and secret and token and aes_key):
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        self.can = Capabilities(dedups=False, max_bytes=BYTES, rate=settings.rate)
        self._settings = settings
        self._db = db
        self._ingest = ingest
        self._clock = clock
        self._known = Known(db)
        self._codes = Codes(secret.get_secret_value())
        credential = gettoken(settings.corp_id, secret.get_secret_value())
        self._api = ApiClient(settings.api_base, credential, db=db, clock=clock)
        self._zone = zone
        self._rooms: Rooms | None = None
        self._pushing: Pushing | None = None
        self._updating = Updating(settings, db, self._api, self._codes, clock)
        seal = Seal(token.get_secret_value(), aes_key.get_secret_value(), settings.corp_id, settings.old_keys)
        self._door = Door(
            seal, self.keep, clock, corp_id=settings.corp_id, agent_id=settings.agent_id, body_bytes=body_bytes
        )
        self._replays = Replays(NAME, db)
        self._presses = Presses(NAME, db, decided)
        self._watch: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The callback address."""
        return self._door.routes()

    async def start(self) -> None:
        """Open the client, and begin to compare cards with tickets. Raises TableError for wrong working days."""
        calendar = await self._db.call(WorkCalendar.configured, self._zone)
        self._rooms = Rooms(self._db, self._api, calendar, self._settings.corp_id or "", self._clock)
        self._pushing = Pushing(
            self._settings, self._db, self._api, self._codes, rooms=self._rooms, clock=self._clock
        )  # fmt: skip
        await self._api.start()
        self._watch = asyncio.create_task(self._watching(), name=NAME)

    async def stop(self) -> None:
        """End both. What has not been looked at yet is looked at by whoever starts next."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None
        await self._api.stop()

    async def send(self, out: Outgoing, client_id: str) -> str:
        """See `Pushing.send`."""
        if self._pushing is None:
            raise SendFailed("the channel is not started")
        return await self._pushing.send(out, client_id)

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A file that the platform keeps for three days (90254 获取临时素材), on our disk. Raises NotFetched."""
        found = await self._api.stored_file(wanted.platform_id)
        return await asyncio.to_thread(media.keep, folder, found.data, found.name)

    async def callers(self) -> Sequence[str]:
        """See `Channel.callers`."""
        return await listed(self._api)

    async def prove(self, public_url: str) -> list[Proof]:
        """A token, and the address check of 接收消息."""
        given = self._settings
        corp_id, secret, token, aes_key = given.corp_id, given.secret, given.token, given.aes_key
        if not (corp_id and secret and token and aes_key):
            return []
        credential = gettoken(corp_id, secret.get_secret_value())
        greeting = proofs.sealed_greeting(token.get_secret_value(), aes_key.get_secret_value(), corp_id, self._clock())
        token_given = await proofs.token(given.api_base, credential, self._clock)
        return [
            token_given,
            *([await self._app_there(credential)] if token_given.state == proofs.OK else []),
            await proofs.callback(public_url, PATH, greeting, within=1.0),
        ]

    async def _app_there(self, credential: Credential) -> Proof:
        """The agent id is that of the Secret's app, and the app is not switched off (获取应用, 企业微信 90227)."""
        given = self._settings
        agent = {"agentid": str(given.agent_id)}
        found = await proofs.asked(
            given.api_base, credential, self._clock, "/cgi-bin/agent/get", params=agent, check="app"
        )
        if isinstance(found, Proof):
            return found
        if found.get("close"):
            return Proof("app", proofs.FAIL, "the app is switched off: 应用管理 → the app → 启用.")
        return Proof("app", proofs.OK, f"agent {given.agent_id} is there, and switched on")

    # --- what came in -----------------------------------------------------------------------------------------------

    async def keep(self, letter: Letter, under: Under) -> Change | None:
        """Store what a letter says, with what it came under; of a press, wait for what the handlers make of it and give
        the card's new look.

        Raises Refused for another letter's nonce, Busy, or what the database raises: it must not be acknowledged then.
        """
        number = ticket_of((letter.incoming.action if letter.incoming else None) or "")
        incoming = letter.incoming
        if incoming is not None and incoming.action is not None and number is None:
            incoming = None  # a grey button, or nobody's key
        if letter.place is not None:
            incoming = await self._on_round(letter.place)
        if incoming is None:
            await self._replays.check(*under)
            return None
        await self._replays.accept(self._ingest, incoming, *under)
        return None if number is None else await self._pressed(letter, incoming, number)

    async def _on_round(self, place: Incoming) -> Incoming | None:
        """Where a gridworker is on her round (巡查打卡): in one grid one check-in of the time, in the next another.
        Anybody else's place, and hers where she has no duty, is not kept (PIPL 6)."""
        if not self._settings.patrol or place.lon is None or place.lat is None:
            return None
        town = await self._db.run(self._known.town)
        who = town.person(NAME, place.sender)
        if who is None or not town.roles(who.code) & (WORKERS | STAFF):
            return None
        lon, lat = place.lon, place.lat
        if self._settings.patrol_coordinates == "gcj02":
            lon, lat = wgs84_from_gcj02(lon, lat)
        grid = on_round(town, who.code, lon, lat)
        told = {"id": f"{place.id}-{grid}", "lon": lon, "lat": lat}
        return place.model_copy(update=told) if grid is not None else None

    async def _pressed(self, letter: Letter, incoming: Incoming, number: int) -> Change | None:
        """Whatever the handlers decide late is brought to the card by `Updating`."""
        now = self._clock()
        await self._db.run(
            lambda session: faces.note_press(session, letter, number, self._codes, now=now, until=now + CODE_LIFE)
        )
        if await self._presses.outcome(incoming.chat, incoming.id) == LATE:
            return None
        return await self._db.run(lambda session: faces.pressed(session, letter, number, self._settings, self._clock()))

    # --- what happens meanwhile -------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Bring the cards on the screens up to date, and the rooms, where they are switched on."""
        await self._updating.step()
        if self._settings.rooms and self._rooms is not None:
            await self._rooms.look()

    async def _watching(self) -> None:
        looks = 0
        while True:
            try:
                await self.look()
                if looks % FORGET_EVERY == 0:
                    await self._updating.forget()
            except Exception as error:  # the database is away: nothing is missed, the tickets stay
                log.warning("wecom_app.not_looked", error=type(error).__name__)
            looks += 1
            await asyncio.sleep(self._settings.poll_seconds)
