"""The web application: what the channels serve, health, plain errors, and headers that keep browsers careful."""

from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from aiohttp import web

from bot import task_page
from bot.channels.callers import Callers
from bot.health import Health
from bot.logs import AccessLog
from bot.process import Process, Signals
from config.settings import Settings
from models.base import Clock, utc_now
from nlu.types import Engine

log = structlog.get_logger(__name__)
PROCESS = web.AppKey("process", Process)
BODY_BYTES = 10 * 1024 * 1024  # a photo and its form
LOCAL = "127.0.0.1"
OPEN_REQUESTS = 2.0  # seconds that open requests have to end when the process does
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(
    settings: Settings, *, worker: bool = True, clock: Clock = utc_now, engine: Engine | None = None
) -> web.Application:  # fmt: skip
    """The application; starting it starts everything, cleaning it up ends everything.

    worker: whether this process also handles and sends; without, another one must. engine: another than the embedded.
    """
    process = Process(settings, working=worker, clock=clock, engine=engine)
    callers = Callers(process.channels, settings.trusted_proxies) if settings.platform_addresses else None
    looks = [plain_errors, callers.let_in] if callers else [plain_errors]
    app = web.Application(middlewares=looks, client_max_size=BODY_BYTES)
    app[PROCESS] = process
    app.add_routes(Health(process).routes())
    if process.links is not None:
        read, wake = process.links.read, process.inbox.ring
        app.add_routes(
            task_page.routes(process.db, process.known, read, settings.media, wake, clock, settings.timezone)
        )
    for channel in process.channels.values():
        app.add_routes(channel.routes())
    if settings.demo:
        app.router.add_get("/", to_the_chat)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        await process.start()
        if callers is not None:
            callers.start()
        yield
        if callers is not None:
            await callers.stop()
        await process.stop()

    async def hang_up(_app: web.Application) -> None:
        # Now, and not at the end: the web chat's streams never end by themselves, and the server waits for them.
        await process.rest()

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(hang_up)
    app.on_response_prepare.append(careful)
    return app


async def to_the_chat(_request: web.Request) -> web.StreamResponse:
    """In the demo, the bare address leads to the chat."""
    raise web.HTTPFound("/chat")


@web.middleware
async def plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON with one sentence, and never with a traceback."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
        return web.json_response({"error": error.reason.lower()}, status=error.status, headers=kept)
    except Exception as error:
        log.exception("http.failed", error=type(error).__name__)
        return web.json_response({"error": "something went wrong here; it has been noted"}, status=500)


async def careful(_request: web.Request, response: web.StreamResponse) -> None:
    """Headers that every answer has, streams too; a page that sets its own keeps them."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "linsheng"


async def serve(
    settings: Settings, *, host: str, port: int, worker: bool, ready: Callable[[str], None] = lambda address: None
) -> None:
    """Serve until SIGTERM or SIGINT: then accept nothing more, finish what has begun, close, within ten seconds.

    port: 0 for any. ready: called with the address, once it answers. Raises OSError when the port is taken.
    """
    with Signals() as signals:
        app = build(settings, worker=worker)
        runner = web.AppRunner(app, access_log_class=AccessLog, shutdown_timeout=OPEN_REQUESTS)
        try:
            if await signals.unless_told(runner.setup()):
                await web.TCPSite(runner, host, port).start()
                ready(f"http://{host if ':' not in host else f'[{host}]'}:{runner.addresses[0][1]}")
                await signals.told.wait()
        finally:
            await runner.cleanup()


async def work(
    settings: Settings, *, metrics_port: int | None = None, ready: Callable[[str], None] = lambda address: None,
    engine: Engine | None = None,
) -> None:  # fmt: skip
    """Handle and send until SIGTERM or SIGINT, without callbacks and pages.

    metrics_port: where /healthz and /metrics of this process are, on this machine only; 0 for any, None for nowhere.
    ready: called once it works, with their address or "". Raises OSError when the port is taken.
    """
    with Signals() as signals:
        process = Process(settings, working=True, engine=engine)
        if not await signals.unless_told(process.start()):
            await process.stop()
            return
        app = web.Application(middlewares=[plain_errors])
        app.add_routes(Health(process).routes())
        app.on_response_prepare.append(careful)
        runner = web.AppRunner(app, access_log_class=AccessLog, shutdown_timeout=OPEN_REQUESTS)
        try:
            address = ""
            if metrics_port is not None:
                await runner.setup()
                await web.TCPSite(runner, LOCAL, metrics_port).start()
                address = f"http://{LOCAL}:{runner.addresses[0][1]}"
            ready(address)
            await signals.told.wait()
        finally:
            # The figures last: whoever watches sees the process end, and not its door close.
            await process.stop()
            await runner.cleanup()
