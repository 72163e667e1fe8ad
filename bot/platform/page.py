"""The page on which one is anybody: what each user sees, words to type, buttons to press, faults to switch.

It is for one person on this machine. A request from another page in the same browser is refused: it cannot set the
header, and a name that somebody points at 127.0.0.1 is not the host we serve.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.platform.aibot import CHANNEL as BOT
from bot.platform.archive import CHANNEL as ARCHIVE
from bot.platform.cards import keys_of, menus_of
from bot.platform.corp_app import CHANNEL as APP
from bot.platform.handed import CALLBACKS, facts
from bot.platform.kf import CHANNEL as KF
from bot.platform.official import CHANNEL as MP
from bot.platform.qq import CHANNEL as QQ
from bot.platform.reports import ACCEPTED, ASSIGNED, IN_HAND, PASSED_ON, REFUSED, SOLVED, Order
from bot.platform.world import Body, Bubble

if TYPE_CHECKING:
    from bot.platform.server import Platform

STATIC = Path(__file__).parent / "static"
HEADER = "X-Platform"
HOSTS = ("127.0.0.1", "localhost")  # as a person may type it
WAIT = 25.0  # seconds that a page waits for news
SHOWN = 500  # bubbles
STEPS = {
    ACCEPTED: "受理", ASSIGNED: "分配", PASSED_ON: "转交", IN_HAND: "办理中", SOLVED: "办结", REFUSED: "不受理",
}  # fmt: skip
ENDS = (SOLVED, REFUSED)
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class Page:
    """Routes of the page."""

    def __init__(self, platform: "Platform") -> None:
        self._p = platform
        self._acts: dict[str, Callable[[Body], Awaitable[object]]] = {
            "say": self._say,
            "photo": self._photo,
            "pin": self._pin,
            "click": self._click,
            "choose": self._choose,
            "order": self._order,
            "step": self._step,
            "group": self._group,
            "arrive": self._arrive,
            "callback": self._callback,
            "fault": self._fault,
        }

    def routes(self) -> list[web.AbstractRouteDef]:
        """The page, its files, its news, its deeds."""
        return [
            web.get("/", self._index),
            web.static("/page/static", STATIC),
            web.get("/page/news", self._news),
            web.post("/page/act", self._act),
        ]

    async def _index(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "page.html", headers={"Content-Security-Policy": POLICY})

    async def _news(self, request: web.Request) -> web.Response:
        """Everything, once something is newer than `after`, or after a while."""
        self._guard(request)
        after = request.query.get("after", "")
        if after == str(self._p.world.version):
            version = self._p.world.version
            try:
                await self._p.until(lambda: self._p.world.version != version, WAIT)
            except TimeoutError:
                return web.Response(status=204)
        return web.json_response(self._state())

    async def _act(self, request: web.Request) -> web.Response:
        self._guard(request)
        body = await request.json()
        act = self._acts.get(str(body.get("do")))
        if act is None:
            return web.json_response({"error": "没有这个动作"}, status=400)
        try:
            await act(body)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            return web.json_response({"error": str(error)}, status=400)
        finally:
            self._p.world.touch()
        return web.json_response({})

    def _guard(self, request: web.Request) -> None:
        port = self._p.base.rpartition(":")[2]
        if request.headers.get(HEADER) != "1" or request.host not in [f"{name}:{port}" for name in HOSTS]:
            raise web.HTTPForbidden

    # --- what is seen -----------------------------------------------------------------------------------------------

    def _state(self) -> Body:
        world = self._p.world
        pushes = [
            {"url": push.url, "statuses": push.statuses, "done": push.done} for push in self._p.pushes[-20:][::-1]
        ]
        frames = [one for one in self._p.bot.wire.frames if one["cmd"] != "ping" or one.get("errcode")]
        return {
            "version": world.version,
            "bot": self._p.bot.name,
            "connected": self._p.bot.connected,
            "groups": [vars(group) for group in world.groups.values()],
            "bubbles": [self._told(number, bubble) for number, bubble in enumerate(world.bubbles)][-SHOWN:],
            "orders": [_order(code, order) for code, order in self._p.report.orders.items()][-SHOWN:],
            "pushes": pushes,
            "frames": _runs((one["cmd"], one.get("errcode")) for one in frames),
            "calls": _runs((call.path, call.code) for call in self._p.calls),
            "complaints": self._p.complaints[-20:],
            "callbacks": {name: getattr(self._p, account).callback for name, account in CALLBACKS.items()},
            "accounts": facts(self._p),
            "down": self._p.faults.down,
            "untrusted": self._p.faults.untrusted,
        }

    def _told(self, number: int, bubble: Bubble) -> Body:
        faces = {user: _face(card) for user, card in bubble.views.items()}
        listed = bubble.body.get("msgmenu", {}).get("list", []) if bubble.kind == "msgmenu" else []
        items = [one.get("click", one) for one in listed if one.get("type", "click") == "click"]
        return {
            "number": number, "at": bubble.at.isoformat(), "channel": bubble.channel, "chat": bubble.chat,
            "by": bubble.by, "kind": bubble.kind, "text": bubble.text, "quote": bubble.quote,
            "finished": bubble.finished, "recalled": bubble.recalled, "missed": bubble.missed,
            "card": _face(bubble.card) if bubble.card else None, "faces": faces,
            "menu": [[item["id"], item["content"]] for item in items],
        }  # fmt: skip

    # --- what is done -----------------------------------------------------------------------------------------------

    async def _say(self, body: Body) -> None:
        user, text = _named(body), str(body["text"])
        quoted = self._bubble(body["quote"]) if body.get("quote") is not None else None
        if body["channel"] in (BOT, QQ):
            await self._account(body).say(body.get("chat") or None, user, text, quote=quoted)
        elif body["channel"] == ARCHIVE and body.get("chat"):
            self._p.archive.say(str(body["chat"]), user, text)
        else:
            await self._account(body).say(user, text)

    async def _photo(self, body: Body) -> None:
        data = base64.b64decode(body["data"], validate=True)
        if body["channel"] in (BOT, QQ):
            await self._account(body).photo(body.get("chat") or None, _named(body), data, str(body.get("text") or ""))
        elif body["channel"] == ARCHIVE and body.get("chat"):
            self._p.archive.photo(str(body["chat"]), _named(body), data)
        else:
            await self._account(body).photo(_named(body), data)

    async def _pin(self, body: Body) -> None:
        if body["channel"] in (BOT, QQ):
            raise ValueError("这里不能发位置")
        await self._account(body).location(
            _named(body), float(body["lat"]), float(body["lon"]), str(body.get("name") or "")
        )

    async def _click(self, body: Body) -> None:
        await self._p.click(self._bubble(body["number"]), _named(body), str(body["key"]), chosen=body.get("chosen"))

    async def _choose(self, body: Body) -> None:
        menu = self._bubble(body["number"])
        account = self._p.mp if menu.channel == MP else self._p.kf
        await account.choose(menu, _named(body), str(body["key"]))

    async def _order(self, body: Body) -> None:
        """居民上报: a resident tells the product's own robot. where: in words; grid: the product's grid_id."""
        user, text = _named(body), str(body.get("text") or "").strip()
        picture = base64.b64decode(str(body.get("data") or ""), validate=True)
        if not text and not picture:
            raise ValueError("写下是什么事，或者附一张图片")
        place = {"name": str(body.get("where") or ""), "address": "", "latitude": 0.0, "longitude": 0.0}
        self._p.report.order(
            text, unionid=user, reporter_name=user, location=place, grid_id=str(body.get("grid") or ""),
            image_urls=[self._p.media.plain("image", "picture.jpg", picture)] if picture else [],
        )  # fmt: skip

    async def _step(self, body: Body) -> None:
        """居民上报: one of the product's workers does the next thing with an order. kind: a process_type."""
        user, code, kind = _named(body), str(body["order"]), int(body["kind"])
        if kind not in _next(self._p.report.orders[code]):
            raise ValueError("这张单现在不能走这一步")
        self._p.report.step(code, kind, user, str(body.get("text") or ""), status=int(kind != IN_HAND))

    async def _group(self, body: Body) -> None:
        members = [str(user).strip() for user in body["members"] if str(user).strip()]
        name = str(body["name"]).strip()
        if not members or not name:
            raise ValueError("群要有名字和成员")
        if any((group.channel, group.name) == (BOT, name) for group in self._p.world.groups.values()):
            raise ValueError("已经有同名的群")  # its id is shown by its name
        self._p.group(name, *members)

    async def _arrive(self, body: Body) -> None:
        """She opens the chat: follows, scans, or enters. scene: what the QR code carries."""
        user, scene = _named(body), str(body.get("scene") or "")
        if body["channel"] == MP:
            await (self._p.mp.scan(user, scene) if scene else self._p.mp.follow(user))
        elif body["channel"] == KF:
            await self._p.kf.enter(user, f"https://work.weixin.qq.com/kf/page?scene_param={scene}")
        elif body["channel"] == APP:
            await self._p.app.event(user, "enter_agent", EventKey="")
        elif body["channel"] == BOT:
            await self._p.bot.enter(user)
        else:
            raise ValueError("这里没有“进入”")

    async def _callback(self, body: Body) -> None:
        """Enter an address on the admin's page; it must answer the check."""
        account = getattr(self._p, CALLBACKS[str(body["channel"])])
        before, account.callback = account.callback, str(body["url"]).strip()
        if account.callback and not await account.verify():
            account.callback = before
            raise ValueError("回调地址验证失败：没有在规定时间内原样返回")

    async def _fault(self, body: Body) -> None:
        kind = str(body["kind"])
        if kind == "down":
            await self._p.down()
        elif kind == "up":
            self._p.up()
            self._p.faults.clear()
        elif kind == "revoke":
            self._p.tokens.revoke()
        elif kind == "untrusted":
            self._p.faults.untrusted = True
        elif kind == "freeze":
            self._p.bot.freeze()
        elif kind == "cut":
            await self._p.bot.cut()
        elif kind == "again" and self._p.pushes:
            await self._p.again(self._p.pushes[-1])

    def _account(self, body: Body) -> Any:
        if (account := CALLBACKS.get(str(body["channel"]))) is None:
            raise ValueError("这里只能看，不能写")
        return getattr(self._p, account)

    def _bubble(self, number: Any) -> Bubble:
        return self._p.world.bubbles[int(number)]


