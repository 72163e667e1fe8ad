"""A process that holds the AI bot's long connection and pulls 微信客服, killed again and again while people go on.

WeChat and WeCom run outside of it. On the connection nothing is acknowledged (企业微信 101463): what was said into a
dying process is gone, and here the platform brings it once more under its own id. Callbacks of 微信客服 that nobody
answers are given up after three tries, and the next one brings what they stood for.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.platform.handed import environment as handed
from bot.platform.server import Platform
from handlers.notice import notice
from handlers.texts import say
from models.apitoken import ApiToken
from models.base import utc_now
from models.database import Database
from models.inbox import Inbox
from models.message import Purpose
from models.outbox import SENT, UNCERTAIN, Outbox, read
from models.pull import Pull
from models.townpack import read_pack
from tests.chaos.fleet import Member, environment, free_port, listening
from tests.chaos.letters import Line, conversations
from tests.chaos.storm import LEASE, Evidence, town_on
from tests.chaos.verdict import Books
from tests.databases import DEMO
from tests.trained import trained_home

BOT, SERVICE = "wecom_bot", "wecom_kf"
CHANNELS = (BOT, SERVICE)
KILLS, PEOPLE = 8, 16
HEARD_SECONDS = 1.5  # then the platform says it again
DRAIN_SECONDS = 20.0
HEARD, NOTICE = say("bot_heard"), notice()
MAY_COME_AGAIN = (HEARD, NOTICE)  # 收到。 only ends an exchange, and stands in no outbox


class Lines:
    """One run on one database, which must be migrated or empty."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        """folder: for the town and the logs."""
        self.evidence = Evidence()
        self.platform = Platform(pause=0.5, seed=str(seed))
        self.names: dict[str, str] = {}  # ids that 微信客服 gave to our lines
        self._url = url
        self._folder = folder
        self._draw = random.Random(seed)
        self._port = free_port()
        self._kills = asyncio.Condition()
        self._db = Database(url, threads=2)

    async def run(self) -> Evidence:
        """The killing, then calm until nothing waits any more."""
        p, port = self.platform, self._port
        await p.start()
        p.kf.callback = f"http://127.0.0.1:{port}/callback/{SERVICE}"
        p.bot.known |= {user for row in read_pack(DEMO).people for _, user in row.identities}  # all have written before
        member = Member("serve", ["serve", "--port", str(port)], self._settings(), self._folder)
        member.start()
        try:
            await member.until_ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._violence(member))
                for index, talk in enumerate(conversations(PEOPLE, self._draw)):
                    group.create_task(self._talk(talk, index))
            self.evidence.drained = await self._drain()
            self.evidence.exits = [await member.stop()]
        finally:
            member.kill()
            await p.stop()
            self._db.close()
        return self.evidence

    def _settings(self) -> dict[str, str]:
        told = environment(self._url, trained_home(), town_on(self._folder, BOT))
        told = {name: value for name, value in told.items() if "_WECHAT_MP__" not in name}
        mine = tuple(f"LINSHENG_{channel.upper()}__" for channel in CHANNELS)
        told |= {name: value for name, value in handed(self.platform).items() if name.startswith(mine)}
        return told | {
            "LINSHENG_WORKER__LEASE_SECONDS": str(LEASE), "LINSHENG_WORKER__ATTEMPTS": "50",
            "LINSHENG_WORKER__BATCH": "4", "LINSHENG_WECOM_BOT__STANDBY_SECONDS": "0.2",
            "LINSHENG_WECOM_BOT__RATE": "1000", "LINSHENG_WECOM_KF__RATE": "1000",
            "LINSHENG_WECOM_KF__POLL_SECONDS": "0.3",
        }  # fmt: skip

    # --- people -----------------------------------------------------------------------------------------------------

    async def _talk(self, talk: list[Line], index: int) -> None:
        """One conversation, every other one on the connection, begun when its share of the kills is done."""
        async with self._kills:
            await self._kills.wait_for(lambda: self.evidence.kills >= index * (KILLS - 1) // PEOPLE)
        channel = CHANNELS[index % 2]
        self.evidence.lines += talk
        for line in talk:
            await (self._tell_bot(line) if channel == BOT else self._tell_service(line))
            await asyncio.sleep(self._draw.uniform(0.0, 0.5))

    async def _tell_bot(self, line: Line) -> None:
        """Until it is on disk; some of it once more."""
        bot = self.platform.bot
        bot.known.add(line.user)
        body = bot.head(line.user, line.user, "text") | {"msgid": str(line.number), "text": {"content": line.text}}
        while line.number not in self.evidence.acknowledged:
            await self.platform.until(lambda: bot.connected, 30.0)
            await bot.push(body, line.user)
            self.evidence.posts += 1
            if not await self._heard(line):
                self.evidence.unanswered += 1
        if self._draw.random() < 0.2 and bot.connected:
            self.evidence.repeats += 1
            await bot.push(body, line.user)

    async def _heard(self, line: Line) -> bool:
        there = sa.select(sa.func.count()).select_from(Inbox).where(col(Inbox.message) == str(line.number))
        for _ in range(round(HEARD_SECONDS / 0.05)):
            if await self._db.run(lambda session: session.scalar(there)):
                self.evidence.acknowledged.add(line.number)
                return True
            await asyncio.sleep(0.05)
        return False

    async def _tell_service(self, line: Line) -> None:
        """The platform keeps it from here on, whether its callback reaches anybody or not."""
        self.evidence.acknowledged.add(line.number)
        self.evidence.posts += 1
        bubble = await self.platform.kf.say(line.user, line.text)
        self.names[bubble.id] = str(line.number)

    # --- what happens to the process --------------------------------------------------------------------------------

    async def _violence(self, member: Member) -> None:
        for turn in range(KILLS):
            if turn % 2:  # else perhaps in the midst of its start
                await member.until_ready()
                await self.platform.until(lambda: self.platform.bot.connected, 30.0)
            await asyncio.sleep(self._draw.uniform(0.05, 0.8))
            member.kill()
            await self._db.run(_time_passes)
            member.start()
            async with self._kills:
                self.evidence.kills += 1
                self._kills.notify_all()
        await member.until_ready()
        await listening(self._port)

    async def _drain(self) -> bool:
        """True once nothing waits in either queue, nor on the platform."""
        kf = self.platform.kf
        await kf.announce()  # somebody writes again: what lost callbacks stood for comes with it
        left = [sa.select(sa.func.count()).select_from(t).where(col(t.finished_at).is_(None)) for t in (Inbox, Outbox)]
        pulled = sa.select(col(Pull.cursor)).where(col(Pull.name).startswith(SERVICE))
        for _ in range(round(DRAIN_SECONDS / 0.2)):
            # The cursor first: what came with it is in the inbox then, and is counted.
            cursor = await self._db.run(lambda session: session.scalar(pulled))
            waiting = await self._db.run(lambda session: sum(session.scalar(one) or 0 for one in left))
            if not waiting and cursor == f"c{kf.run}-{len(kf.messages)}":
                return True
            await asyncio.sleep(0.2)
        return False


def _time_passes(session: Session) -> None:
    """What a lease, or a pause between two tries, would take."""
    then = utc_now() - timedelta(seconds=1)
    for table in (Inbox, Outbox):
        session.execute(sa.update(table).where(col(table.finished_at).is_(None)).values(visible_at=then))
    for held in (Pull, ApiToken):
        session.execute(sa.update(held).values(leased_until=then))


def repeated(platform: Platform, books: Books) -> Iterator[str]:
    """What people saw against what was to be said: every row once, where it is not known whether it arrived at most
    once, and alerts again only when they say so. A privacy notice that perhaps did not arrive is given again."""
    rows = [(row, read(row)) for row in books.outbox]
    for chat in {out.chat for _, out in rows}:
        mine = [(row.outcome, out) for row, out in rows if out.chat == chat]
        sent = sum(outcome == SENT for outcome, _ in mine)
        maybe = sum(outcome == UNCERTAIN for outcome, _ in mine)
        seen = [bubble.text for bubble in platform.seen(chat) if bubble.text != HEARD]
        marked = sum(say("repeat_prefix") in text for text in seen)
        if not sent <= len(seen) <= sent + maybe + marked:
            yield f"{chat}: {sent} sent and {maybe} uncertain, {len(seen)} seen, {marked} of them marked as repeats"
        if any(out.purpose != Purpose.REPLY for _, out in mine):
            continue
        again = sum(outcome == UNCERTAIN and out.informs is not None for outcome, out in mine)
        for text, times in Counter(seen).items():
            if times > 1 + (again if text == NOTICE else 0):
                yield f"{chat}: {text!r} {times} times"
