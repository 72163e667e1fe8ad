"""The channel over the orders: it looks every minute, fetches pictures and videos, and says nothing of its own there.

The product tells residents itself, and its API only reads. News of a ticket goes to whoever is known on another channel
too (a linked person), once; for everybody else there is no way, and nothing is kept waiting for one.
"""

import asyncio
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from bot.channels import media, proofs
from bot.channels.api import ApiClient
from bot.channels.base import Capabilities, Channel, Proof, SendFailed
from bot.channels.carrying import elsewhere, hand_on
from bot.channels.credentials import gettoken
from bot.channels.known import Known
from bot.channels.resident_report.orders import NAME
from bot.channels.resident_report.pulling import Pulling
from bot.ingest import Ingest
from config.resident_report import ResidentReportSettings
from handlers.orders import grid_of
from models.base import Clock, utc_now
from models.database import Database
from models.message import Media, Outgoing, Purpose
from models.ticket import Supporter
from models.whois import owner

log = structlog.get_logger(__name__)

GRIDS = "/cgi-bin/report/resident/get_grid_info"
NAMED = 10  # grids in a sentence
LOOK = 5.0  # seconds at most between two looks whether it is time


class ResidentReport(Channel):
    """Read only."""

    name = NAME
    # Words are only handed on, under a key of their own: however often that is tried, it is done once.
    can = Capabilities(dedups=True, max_bytes=20_000, rate=50.0, push=False)

    def __init__(
        self, settings: ResidentReportSettings, ingest: Ingest, db: Database, clock: Clock = utc_now, *,
        api: ApiClient | None = None, on: frozenset[str] | None = None,
    ) -> None:  # fmt: skip
        """api: another client than the settings' own. on: the deployment's channels, of which one hands on what cannot
        be said here; None: any. Raises ValueError naming the settings that are missing."""
        corp_id, secret = settings.corp_id, settings.secret
        if not (corp_id and secret):
            raise ValueError(f"{NAME}: not set: {', '.join(settings.missing)}")
        self._credential = gettoken(corp_id, secret.get_secret_value())
        self._api = api or ApiClient(settings.api_base, self._credential, db=db, clock=clock)
        self._pulling = Pulling(settings, self._api, ingest, db, clock)
        self._settings = settings
        self._db = db
        self._clock = clock
        self._known = Known(db, on)
        self._watch: asyncio.Task[None] | None = None
        self._state = "waiting"

    @property
    def state(self) -> str:
        """`waiting` until the first look of this process, `up`, or `failing` while the platform refuses."""
        return self._state

    async def start(self) -> None:
        """Open the client, and begin to look."""
        await self._api.start()
        self._watch = asyncio.create_task(self._watching(), name=NAME)

    async def stop(self) -> None:
        """End both. A look that was cut off is begun anew by whoever looks next."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
            self._watch = None
        await self._api.stop()

    async def look(self) -> int | None:
        """Read what is new now, if it is time. See `Pulling.step`."""
        return await self._pulling.step()

    async def _watching(self) -> None:
        while True:
            pause = min(LOOK, self._settings.poll_seconds)
            try:
                read = await self.look()
                self._state = "up"
                if read:
                    log.info("resident_report.read", orders=read)
            except SendFailed as error:  # its words are scrubbed
                self._state = "failing"
                pause = max(pause, min(error.after or self._settings.poll_seconds, 600.0))
                log.warning("resident_report.not_read", reason=str(error))
            except Exception as error:  # the database is away, or the door is full: the cursor stays where it is
                self._state = "failing"
                log.warning("resident_report.not_read", error=type(error).__name__)
            await asyncio.sleep(pause)

    async def prove(self, public_url: str) -> list[Proof]:
        """The product's grids are asked for: that proves the secret, the address list and the permission at once, and
        tells which of them are none of ours. There is no callback."""
        found = await proofs.asked(self._settings.api_base, self._credential, self._clock, GRIDS)
        if isinstance(found, Proof):
            return [found]
        told = found.get("grid_list") or []
        grids = [(str(grid.get("grid_id", "")), str(grid.get("grid_name", ""))) for grid in told]
        asked = Proof("credentials", proofs.OK, f"{self._settings.api_base} tells the product's {len(grids)} grids")
        try:
            town = await self._db.run(self._known.town)
        except SQLAlchemyError as error:
            return [asked, Proof("grids", proofs.WARN, f"the town cannot be read ({type(error).__name__})")]
        strange = [
            name or code for code, name in grids if grid_of(town, self._settings.grids.get(code, code), name) is None
        ]
        if not strange:
            return [asked, Proof("grids", proofs.OK, "each is one of the town's")]
        some = ", ".join(strange[:NAMED]) + (" …" if len(strange) > NAMED else "")
        todo = "set LINSHENG_RESIDENT_REPORT__GRIDS, or their orders are placed by their words alone"
        return [asked, Proof("grids", proofs.WARN, f"{len(strange)} are none of the town's: {some}; {todo}.")]

    async def send(self, out: Outgoing, client_id: str) -> str:
        """Nothing can be said there: handed to another channel of the same person, else dropped. Raises SendFailed for
        an alert that reaches nobody."""

        def work(session: Session) -> str:
            carried = self._carried(session, out)
            if carried is None:
                return ""
            hand_on(session, client_id, carried, self._clock())
            return carried.channel

        by = await self._db.run(work)
        if not by and out.purpose == Purpose.ALERT:
            raise SendFailed("no other channel reaches this person", final=True)
        log.info("resident_report.carried", by=by or "nobody")
        return ""

    def _carried(self, session: Session, out: Outgoing) -> Outgoing | None:
        """The message as another channel takes it; None when it is dropped."""
        hers = sa.select(col(Supporter.person)).where(col(Supporter.channel) == NAME, col(Supporter.chat) == out.chat)
        mine = owner(session, NAME, out.chat)  # somebody's own id here, of a person whom the town lists
        person = out.to_person or session.scalars(hers.limit(1)).first() or (mine.person if mine is not None else None)
        if person is None or self._hears_anyway(session, out, person):
            return None
        return elsewhere(session, self._known.town(session), out, person)

    @staticmethod
    def _hears_anyway(session: Session, out: Outgoing, person: str) -> bool:
        """She told of it on another channel, too, and hears of it there."""
        also = sa.select(col(Supporter.id)).where(
            col(Supporter.ticket) == out.ticket, col(Supporter.person) == person, col(Supporter.channel) != NAME
        )
        return out.purpose == Purpose.REPLY and session.scalars(also.limit(1)).first() is not None

    async def fetch(self, wanted: Media, folder: Path) -> Media:
        """A picture by its address, a video by its media id (90253), on our disk. Raises NotFetched."""
        if wanted.url:
            data, name = await media.fetch(wanted.url, hosts=self._settings.media_hosts), ""
        else:
            found = await self._api.stored_file(wanted.platform_id)
            data, name = found.data, found.name
        return await asyncio.to_thread(media.keep, folder, data, name)