def _named(body: Body) -> str:
    user = str(body.get("user") or "").strip()
    if not user:
        raise ValueError("先选一个人")
    return user


def _runs(calls: Iterable[tuple[str, int | None]]) -> list[Body]:
    """The latest first; the same one again and again is one line, or a puller would push out all others."""
    runs = [{"name": name, "code": code, "times": len(list(run))} for (name, code), run in groupby(calls)]
    return runs[-20:][::-1]


def _next(order: Order) -> list[int]:
    """The steps that may follow; nothing follows the end."""
    return [] if order.steps[-1]["process_type"] in ENDS else [kind for kind in STEPS if kind != ACCEPTED]


def _order(code: str, order: Order) -> Body:
    told = order.body
    return {
        "id": code, "by": told["reporter_name"], "text": told["desc"] or "[图片]", "pictures": len(told["image_urls"]),
        "where": told["location"]["name"], "grid": told["grid_id"],
        "steps": [[STEPS[step["process_type"]], step["solve_userid"], step["process_desc"]] for step in order.steps],
        "next": [[kind, STEPS[kind]] for kind in _next(order)],
    }  # fmt: skip


def _menu(menu: Body) -> Body:
    """many: more than one may be chosen, as only a checkbox allows. chosen: before she chooses herself."""
    options = menu["option_list"]
    return {
        "key": menu["question_key"], "title": menu.get("title", ""), "many": menu.get("mode") == 1,
        "options": [[option["id"], option["text"]] for option in options],
        "chosen": [one["id"] for one in options if one.get("is_checked") or one["id"] == menu.get("selected_id")],
    }  # fmt: skip


def _face(card: Body) -> Body:
    title, quote = card.get("main_title") or {}, card.get("quote_area") or {}
    return {
        "title": title.get("title", ""), "desc": title.get("desc", ""), "sub": card.get("sub_title_text", ""),
        "quote": quote.get("quote_text", ""), "disabled": bool(card.get("disabled")),
        "rows": [[row.get("keyname", ""), row.get("value", "")] for row in card.get("horizontal_content_list", [])],
        "buttons": [] if card.get("disabled") else [[key, words] for key, words in keys_of(card).items()],
        "faded": [button["text"] for button in card.get("button_list", []) if card.get("disabled")][:1],
        "menus": [] if card.get("disabled") else [_menu(menu) for menu in menus_of(card)],
        "url": (card.get("card_action") or {}).get("url", ""),
    }  # fmt: skip
