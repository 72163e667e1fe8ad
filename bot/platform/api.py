"""The gate of the HTTP API: tokens first, then the call, then the answer with its errcode; every call is noted."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from bot.platform.codes import PlatformError, fine, need
from bot.platform.faults import Faults, Handler
from bot.platform.tokens import Tokens
from bot.platform.world import Body, World

WECHAT, WECOM = "wechat", "wecom"
Endpoint = Callable[[Body], Body]
Raw = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEPT = 5_000


@dataclass(frozen=True)
class Call:
    """One call of the API. body: without secrets. code: the errcode of the answer."""

    path: str
    body: Body
    code: int


class Api:
    """Endpoints of both platforms on one address; whose token it is decides which platform answers."""

    def __init__(self, tokens: Tokens, faults: Faults, world: World) -> None:
        self.calls: list[Call] = []
        self._tokens = tokens
        self._faults = faults
        self._world = world
        self._endpoints: dict[tuple[str, str, str], Endpoint] = {}
        self._raw: dict[tuple[str, str, str], Raw] = {}
        self.get(WECHAT, "getcallbackip", lambda _: {"ip_list": faults.callers})
        self.get(WECOM, "getcallbackip", lambda _: fine(ip_list=faults.callers))

    def post(self, account: str, path: str, endpoint: Endpoint) -> None:
        """A call with a JSON body. account: `wechat` or `wecom`, or `wecom:kf` where only that app may."""
        self._endpoints["POST", f"/cgi-bin/{path}", account] = endpoint

    def get(self, account: str, path: str, endpoint: Endpoint) -> None:
        """A call with parameters only."""
        self._endpoints["GET", f"/cgi-bin/{path}", account] = endpoint

    def raw(self, method: str, path: str, handler: Raw) -> None:
        """A call whose body or answer is no JSON, of both platforms."""
        for account in (WECHAT, WECOM):
            self._raw[method, f"/cgi-bin/{path}", account] = handler

    def routes(self) -> list[web.RouteDef]:
        """One route for each path, and the three ways to a token."""
        known = {(method, path) for method, path, _ in (*self._endpoints, *self._raw)}
        return [
            web.get("/cgi-bin/gettoken", self._gettoken),
            web.get("/cgi-bin/token", self._token),
            web.post("/cgi-bin/stable_token", self._stable_token),
            *(web.route(method, path, self._dispatch) for method, path in sorted(known)),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refusals become answers."""
        try:
            return await handler(request)
        except PlatformError as error:
            self._note(request, {}, error.code)
            return web.json_response(error.answer)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        account = self._tokens.check(request.query.get("access_token", ""))
        platform = account.partition(":")[0]
        need(not self._faults.untrusted or platform == WECHAT, 60020)
        for owner in (account, platform):
            key = (request.method, request.path, owner)
            if (raw := self._raw.get(key)) is not None:
                return await raw(request)
            if (endpoint := self._endpoints.get(key)) is not None:
                return await self._answer(request, endpoint)
        raise PlatformError(48001 if platform == WECHAT else 48002)

    async def _answer(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        body = await read_json(request) if request.method == "POST" else dict(request.query)
        body.pop("access_token", None)
        try:
            answer = endpoint(body)
        except PlatformError as error:
            self._note(request, body, error.code)
            return web.json_response(error.answer)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._note(request, body, 47001)
            return web.json_response(PlatformError(47001, f"{type(error).__name__} {error}").answer)
        self._note(request, body, 0)
        self._world.touch()
        return web.json_response(answer)

    async def _gettoken(self, request: web.Request) -> web.Response:
        account = self._tokens.account(request.query.get("corpid", ""), request.query.get("corpsecret", ""))
        need(account.startswith(WECOM), 40013)
        value, seconds = self._tokens.give(account)
        self._note(request, {}, 0)
        return web.json_response(fine(access_token=value, expires_in=seconds))

    async def _token(self, request: web.Request) -> web.Response:
        need(request.query.get("grant_type") == "client_credential", 40002)
        account = self._official(request.query.get("appid", ""), request.query.get("secret", ""))
        value, seconds = self._tokens.give(account, "token", force=False)
        self._note(request, {}, 0)
        return web.json_response({"access_token": value, "expires_in": seconds})

    async def _stable_token(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        need(body.get("grant_type") == "client_credential", 40002)
        account = self._official(str(body.get("appid", "")), str(body.get("secret", "")))
        value, seconds = self._tokens.give(account, "stable", force=bool(body.get("force_refresh")))
        self._note(request, {"force_refresh": bool(body.get("force_refresh"))}, 0)
        return web.json_response({"access_token": value, "expires_in": seconds})

    def _official(self, app_id: str, secret: str) -> str:
        need(not self._faults.untrusted, 40164)
        account = self._tokens.account(app_id, secret)
        need(account.startswith(WECHAT), 40013)
        return account

    def _note(self, request: web.Request, body: Body, code: int) -> None:
        safe = json.loads(self._tokens.mask(json.dumps(body, ensure_ascii=False)))
        self.calls.append(Call(request.path, safe, code))
        del self.calls[:-KEPT]


async def read_json(request: web.Request) -> Body:
    """The body. Raises PlatformError 47001 for what is no JSON object."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise PlatformError(47001) from None
    if not isinstance(body, dict):
        raise PlatformError(47001)
    return body
