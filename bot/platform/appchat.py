"""Rooms that a self-built app makes (应用推送群). Sources: 企业微信 90244, 90245, 90247, 90248; codes: 90313.

Where the pages are silent, the strictest: a room keeps two members, and its owner leaves only where another is named.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import timedelta

from bot.platform.api import WECOM, Api
from bot.platform.codes import fine, mapping, need
from bot.platform.corp_api import shown
from bot.platform.corp_app import CHANNEL, CorpApp
from bot.platform.crypto import random_word
from bot.platform.limits import Rate
from bot.platform.world import Body, Bubble

CHAT_ID = re.compile(r"[0-9a-zA-Z]{1,32}")
KINDS = {"text", "markdown", "textcard", "image", "voice", "video", "file", "news"}


class AppChat:
    """Registers `appchat/*`. Only internal members may be in such a room."""

    def __init__(self, app: CorpApp, api: Api) -> None:
        self._app = app
        self._owners: dict[str, str] = {}
        self._day = Rate(1000, timedelta(days=1))
        self._rates = Rate(200, timedelta(minutes=1)), Rate(10_000, timedelta(days=1))  # of each member, all rooms
        api.post(f"{WECOM}:app", "appchat/create", self._create)
        api.post(f"{WECOM}:app", "appchat/update", self._update)
        api.get(f"{WECOM}:app", "appchat/get", self._get)
        api.post(f"{WECOM}:app", "appchat/send", self._send)

    def _create(self, body: Body) -> Body:
        members = self._members(body.get("userlist") or [])
        chat = str(body.get("chatid") or random_word(20))
        need(CHAT_ID.fullmatch(chat), 86001)
        need(chat not in self._owners, 86215)
        owner = str(body.get("owner") or members[0])
        need(owner in members, 60111, "owner")
        self._day.take("", self._app.clock())
        self._app.world.group(CHANNEL, str(body.get("name") or "群聊")[:50], members, chat)
        self._owners[chat] = owner
        return fine(chatid=chat)

    def _update(self, body: Body) -> Body:
        chat = self._known(body)
        group = self._app.world.groups[chat]
        gone = {user.lower() for user in body.get("del_user_list") or []}  # a userid is the same in either case
        stay = [user for user in group.members if user.lower() not in gone]
        known = {user.lower() for user in stay}
        members = self._members(
            [*stay, *(user for user in body.get("add_user_list") or [] if user.lower() not in known)]
        )
        owner = str(body.get("owner") or self._owners[chat])
        need(owner.lower() in {user.lower() for user in members}, 60111, "owner")
        group.name, group.members, self._owners[chat] = str(body.get("name") or group.name)[:50], members, owner
        return fine()

    def _get(self, body: Body) -> Body:
        chat = self._known(body)
        group = self._app.world.groups[chat]
        return fine(
            chat_info={"chatid": chat, "name": group.name, "owner": self._owners[chat], "userlist": group.members}
        )

    def _send(self, body: Body) -> Body:
        chat, kind = self._known(body), str(body.get("msgtype"))
        need(kind in KINDS, 40008, kind)
        text = shown(self._app, kind, mapping(body.get(kind), 40008, kind))
        now = self._app.clock()
        bubble = Bubble(secrets.token_urlsafe(24), now, CHANNEL, chat, kind=kind, text=text, body=body)
        members = self._app.world.groups[chat].members
        bubble.missed = [user for user in members if not all(rate.allows(user.lower(), now) for rate in self._rates)]
        self._app.world.show(bubble)
        return fine(msgid=bubble.id)

    def _members(self, given: Iterable[object]) -> list[str]:
        members = [str(user) for user in given]
        need(2 <= len(set(members)) <= 2000, 40058, "userlist takes 2 to 2000")
        need(not set(members) & self._app.strangers, 60111)
        return members

    def _known(self, body: Body) -> str:
        chat = str(body.get("chatid") or "")
        need(CHAT_ID.fullmatch(chat), 86001)
        need(chat in self._owners, 86003)
        return chat
