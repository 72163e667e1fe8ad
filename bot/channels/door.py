"""What the callback addresses of all channels answer with: an address check, and a refusal that tells nothing."""

from collections.abc import Callable

import structlog
from aiohttp import web

from bot import metrics
from bot.channels.security import Refused

log = structlog.get_logger(__name__)


def greeting(channel: str, echo: Callable[[], str]) -> web.Response:
    """The answer to an address check. echo: what is to be sent back; it raises Refused for a check that is not the
    platform's."""
    try:
        return web.Response(text=echo(), headers={"X-Content-Type-Options": "nosniff"})
    except Refused as refused:
        return refuse(channel, refused)


def refuse(channel: str, refused: Refused) -> web.Response:
    """The same 403 for whatever is wrong; the word goes to metric and log."""
    metrics.refused.labels(channel, refused.why).inc()
    log.warning("callback.refused", channel=channel, why=refused.why)
    return web.Response(status=403, text="refused")
