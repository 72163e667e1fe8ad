"""What a 公众号 may call. Sources: 客服接口-发消息, 模板消息, 订阅通知 (bizsend), 生成带参数的二维码, 自定义菜单."""

import itertools
from typing import Any
from urllib.parse import quote

from bot.platform.api import WECHAT, Api
from bot.platform.clock import beginning
from bot.platform.codes import fine, mapping, need, number
from bot.platform.crypto import random_word
from bot.platform.official import OfficialAccount
from bot.platform.world import Body

TEXT_BYTES = 2048
SCENE_CHARACTERS = 64
# What a field of a template holds at most, in characters. Source: 订阅消息参数值内容限制.
FIELD_CHARACTERS = {"thing": 20, "character_string": 32, "phrase": 5, "name": 10, "phone_number": 17, "const": 20}


class OfficialApi:
    """Registers the calls of one account."""

    def __init__(self, account: OfficialAccount, api: Api) -> None:
        self._account = account
        self._once: dict[str, int] = {}
        self._messages = itertools.count(beginning(account.clock))  # never one of an earlier run
        api.post(WECHAT, "message/custom/send", self._custom)
        api.post(WECHAT, "message/template/send", self._template)
        api.post(WECHAT, "message/subscribe/bizsend", self._bizsend)
        api.post(WECHAT, "qrcode/create", self._qrcode)
        api.post(WECHAT, "menu/create", self._menu)
        api.get(WECHAT, "menu/get", lambda _: {"menu": account.menu or {"button": []}})
        api.get(WECHAT, "menu/delete", self._no_menu)

    def _user(self, body: Body) -> str:
        user = str(body.get("touser") or "")
        need(user in self._account.followers, 40003)
        need(user not in self._account.blocking, 48002, "the user refuses messages of this account")
        return user

    def _custom(self, body: Body) -> Body:
        user, kind = self._user(body), str(body.get("msgtype"))
        text = self._words(kind, mapping(body.get(kind), 40008, kind))
        now = self._account.clock()
        if self._account.short.left(user, now):
            self._account.short.spend(user, now)
        else:
            self._account.window.spend(user, now)
        self._account.post(user, kind, text, body)
        return fine()

    def _words(self, kind: str, inner: Body) -> str:
        if kind == "text":
            content = str(inner.get("content") or "")
            need(content, 44004)
            need(len(content.encode()) <= TEXT_BYTES, 45002)
            return content
        if kind == "msgmenu":
            items = inner.get("list") or []
            need(items and all(item.get("id") and item.get("content") for item in items), 47001, "list")
            lines = [inner.get("head_content", ""), *(f"· {item['content']}" for item in items)]
            return "\n".join(filter(None, [*lines, inner.get("tail_content", "")]))
        need(kind in ("image", "voice", "video"), 40008, kind)
        return f"[{self._account.media.get(str(inner.get('media_id', ''))).name}]"

    def _template(self, body: Body) -> Body:
        user = self._user(body)
        text = self._fields(body)
        client = str(body.get("client_msg_id") or "")
        if client and client in self._once:  # assumed: the first answer again, and nothing on the screen
            return fine(msgid=self._once[client])
        message = self._shown(user, "template", text, body)
        if client:
            self._once[client] = message
        self._account.report_job(user, message)
        return fine(msgid=message)

    def _bizsend(self, body: Body) -> Body:
        user, template = self._user(body), str(body.get("template_id"))
        text = self._fields(body)
        left = self._account.agreed.get((user, template), 0)
        need(left > 0, 43101)
        self._account.agreed[user, template] = left - 1
        # No page says that the answer has an id: the event alone tells it.
        self._account.report_subscription(user, self._shown(user, "subscribe", text, body), template)
        return fine()

    def _shown(self, user: str, kind: str, text: str, body: Body) -> int:
        """A notice on her screen, unless it does not reach her; returns its id."""
        message = next(self._messages)
        if user not in self._account.undelivered:
            self._account.post(user, kind, text, body).key = str(message)
        return message

    def _fields(self, body: Body) -> str:
        title = self._account.templates.get(str(body.get("template_id")))
        need(title is not None, 40037)
        lines = [str(title)]
        for name, given in mapping(body.get("data"), 47003, "data").items():
            value = str(mapping(given, 47003, name).get("value", ""))
            limit = FIELD_CHARACTERS.get(name.rstrip("0123456789"))
            need(limit is None or 0 < len(value) <= limit, 47003, f"data.{name}.value")
            lines.append(value)
        return "\n".join(lines)

    def _qrcode(self, body: Body) -> Body:
        kind = str(body.get("action_name"))
        need(kind in ("QR_SCENE", "QR_STR_SCENE", "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"), 47001, "action_name")
        scene = mapping(mapping(body.get("action_info"), 47001, "action_info").get("scene"), 47001, "scene")
        given = scene.get("scene_str") if "STR" in kind else number(scene.get("scene_id"), "scene_id")
        need(given and len(str(given)) <= SCENE_CHARACTERS, 47001, "scene")
        ticket = random_word(72)
        self._account.tickets[ticket] = str(given)
        answer: dict[str, Any] = {"ticket": ticket, "url": f"http://weixin.qq.com/q/{quote(ticket[:16])}"}
        if "LIMIT" not in kind:
            answer["expire_seconds"] = min(number(body.get("expire_seconds", 60), "expire_seconds"), 2_592_000)
            self._account.lives[ticket] = answer["expire_seconds"]
        return answer

    def _menu(self, body: Body) -> Body:
        buttons = body.get("button")
        need(isinstance(buttons, list) and 1 <= len(buttons) <= 3, 47001, "button takes 1 to 3")
        for button in body["button"]:
            button.setdefault("sub_button", [])
            need(len(button["sub_button"]) <= 5, 47001, "sub_button takes 5")
            for item in button["sub_button"] or [button]:
                need(item.get("name") and item.get("type") in ("click", "view"), 47001, "name, type")
                need(item.get("key" if item["type"] == "click" else "url"), 47001, "key or url")
        self._account.menu = body
        return fine()

    def _no_menu(self, _body: Body) -> Body:
        self._account.menu = None
        return fine()
