"""One token for one account: fetched by one task of one process, and read by all.

Sources: see `bot.channels.credentials`. A token is renewed five minutes early, and once when the platform refuses it.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.channels.base import Halted, SendFailed
from bot.channels.credentials import Credential
from models import apitoken
from models.apitoken import ApiToken
from models.base import Clock
from models.database import Database

log = structlog.get_logger(__name__)

EARLY = timedelta(minutes=5)
# The platform allows 20 forced refreshes a day; one in 75 minutes can never use them up.
FORCE_EVERY = timedelta(minutes=75)
GRUDGE = timedelta(seconds=5)  # so long a failed fetch stands for all who wait, instead of one time-out each
LEASE = timedelta(seconds=60)  # longer than the slowest fetch with all its tries
LOOK_AGAIN = 0.1  # seconds, while another process fetches
LOOKS = 50


class NoToken(Halted):
    """The platform itself refuses one: for so long (`after`) nobody asks it again, in no process."""

    def __init__(self, reason: str, after: float) -> None:
        super().__init__(f"no token: {reason}", after=after)
        self.rest = timedelta(seconds=after)


@dataclass(frozen=True)
class Token:
    """value: as the platform gave it. until: when a new one is due."""

    value: str = field(repr=False)
    until: datetime


Fetch = Callable[[bool], Awaitable[Token]]  # force → a token; raises NoToken, SendFailed


class TokenKeeper:
    """Holds the token of one credential at one platform."""

    def __init__(
        self, credential: Credential, where: str, fetch: Fetch, *, clock: Clock, db: Database | None = None
    ) -> None:  # fmt: skip
        """where: the platform's address: a test platform's token is not the real one's. db: None shares with nobody."""
        self._credential = credential
        self._name = f"{credential.name}@{where.rpartition('://')[2]}"[:200]
        self._fetch = fetch
        self._clock = clock
        self._db = db
        self._held: Token | None = None
        self._lock = asyncio.Lock()
        self._forced_at: datetime | None = None
        self._failure: tuple[SendFailed, datetime] | None = None
        info = HKDF(SHA256(), 32, salt=None, info=self._name.encode()).derive(credential.secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(info))

    @property
    def value(self) -> str | None:
        """What is held now, for scrubbing."""
        return self._held.value if self._held else self._credential.fixed

    async def current(self, refused: str | None = None) -> str:
        """The token. refused: one that the platform no longer takes. Raises SendFailed: the call has not left yet."""
        if self._credential.fixed is not None:
            return self._credential.fixed
        async with self._lock:
            now = self._clock()
            if self._good(self._held, refused):
                return self._held.value  # type: ignore[union-attr]
            if self._failure is not None and now < self._failure[1]:
                error, until = self._failure
                if isinstance(error, NoToken):
                    raise Halted(str(error), after=(until - now).total_seconds())
                raise SendFailed(str(error), after=error.after)
            try:
                self._held = await (self._anew(refused) if self._db is None else self._shared(self._db, refused))
            except SendFailed as error:
                rest = error.rest if isinstance(error, NoToken) else GRUDGE
                self._failure = (error, self._clock() + rest)
                raise
            self._failure = None
            return self._held.value

    def _good(self, token: Token | None, refused: str | None) -> bool:
        return token is not None and token.value != refused and self._clock() < token.until

    async def _anew(self, refused: str | None) -> Token:
        token = await self._fetch(False)
        if token.value == refused and self._credential.forces and self._may_force():
            self._forced_at = self._clock()
            token = await self._fetch(True)
        return token

    def _may_force(self) -> bool:
        return self._forced_at is None or self._clock() - self._forced_at >= FORCE_EVERY

    # --- over processes -----------------------------------------------------------------------------------------

    async def _shared(self, db: Database, refused: str | None) -> Token:
        try:
            for _ in range(LOOKS):
                row = await db.run(partial(apitoken.look, name=self._name))
                held = self._opened(row)
                if held is not None and self._good(held, refused):
                    return held
                if row is not None and (left := apitoken.rests(row, self._clock())) > 0:
                    raise NoToken("the platform refused one lately", left)
                seen = row.sealed if row is not None else ""
                lease = await db.run(
                    partial(apitoken.seize, name=self._name, seen=seen, now=self._clock(), lease=LEASE)
                )
                if lease:
                    known = [at for at in (self._forced_at, row.forced_at if row else None) if at is not None]
                    self._forced_at = max(known, default=None)
                    return await self._leased(db, lease, refused)
                await asyncio.sleep(LOOK_AGAIN)
        except sa.exc.SQLAlchemyError as error:
            raise SendFailed(f"no token: the database: {type(error).__name__}", after=5) from None
        raise SendFailed("no token: another process is fetching it", after=5)

    async def _leased(self, db: Database, lease: str, refused: str | None) -> Token:
        try:
            token = await self._anew(refused)
        except NoToken as error:
            until = self._clock() + error.rest
            await db.run(partial(apitoken.rest, name=self._name, lease=lease, until=until, forced_at=self._forced_at))
            raise
        except BaseException:
            await db.run(partial(apitoken.release, name=self._name, lease=lease, forced_at=self._forced_at))
            raise
        sealed = self._fernet.encrypt(token.value.encode()).decode()
        await db.run(
            lambda session: apitoken.store(
                session, self._name, lease, sealed=sealed, until=token.until, forced_at=self._forced_at
            )
        )
        return token

    def _opened(self, row: ApiToken | None) -> Token | None:
        if row is None or not row.sealed or row.until is None:
            return None
        try:
            return Token(self._fernet.decrypt(row.sealed).decode(), row.until)
        except InvalidToken:  # sealed with the secret before this one
            log.info("api.token_of_another_secret", credential=self._credential.name)
            return None
