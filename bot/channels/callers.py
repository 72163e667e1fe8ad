"""Who may call back: the platforms' own addresses alone, where a deployment asks for that.

A second lock behind the signature, never instead of it: while there is no list of addresses, the signature alone
decides. The platforms change their lists and say so nowhere else, hence a daily look (`getcallbackip` of both). A proxy
of our own hides who called; what it says of that (`X-Forwarded-For`) counts where it is trusted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import structlog
from aiohttp import web

from bot.channels.api import ApiClient
from bot.channels.base import Channel
from bot.channels.door import refuse
from bot.channels.security import Refused

log = structlog.get_logger(__name__)
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
UNDER = "/callback/"
OCTETS = 4  # of an IPv4 address
DAILY, SOON = timedelta(days=1), timedelta(minutes=10)


async def listed(api: ApiClient) -> list[str]:
    """The platform's own list. Raises SendFailed, Uncertain."""
    found = (await api.get("/cgi-bin/getcallbackip")).get("ip_list")
    return [str(one) for one in found] if isinstance(found, list) else []


def network(pattern: str) -> Network:
    """What `101.226.103.*`, `101.226.103.0/25` or a bare address covers. Raises ValueError for anything else."""
    named = pattern.strip().split(".")
    stars = len(named) - len(rest := [part for part in named if part != "*"])
    if stars and len(named) == OCTETS and named[: len(rest)] == rest:
        return ip_network(f"{'.'.join(rest + ['0'] * stars)}/{8 * len(rest)}")
    return ip_network(pattern.strip(), strict=False)


def caller(remote: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """Who really called. remote: the other end of the connection. forwarded: values of X-Forwarded-For, in their order;
    anybody may write anything into them, so they are read from the end, as far as our own proxies wrote them.
    None where that is no address."""
    here = _address(remote or "")
    said = [part for value in forwarded for part in value.split(",")]
    while here is not None and said and any(here in proxy for proxy in proxies):
        here = _address(said.pop())
    return here


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


class Callers:
    """The lists of all channels that have one, and the look at each callback."""

    def __init__(self, channels: Mapping[str, Channel], proxies: Sequence[Network]) -> None:
        """proxies: whose X-Forwarded-For is believed."""
        self._channels = channels
        self._proxies = proxies
        self._lists: dict[str, tuple[Network, ...]] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at once, and every day; the channels are started."""
        self._looking = asyncio.create_task(self._keep_looking(), name="callers")

    async def stop(self) -> None:
        """End that."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
            self._looking = None

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """403 for a callback from anywhere else. The address check (GET) is let in: it changes nothing, and `linsheng
        doctor` makes it, too."""
        name = request.path.removeprefix(UNDER)
        if request.method == "POST" and (known := self._lists.get(name)):
            who = caller(request.remote, request.headers.getall("X-Forwarded-For", ()), self._proxies)
            if who is None or not any(who in one for one in known):
                return refuse(name, Refused("address"))
        return await handler(request)

    async def look(self) -> bool:
        """Ask every platform for its list; where none comes, the last one stays. Returns whether all have answered."""
        fine = True
        for name, channel in self._channels.items():
            try:
                found = await channel.callers()
                if found is not None:
                    self._lists[name] = tuple(network(one) for one in found) or self._lists.get(name, ())
            except Exception as error:  # a platform or database that is away, a pattern that nobody knows
                log.warning("callers.not_listed", channel=name, error=type(error).__name__)
                fine = False
        return fine

    async def _keep_looking(self) -> None:
        pause = timedelta()
        while True:
            await asyncio.sleep(pause.total_seconds())
            pause = DAILY if await self.look() else SOON
