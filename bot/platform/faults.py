"""Faults to switch on: the platform down, a call that fails, an answer that is lost, a caller from a wrong address."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from bot.platform.codes import PlatformError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """What happens to the next `times` calls whose path begins with `path`.

    code: an errcode. status: an HTTP status. cut: the connection ends without an answer. hang: no answer, ever.
    taken: the call is carried out before the answer goes wrong.
    """

    path: str
    times: int = 1
    code: int | None = None
    status: int | None = None
    cut: bool = False
    hang: bool = False
    taken: bool = False


class Faults:
    """The switches of one platform. down: every connection is cut. untrusted: no caller's address is on the list.
    callers: from where it says that its callbacks come (getcallbackip)."""

    def __init__(self) -> None:
        self.down = False
        self.untrusted = False
        self.callers = ["127.0.0.1"]
        self._faults: list[Fault] = []

    def fail(
        self, path: str, *, times: int = 1, code: int | None = None, status: int | None = None, cut: bool = False,
        hang: bool = False, taken: bool = False,
    ) -> Fault:  # fmt: skip
        """Add a fault; the first that fits a call is used up first."""
        fault = Fault(path, times, code, status, cut, hang, taken)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again."""
        self.down = self.untrusted = False
        self._faults.clear()

    def due(self, path: str) -> Fault | None:
        """The fault for this call, used up by being asked for."""
        found = next((fault for fault in self._faults if path.startswith(fault.path)), None)
        if found is not None:
            found.times -= 1
            if found.times <= 0:
                self._faults.remove(found)
        return found

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stands before every call of the API; the page and the socket are not touched."""
        if not request.path.startswith("/cgi-bin/"):
            return await handler(request)
        if self.down:
            return _cut(request)
        fault = self.due(request.path)
        if fault is None:
            return await handler(request)
        answer = await handler(request) if fault.taken else web.Response()
        if fault.hang:
            await asyncio.Event().wait()  # until the caller hangs up, or the platform ends
        if fault.cut:
            return _cut(request)
        if fault.status is not None:
            return web.Response(status=fault.status)
        if fault.code is not None:
            return web.json_response(PlatformError(fault.code).answer)
        return answer


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=HTTPStatus.BAD_GATEWAY)
