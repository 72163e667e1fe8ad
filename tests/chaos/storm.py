"""A deployment under fire: callbacks come doubled and out of order, the platform fails, processes are killed and
stalled, the power goes. Whoever runs it gets the evidence, and judges it with `tests.chaos.verdict`.
"""

import asyncio
import csv
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import sqlalchemy as sa

from models.base import utc_now
from models.database import Database
from models.inbox import Inbox
from models.outbox import WAITS, Outbox
from tests.chaos.fleet import Member, environment, free_port
from tests.chaos.letters import Callback, Line, Postmark, conversations
from tests.chaos.platform import Delivery, FakePlatform
from tests.databases import DEMO
from tests.trained import trained_home

LEASE = 1.5  # seconds; a stalled worker outsleeps it
PLATFORM_PATIENCE = 5.0  # seconds after which the platform gives a callback up and comes again
SENT_LOOKS = 100  # of 0.05 seconds
TRIES_EVERY = 0.3
SENDING = 0.8


@dataclass(frozen=True)
class Plan:
    """kills: SIGKILLs, those of power cuts included. cuts: how often all processes die at once."""

    conversations: int = 48
    kills: int = 24
    cuts: int = 3
    stalls: int = 3
    seed: int = 20260302
    drain_seconds: float = 60.0


@dataclass
class Evidence:
    """What happened, as seen from outside."""

    lines: list[Line] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    deliveries: list[Delivery] = field(default_factory=list)
    moods: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    stalls: int = 0
    posts: int = 0
    repeats: int = 0
    unanswered: int = 0
    drained: bool = False
    exits: list[int | None] = field(default_factory=list)


def town_on(folder: Path, channel: str = "wechat_mp") -> Path:
    """The demo town, with everybody reached through one channel."""
    copy = folder / "town"
    shutil.copytree(DEMO, copy)
    with (copy / "people.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with (copy / "people.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"channel": channel} for row in rows)
    return copy


