"""From the answered callback to the answer on its way: reports in direct chats, twenty a second, one real server."""

import asyncio
import random
import time

import sqlalchemy as sa
from aiohttp import ClientSession

from models.base import utc_now
from models.database import Database
from models.message import Purpose
from models.outbox import Outbox, read
from tests.benchmarks.result import SQLITE, Bench, Figure, Result, percentile
from tests.chaos.fleet import Member, environment, free_port
from tests.chaos.letters import REPORTS, Line, Postmark
from tests.chaos.platform import FakePlatform
from tests.chaos.storm import town_on

RATE, SECONDS = 20, 15
DRAIN = 30.0
CEILING_MS = 1_000.0  # an answer within a second of the question feels like one


def run(bench: Bench) -> Result:
    """SQLite, one process, the platform answering at once."""
    bench.say(f"{RATE * SECONDS} reports, {RATE} a second")
    with bench.database(SQLITE) as url:
        answered, arrived = asyncio.run(_talk(bench, url))
        db = Database(url)
        rows = db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
        db.close()
    decided: dict[str, float] = {}
    for row in rows:
        out = read(row)
        if out.purpose == Purpose.REPLY and out.trigger:
            decided[out.trigger] = row.created_at.timestamp()
    faults = [f"{len(answered)} reports were answered for, {len(decided)} replies decided, {len(arrived)} arrived"]
    if len(answered) == len(decided) == len(arrived) == RATE * SECONDS:
        faults = []
    inside = [1_000 * max(0.0, decided[n] - at) for n, at in answered.items() if n in decided]
    outside = [1_000 * max(0.0, arrived[n] - at) for n, at in answered.items() if n in arrived]
    figures = []
    for name, waits in (("outbox row", inside), ("platform", outside)):
        figures += [
            Figure(f"callback answered to {name}, p50", percentile(waits, 0.5), "ms", less=True),
            Figure(
                f"callback answered to {name}, p99", percentile(waits, 0.99), "ms", CEILING_MS, "ceiling", True, True
            ),
        ]
    return Result(figures, faults=faults)


async def _talk(bench: Bench, url: str) -> tuple[dict[str, float], dict[str, float]]:
    """By message id: when its callback was answered, and when the reply arrived at the platform; unix seconds."""
    platform, port, postmark = FakePlatform(random.Random(1)), free_port(), Postmark()
    answered: dict[str, float] = {}
    await platform.start()
    with bench.folder() as folder:
        settings = environment(url, bench.home, town_on(folder), platform.address)
        server = Member("serve", ["serve", "--port", str(port)], settings, folder)
        server.start()
        try:
            await server.until_ready()
            await asyncio.sleep(0.5)  # until it listens too
            async with ClientSession(f"http://127.0.0.1:{port}") as session, asyncio.TaskGroup() as group:
                for number in range(RATE * SECONDS):
                    line = Line(number + 1, f"o-{number + 1}", REPORTS[number % len(REPORTS)], report=True)
                    group.create_task(_report(session, postmark, line, answered))
                    await asyncio.sleep(1 / RATE)
            users = {f"o-{number}" for number in answered}
            for _ in range(round(DRAIN / 0.1)):
                if users <= {delivery.user for delivery in platform.deliveries}:
                    break
                await asyncio.sleep(0.1)
        finally:
            await server.stop()
            await platform.stop()
    return answered, {d.user.removeprefix("o-"): d.at for d in platform.deliveries if d.user.startswith("o-")}


async def _report(session: ClientSession, postmark: Postmark, line: Line, answered: dict[str, float]) -> None:
    callback = postmark.seal(line, utc_now())
    async with session.post(callback.path, data=callback.body) as response:
        await response.read()
        if response.status == 200:
            answered[str(line.number)] = time.time()
