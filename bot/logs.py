"""Logs: one event a line, as JSON or for a terminal, on standard error. Residents' words never stand in them."""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from structlog.typing import EventDict, Processor, WrappedLogger

QUIET = ("/healthz", "/metrics")
FRAMES = 12
log = structlog.get_logger("linsheng.http")


def configure(level: str = "info", *, json: bool = True) -> None:
    """Set up structlog, and the standard library's logging of the libraries the same way.

    level: debug, info, warning or error. Only at debug level an exception is shown with its message: the messages of
    database and validation errors repeat what they choked on.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if level == "debug" else without_words,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("alembic", "apscheduler", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def without_words(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """An exception as its types and places, outermost cause last, without what it says."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        causes: list[str] = []
        error: BaseException | None = found
        while error is not None and len(causes) < 5:
            causes.append(f"{type(error).__name__} at {_places(error.__traceback__)}")
            error = error.__cause__ or error.__context__
        event["exception"] = causes
    return event


def _places(trace: TracebackType | None) -> str:
    frames = reversed(traceback.extract_tb(trace)[-FRAMES:])
    return " < ".join(f"{frame.name} ({'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno})" for frame in frames)


class AccessLog(AbstractAccessLogger):
    """One line a request: the route as it is declared, so that neither query nor token stands in it."""

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        self._log = log.bind()  # once: it is put together anew for every line otherwise

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """time: seconds."""
        match = getattr(request, "match_info", None)
        resource = match.route.resource if match is not None else None
        route = resource.canonical if resource is not None else "unknown"
        say = self._log.debug if route in QUIET else self._log.info
        say("http", method=request.method, route=route, status=response.status, ms=round(1000 * time, 1))
