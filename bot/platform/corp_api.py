"""What a self-built app may call for messages. Sources: 企业微信 90236, 94888, 94867, 90245, 90248.

Where the pages are silent: a message to nobody that exists is 81013; one over the rate of a member is dropped without a
word, as they say; an interactive card without a callback address is 40058.
"""

import json
import secrets
from collections import Counter
from datetime import date, datetime, timedelta

from bot.platform.api import WECOM, Api
from bot.platform.cards import NOTICES, check_card, words_of
from bot.platform.clock import CHINA
from bot.platform.codes import PlatformError, fine, mapping, need
from bot.platform.corp_app import AGENT, CorpApp
from bot.platform.limits import Rate
from bot.platform.world import Body, Bubble

TEXT_BYTES = 2048
TIMES_A_SEAT = 200  # 90236: 账号上限×200 人次 a day, all members of a message counted
RECALL = timedelta(hours=24)
FILES = {"image", "voice", "video", "file"}


def shown(app: CorpApp, kind: str, inner: Body) -> str:
    """The words of a message as it is on the screen. Raises PlatformError."""
    if kind in ("text", "markdown"):
        content = str(inner.get("content") or "")
        need(content, 44004)
        # 「超过将截断」
        return content.encode()[:TEXT_BYTES].decode(errors="ignore")
    if kind == "textcard":
        title, text = str(inner.get("title") or ""), str(inner.get("description") or "")
        need(title and text and inner.get("url"), 40058, "textcard")
        return f"{title.encode()[:128].decode(errors='ignore')}\n{text.encode()[:512].decode(errors='ignore')}"
    if kind == "template_card":
        need(app.callback or inner.get("card_type") in NOTICES, 40058, "no callback address")
        return words_of(check_card(inner))
    if kind == "news":
        return "\n".join(str(article["title"]) for article in inner["articles"])
    need(kind in FILES, 40008, kind)
    return f"[{app.media.get(str(inner.get('media_id', ''))).name}]"


class CorpApi:
    """Registers `message/*` of one app."""

    def __init__(self, app: CorpApp, api: Api) -> None:
        self._app = app
        self._sent: dict[str, tuple[list[Bubble], datetime]] = {}
        self._seen: dict[str, datetime] = {}
        self._rates = Rate(30, timedelta(minutes=1)), Rate(1000, timedelta(hours=1))
        self.dropped = 0
        self.seats = 1000  # 账号上限 of the corporation
        self._today: Counter[date] = Counter()
        api.post(f"{WECOM}:app", "message/send", self._send)
        api.post(f"{WECOM}:app", "message/update_template_card", self._update)
        api.post(f"{WECOM}:app", "message/recall", self._recall)
        self.closed = False  # the app is switched off
        api.get(f"{WECOM}:app", "agent/get", self._agent)

    def _agent(self, query: Body) -> Body:
        need(query.get("agentid") == str(AGENT), 40056)
        return fine(agentid=AGENT, name="邻声", close=int(self.closed))

    def _send(self, body: Body) -> Body:
        need(body.get("agentid") == AGENT, 40056)
        kind = str(body.get("msgtype"))
        text = shown(self._app, kind, mapping(body.get(kind), 40008, kind))
        asked = [user for user in str(body.get("touser") or "").split("|") if user]
        need(len(asked) <= 1000, 40058, "touser takes 1000")
        users = [user for user in asked if user not in self._app.strangers]
        invalid = "|".join(user.lower() for user in asked if user in self._app.strangers)
        need(users, 81013)
        self._spend(len(users))
        message, copies = secrets.token_urlsafe(32), list[Bubble]()
        for user in users:
            if self._takes(user, body):
                copies.append(self._app.post(user, kind, text, body, message=message))
        self._sent[message] = (copies, self._app.clock())
        more = {"invaliduser": invalid, "invalidparty": "", "invalidtag": "", "unlicenseduser": "", "msgid": message}
        if kind == "template_card" and body["template_card"]["card_type"] not in NOTICES:
            more["response_code"] = self._app.new_code(copies)
        return fine(**more)

    def _spend(self, times: int) -> None:
        """So many person-times of this day. Raises PlatformError 45009, which is assumed: the page names no code."""
        day = self._app.clock().astimezone(CHINA).date()
        need(self._today[day] + times <= self.seats * TIMES_A_SEAT, 45009, "person-times a day")
        self._today[day] += times

    def _takes(self, user: str, body: Body) -> bool:
        now = self._app.clock()
        if body.get("enable_duplicate_check"):
            same = f"{user} {json.dumps({k: v for k, v in body.items() if k != 'touser'}, sort_keys=True)}"
            until = self._seen.get(same)
            self._seen[same] = now + timedelta(seconds=int(body.get("duplicate_check_interval", 1800)))
            if until is not None and now < until:
                return False
        if all(rate.allows(user, now) for rate in self._rates):
            return True
        self.dropped += 1
        return False

    def _update(self, body: Body) -> Body:
        need(body.get("agentid") == AGENT, 40056)
        asked = [str(user) for user in body.get("userids") or []]
        card = body.get("template_card")
        words = "" if card else str(mapping(body.get("button"), 40058, "button").get("replace_name") or "")
        need(card or words, 40058, "replace_name")
        copies = self._app.use_code(str(body.get("response_code") or ""))
        known = {copy.chat for copy in copies}
        for copy in copies:
            if not (body.get("atall") or copy.chat in asked):
                continue
            if card:
                self._app.replace(copy, card)
            else:
                self._app.disable(copy, words)
        return fine(invaliduser=[user for user in asked if user not in known])

    def _recall(self, body: Body) -> Body:
        found = self._sent.get(str(body.get("msgid") or ""))
        if found is None:
            raise PlatformError(40058, "msgid")
        copies, at = found
        need(self._app.clock() - at < RECALL, 301085)
        for copy in copies:
            copy.recalled = True
        return fine()
