"""Which (timestamp, nonce) carried which message: remembered by all processes of a deployment, for two hours.

In memory in front, in the database behind. What arrives within `linger` shares one transaction.
"""

import asyncio
import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog

from bot.channels.security import Refused
from bot.ingest import Ingest, Once, Taken
from models import replay
from models.database import Database
from models.message import Incoming

log = structlog.get_logger(__name__)

REPLAY_MEMORY = timedelta(hours=2)  # 企业微信 100719: a nonce does not come again within two hours
REPLAY_LIMIT = 100_000  # entries in memory; about 25 MB
SWEEP_EVERY = timedelta(minutes=1)
SWEEP = 5_000  # rows that one transaction removes


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]


class Under(NamedTuple):
    """What a callback came under, and what it is: the arguments of `check` and `accept`. message: the platform's id."""

    timestamp: str
    nonce: str
    message: str
    now: datetime


class Replays:
    """The same pair with the same message is the platform trying again; with another one, a forgery or a fault."""

    def __init__(
        self, channel: str, db: Database | None = None, *, limit: int = REPLAY_LIMIT, linger: float = 0.002
    ) -> None:
        """db: None remembers in this process only. limit: entries in memory, the oldest go first."""
        self._channel = channel
        self._db = db
        self._limit = limit
        self._linger = linger
        self._seen: OrderedDict[str, tuple[str, datetime]] = OrderedDict()
        self._new: dict[str, str] = {}
        self._batch: asyncio.Task[dict[str, str]] | None = None
        self._swept: datetime | None = None

    def __len__(self) -> int:
        return len(self._seen)

    async def check(self, timestamp: str, nonce: str, message: str, now: datetime) -> None:
        """Remembers the pair, or raises Refused when it belongs to another message. message: the platform's id.

        Raises what the database raises when it is away; the callback must then not be acknowledged.
        """
        pair, what, known = self._look(timestamp, nonce, message, now)
        if not known:
            known = self._note(pair, await self._shared(pair, what, now), now)
        if known != what:
            raise Refused("replay")

    async def accept(
        self, ingest: Ingest, incoming: Incoming, timestamp: str, nonce: str, message: str, now: datetime
    ) -> None:  # fmt: skip
        """`check` and `Ingest.accept`, with one commit for both. Raises what they raise."""
        pair, what, known = self._look(timestamp, nonce, message, now)
        if known not in ("", what):
            raise Refused("replay")
        if known or self._db is None:
            await ingest.accept(incoming)
        else:
            try:
                await ingest.accept(incoming, Once(pair, what, now - REPLAY_MEMORY))
            except Taken:
                raise Refused("replay") from None
            await self._sweep(self._db, now)
        if self._note(pair, what, now) != what:
            raise Refused("replay")

    def _look(self, timestamp: str, nonce: str, message: str, now: datetime) -> tuple[str, str, str]:
        """The pair, what came under it now, and what is known to have come under it before, or ""."""
        while self._seen and next(iter(self._seen.values()))[1] < now - REPLAY_MEMORY:
            self._seen.popitem(last=False)
        pair = _hash(self._channel, timestamp, nonce)
        return pair, _hash(message), self._seen.get(pair, ("", now))[0]

    def _note(self, pair: str, what: str, now: datetime) -> str:
        known = self._seen.setdefault(pair, (what, now))[0]
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return known

    async def _shared(self, pair: str, what: str, now: datetime) -> str:
        """The message that the pair belongs to, in all processes: ours, unless another one was first."""
        if self._db is None:
            return what
        first = self._new.setdefault(pair, what)
        if self._batch is None:
            self._batch = asyncio.create_task(self._commit(self._db, now))
            self._batch.add_done_callback(lambda batch: batch.cancelled() or batch.exception())  # all may have hung up
        # One that hangs up must not take the others' transaction with it.
        old = await asyncio.shield(self._batch)
        return old.get(pair, first)

    async def _commit(self, db: Database, now: datetime) -> dict[str, str]:
        await asyncio.sleep(self._linger)
        pairs, self._new, self._batch = self._new, {}, None
        old = await db.run(partial(replay.remember, pairs=pairs, since=now - REPLAY_MEMORY, now=now))
        await self._sweep(db, now)
        return old

    async def _sweep(self, db: Database, now: datetime) -> None:
        if self._swept is not None and now - self._swept < SWEEP_EVERY:
            return
        self._swept = now  # before the await: one of those who wait here is enough
        gone = await db.run(partial(replay.forget, before=now - REPLAY_MEMORY, limit=SWEEP))
        if gone == SWEEP:  # a full one leaves more behind it: the next one goes on
            self._swept = None
