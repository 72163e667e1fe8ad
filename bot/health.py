"""Whether this process does its work, for whoever watches over it; and the figures for Prometheus."""

import asyncio

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.process import Process
from bot.scheduler import backlog

log = structlog.get_logger(__name__)
PATIENCE = 5.0  # seconds that the database has for an answer
Figures = tuple[tuple[int, int], float]


class Health:
    """Answers /healthz and /metrics."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._asking: asyncio.Task[Figures] | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """Both addresses."""
        return [web.get("/healthz", self.healthz), web.get("/metrics", self.metrics)]

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 when the database answers and everything that should run does; 503 otherwise, saying what is wrong.

        A long backlog is no failure: starting anew would not make it shorter. Nor is a connection that rests because
        another instance has it: one that is started anew would take it away again, and so on for ever.
        """
        process = self._process
        body: dict[str, object] = {
            "status": "ok",
            "database": "ok",
            "workers": process.alive("worker"),
            "senders": process.alive("sender"),
            "channels": sorted(process.channels),
            "connections": {name: channel.state for name, channel in process.channels.items() if channel.state},
        }
        try:
            (incoming, outgoing), age = await self._figures()
            body |= {"backlog": incoming, "backlog_age_seconds": round(age, 1), "outbox": outgoing}
        except Exception as error:
            log.warning("health.database", error=type(error).__name__)
            body |= {"status": "failing", "database": "no answer"}
        if not process.well:
            body["status"] = "failing"
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    async def _figures(self) -> Figures:
        # One question at a time: a database that hangs must not be given every thread there is.
        if self._asking is None or self._asking.done():
            process = self._process
            self._asking = asyncio.create_task(process.db.run(lambda session: backlog(session, process.clock)))
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(self._asking)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
