"""What a 微信客服 app may call. Sources: the kf pages on sync_msg, send_msg, send_msg_on_event, service_state and
add_contact_way.

Assumed, where the pages are silent: a msgid that was used already is answered as the first time, and shown once (see
`repeat_code`); without a token sync_msg takes 5 calls a minute.
"""

import re
import secrets
from datetime import timedelta

from bot.platform.api import WECOM, Api
from bot.platform.codes import PlatformError, fine, mapping, need, number
from bot.platform.kf import ASSISTANT, CHANNEL, HUMAN, UNTREATED, CustomerService
from bot.platform.limits import Rate
from bot.platform.world import Body, Bubble

TEXT_BYTES = 2048
MESSAGE_ID = re.compile(r"[0-9a-zA-Z_\-]{1,32}")
CURSOR = re.compile(r"c\d{1,12}-\d{1,9}")
PAGE = 1000


class KfApi:
    """Registers `kf/*`. empty_pages: so many answers are first empty with has_more=1, which is legal. repeat_code: by
    which a msgid that was used already is refused, as no page says; None answers as if it were sent."""

    def __init__(self, account: CustomerService, api: Api) -> None:
        """account: any of the application's; a call says which one it is about."""
        self.empty_pages = 0
        self.repeat_code: int | None = None
        self.managed = True  # whether this Secret may answer for the account
        self._accounts = account.accounts
        self._used: set[str] = set()
        self._bare = Rate(5, timedelta(minutes=1))
        for path, endpoint in (
            ("sync_msg", self._sync),
            ("send_msg", self._send),
            ("send_msg_on_event", self._on_event),
            ("service_state/get", self._state),
            ("service_state/trans", self._trans),
            ("add_contact_way", self._contact),
            ("account/list", self._list),
        ):
            api.post(f"{WECOM}:kf", f"kf/{path}", endpoint)

    def _of(self, body: Body) -> CustomerService:
        """The account that a call is about. Raises PlatformError."""
        found = next((one for one in self._accounts if one.open_kfid == body.get("open_kfid")), None)
        if found is None:
            raise PlatformError(95000)
        return found

    def _sync(self, body: Body) -> Body:
        account = self._of(body)
        limit = min(number(body.get("limit", PAGE), "limit"), PAGE)
        now = account.clock()
        if token := body.get("token"):
            until = account.tokens.get(str(token))
            need(until is not None and now < until, 95007)
        else:
            self._bare.take("", now)
        cursor = str(body.get("cursor") or f"c{account.run}-0")
        need(CURSOR.fullmatch(cursor), 40058, "cursor")
        run, _, place = cursor[1:].partition("-")
        begin = int(place) if int(run) == account.run else 0
        if self.empty_pages:
            self.empty_pages -= 1
            return fine(next_cursor=cursor, has_more=1, msg_list=[])
        page = account.messages[begin : begin + limit]
        end = begin + len(page)
        return fine(next_cursor=f"c{account.run}-{end}", has_more=int(end < len(account.messages)), msg_list=page)

    def _send(self, body: Body) -> Body:
        account = self._of(body)
        user = str(body.get("touser") or "")
        need(user, 40096)
        kind = str(body.get("msgtype"))
        text = self._words(kind, mapping(body.get(kind), 40008, kind))
        message = self._id(body)
        if message in self._used:
            return fine(msgid=message)
        state, _ = account.states.get(user, (UNTREATED, ""))
        need(state in (UNTREATED, ASSISTANT), 95018)
        account.window.spend(user, account.clock())
        return self._post(account, user, kind, text, body, message)

    def _on_event(self, body: Body) -> Body:
        kind = str(body.get("msgtype"))
        need(kind in ("text", "msgmenu"), 40008, kind)
        text = self._words(kind, mapping(body.get(kind), 40008, kind))
        message = self._id(body)
        if message in self._used:
            return fine(msgid=message)
        code = str(body.get("code") or "")
        account = next((one for one in self._accounts if one.greets(code)), self._accounts[0])
        return self._post(account, account.welcome_to(code), kind, text, body, message)

    def _id(self, body: Body) -> str:
        message = str(body.get("msgid") or secrets.token_hex(16))
        need(MESSAGE_ID.fullmatch(message), 40058, "msgid")
        if message in self._used and self.repeat_code is not None:
            raise PlatformError(self.repeat_code)
        return message

    def _post(self, account: CustomerService, user: str, kind: str, text: str, body: Body, message: str) -> Body:
        self._used.add(message)
        account.world.show(Bubble(message, account.clock(), CHANNEL, user, kind=kind, text=text, body=body))
        return fine(msgid=message)

    def _words(self, kind: str, inner: Body) -> str:
        if kind == "text":
            content = str(inner.get("content") or "")
            need(content, 44004)
            need(len(content.encode()) <= TEXT_BYTES, 45002)
            return content
        if kind == "msgmenu":
            items = inner.get("list") or []
            need(items, 40058, "list")
            lines = [str(inner.get("head_content") or "")]
            for item in items:
                inside = mapping(item.get(item.get("type")), 40058, "list")
                need(item["type"] != "click" or inside.get("id"), 40058, "click.id")
                lines.append(f"· {inside.get('content', '')}")
            return "\n".join([*lines, str(inner.get("tail_content") or "")]).strip()
        if kind == "location":
            return f"[位置]{inner['name']}"
        need(kind in ("image", "voice", "video", "file"), 40008, kind)
        return f"[{self._accounts[0].media.get(str(inner.get('media_id', ''))).name}]"

    def _state(self, body: Body) -> Body:
        state, servicer = self._of(body).states.get(self._customer(body), (UNTREATED, ""))
        return fine(service_state=state, servicer_userid=servicer)

    def _trans(self, body: Body) -> Body:
        user, state = self._customer(body), number(body.get("service_state"), "service_state")
        servicer = str(body.get("servicer_userid") or "")
        need(0 <= state <= 4 and (state != HUMAN or servicer), 40058, "service_state")
        self._of(body).states[user] = (state, servicer if state == HUMAN else "")
        return fine(msg_code=secrets.token_hex(16))

    def _contact(self, body: Body) -> Body:
        account = self._of(body)
        url = f"https://work.weixin.qq.com/kf/kfc{secrets.token_hex(8)}"
        account.links[url] = str(body.get("scene") or "")
        return fine(url=url)

    def _list(self, body: Body) -> Body:
        more = {"name": "客服", "avatar": "", "manage_privilege": self.managed}
        rows = [{"open_kfid": account.open_kfid} | more for account in self._accounts]
        return fine(account_list=rows[number(body.get("offset", 0), "offset") :])

    def _customer(self, body: Body) -> str:
        user = str(body.get("external_userid") or "")
        if user not in self._of(body).states:
            raise PlatformError(40096)
        return user