class Storm:
    """One run on one database, which must be migrated or empty."""

    def __init__(self, url: str, folder: Path, plan: Plan, progress: Callable[[str], None] = lambda word: None) -> None:
        """folder: for the town and the logs. progress: told how far it is."""
        self.plan = plan
        self.evidence = Evidence()
        self._url = url
        self._folder = folder
        self._progress = progress
        self._draw = random.Random(plan.seed)
        self._mark = Postmark()
        self._port = free_port()
        self._kills = asyncio.Condition()
        self._members: list[Member] = []
        self._db = Database(url, threads=1)
        self._platform = FakePlatform(random.Random(plan.seed + 1))

    async def run(self) -> Evidence:
        """The whole storm, then calm until nothing waits any more."""
        platform = self._platform
        await platform.start()
        try:
            self._members = self._deployment(platform.address)
            for member in self._members:
                member.start()
            await asyncio.gather(*(member.until_ready() for member in self._members))
            platform.rough = True
            patience = aiohttp.ClientTimeout(total=PLATFORM_PATIENCE)
            async with aiohttp.ClientSession(timeout=patience) as session, asyncio.TaskGroup() as group:
                group.create_task(self._violence())
                talks = list(conversations(self.plan.conversations, self._draw))
                for index, talk in enumerate(talks):
                    group.create_task(self._talk(session, talk, index / len(talks)))
            self._progress("calm")
            await self._power_cut(back=False)
            platform.rough = False
            for member in self._members:
                member.start()
            self.evidence.drained = await self._drain()
            self.evidence.exits = await asyncio.gather(*(member.stop() for member in self._members))
        finally:
            for member in self._members:
                member.kill()
            await platform.stop()
            self._db.close()
        self.evidence.deliveries = platform.deliveries
        self.evidence.moods = {mood.value: count for mood, count in platform.moods.items()}
        return self.evidence

    def _deployment(self, api: str) -> list[Member]:
        settings = environment(self._url, trained_home(), town_on(self._folder), api)
        settings |= {"LINSHENG_WORKER__LEASE_SECONDS": str(LEASE), "LINSHENG_WORKER__ATTEMPTS": "50"}
        settings |= {"LINSHENG_WORKER__BATCH": "4"}  # small batches: a kill hits one half done
        serve = ["serve", "--no-worker", "--port", str(self._port)]
        wanted = {"serve": serve, "worker-a": ["worker"], "worker-b": ["worker"]}
        return [Member(name, arguments, settings, self._folder) for name, arguments in wanted.items()]

    # --- what the residents do --------------------------------------------------------------------------------------

    async def _talk(self, session: aiohttp.ClientSession, talk: list[Line], share: float) -> None:
        """One conversation, begun when `share` of the kills is done; neighbouring messages may overtake each other."""
        async with self._kills:
            await self._kills.wait_for(lambda: self.evidence.kills >= share * (self.plan.kills - 3))
        self.evidence.lines += talk
        while talk:
            some, talk = (talk[:2], talk[2:]) if self._draw.random() < 0.3 else (talk[:1], talk[1:])
            await asyncio.gather(*(self._tell(session, line) for line in reversed(some)))
            await asyncio.sleep(self._draw.uniform(0.0, 0.4))

    async def _tell(self, session: aiohttp.ClientSession, line: Line) -> None:
        """Post until it is answered; now and then once more, or twice at once."""
        twice = self._draw.random()
        first = self._mark.seal(line, utc_now())
        if twice < 0.1:
            self.evidence.repeats += 1
            await asyncio.gather(self._until_answered(session, line, first), self._post(session, first))
            return
        await self._until_answered(session, line, first)
        if twice < 0.3:
            self.evidence.repeats += 1
            await self._post(session, self._mark.seal(line, utc_now()))

    async def _until_answered(self, session: aiohttp.ClientSession, line: Line, callback: Callback) -> None:
        while not await self._post(session, callback):
            self.evidence.unanswered += 1
            await asyncio.sleep(TRIES_EVERY)
        self.evidence.acknowledged.add(line.number)

    async def _post(self, session: aiohttp.ClientSession, callback: Callback) -> bool:
        self.evidence.posts += 1
        try:
            address = f"http://127.0.0.1:{self._port}{callback.path}"
            async with session.post(address, data=callback.body) as response:
                return response.status == 200 and await response.read() == b""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    # --- what happens to the processes ------------------------------------------------------------------------------

    async def _violence(self) -> None:
        plan = self.plan
        singles = plan.kills - 3 * plan.cuts - 3  # the last three die before the calm
        cuts = {round(singles * (n + 1) / (plan.cuts + 1)) for n in range(plan.cuts)}
        stalls = {round(singles * (n + 0.5) / plan.stalls) for n in range(plan.stalls)}
        async with asyncio.TaskGroup() as group:
            for turn in range(singles):
                if turn in cuts:
                    await self._power_cut()
                if turn in stalls:
                    group.create_task(self._stall(self._draw.choice(self._members[1:])))
                victim = self._draw.choice(self._members)
                if self._draw.random() < 0.8:  # else perhaps in the midst of its start
                    await victim.until_ready()
                if turn % 3 == 0:
                    await self._something_sent()
                await asyncio.sleep(self._draw.uniform(0.02, 0.4))
                victim.kill()
                victim.start()
                await self._killed(1)

    async def _something_sent(self) -> None:
        """Until somebody is told something, or for some seconds: where much else runs, no worker lived long enough to
        send, and there was nothing to lose or to double."""
        before = self._platform.met
        for _ in range(SENT_LOOKS):
            if self._platform.met > before:
                return
            await asyncio.sleep(0.05)

    async def _stall(self, member: Member) -> None:
        """Out for longer than its lease, then on as if nothing had been."""
        self.evidence.stalls += 1
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE * 1.5)
        member.signal(signal.SIGCONT)

    async def _power_cut(self, *, back: bool = True) -> None:
        """All die at once; meanwhile the time passes that a lease or a pause between two tries takes."""
        await asyncio.gather(*(member.until_ready() for member in self._members))
        for member in self._members:
            member.kill()
        for table in (Inbox, Outbox):
            waiting = sa.update(table).where(table.finished_at.is_(None))  # type: ignore[union-attr]
            await self._db.run(
                lambda session, s=waiting: session.connection().execute(  # type: ignore[misc]
                    s.values(visible_at=utc_now() - timedelta(seconds=1))
                )
            )
        if back:
            for member in self._members:
                member.start()
            await asyncio.gather(*(member.until_ready() for member in self._members))
            await asyncio.sleep(SENDING)  # what all had waited for now goes out, and into the next kill
        await self._killed(len(self._members))

    async def _killed(self, count: int) -> None:
        async with self._kills:
            self.evidence.kills += count
            self._kills.notify_all()
        self._progress(f"{self.evidence.kills} of {self.plan.kills} kills")

    async def _drain(self) -> bool:
        """True once nothing waits in either queue but for a word of hers; False when that takes too long."""
        counts = [sa.select(sa.func.count()).select_from(t).where(t.finished_at.is_(None)) for t in (Inbox, Outbox)]  # type: ignore[union-attr]
        counts[1] = counts[1].where(Outbox.outcome != WAITS)  # type: ignore[arg-type]
        for _ in range(round(self.plan.drain_seconds / 0.2)):
            if await self._db.run(lambda session: sum(session.scalar(count) or 0 for count in counts)) == 0:
                return True
            await asyncio.sleep(0.2)
        return False
