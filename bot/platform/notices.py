"""Customer groups (客户群), and the tasks by which their owners are asked to post a text there. Source: 企业微信 92135.

An owner sees the task in her own chat, and confirms it by hand; only then the group sees the text. Where the page is
silent: a group that had its notice of the day, that nobody knows or that is somebody else's stands in `fail_list`, and
the call is fine all the same; a day is one of China's.
"""

import secrets
from collections import Counter

from bot.platform.api import WECOM, Api
from bot.platform.archive import CHANNEL, ChatArchive
from bot.platform.cards import pressed
from bot.platform.clock import CHINA
from bot.platform.codes import fine, mapping, need
from bot.platform.shared import Shared
from bot.platform.world import Body, Bubble

TEXT_BYTES = 4_000
ATTACHMENTS = 9
CONFIRM = "confirm"


class GroupNotices:
    """Registers `externalcontact/add_msg_template`. secret: of the app that may use 客户联系. chat, owner: of the group
    that is there from the beginning. a_day: tasks that a group may get."""

    def __init__(self, shared: Shared, api: Api, archive: ChatArchive) -> None:
        self.secret = shared.names.word("contact.secret", 43)
        self.owner = "guyi"
        self.a_day = 1
        self._shared = shared
        self._archive = archive
        self._owners: dict[str, str] = {}
        self._made: Counter[tuple[str, str]] = Counter()
        self._asked: dict[str, tuple[str, str]] = {}
        self.chat = self.group("邻里群", self.owner, chat=f"wr{shared.names.word('contact.chat', 20)}")
        api.post(f"{WECOM}:contact", "externalcontact/add_msg_template", self._add)

    def group(self, name: str, owner: str, *members: str, chat: str = "") -> str:
        """A group of residents; returns its id. owner: a member of the corporation. Without members everybody looks."""
        people = [owner, *members] if members else []
        made = self._shared.world.group(CHANNEL, name, people, chat)
        self._owners[made.id] = owner
        return made.id

    def confirm(self, card: Bubble, user: str, key: str) -> None:
        """The owner confirms: her group sees the text. Raises ValueError for what she cannot press."""
        face = card.card_for(user)
        if face is None or card.chat != user or face.get("disabled"):
            raise ValueError("这张卡片不能再按了")
        pressed(face, key, {})
        chat, content = self._asked.pop(card.key)
        card.update(face | {"disabled": True})
        self._archive.say(chat, user, content)

    def _add(self, body: Body) -> Body:
        need(body.get("chat_type") == "group", 40058, "chat_type")
        sender, asked = str(body.get("sender") or ""), body.get("chat_id_list") or []
        need(sender, 40058, "sender")
        need(asked, 40058, "chat_id_list")
        text, more = mapping(body.get("text"), 40058, "text"), body.get("attachments") or []
        content = str(text.get("content") or "")
        need(content or more, 44004)
        need(len(content.encode()) <= TEXT_BYTES, 45002)
        need(len(more) <= ATTACHMENTS, 40058, "attachments")
        failed = [chat for chat in map(str, asked) if not self._takes(chat, sender)]
        for chat in map(str, asked):
            if chat not in failed:
                self._ask(chat, sender, content, body)
        return fine(fail_list=failed, msgid=secrets.token_urlsafe(24))

    def _takes(self, chat: str, sender: str) -> bool:
        """Count one more for this day, unless that would be too many."""
        day = self._shared.clock().astimezone(CHINA).date().isoformat()
        if self._owners.get(chat) != sender or self._made[chat, day] >= self.a_day:
            return False
        self._made[chat, day] += 1
        return True

    def _ask(self, chat: str, sender: str, content: str, body: Body) -> None:
        made, shown = secrets.token_urlsafe(12), f"群发任务：{content}"
        bubble = Bubble(
            made, self._shared.clock(), CHANNEL, sender, kind="template_card", text=shown, body=body, key=made
        )
        bubble.card = {
            "card_type": "button_interaction",
            "main_title": {"title": "群发任务", "desc": f"发到“{self._shared.world.groups[chat].name}”，请确认"},
            "quote_area": {"quote_text": content},
            "button_list": [{"text": "确认发送", "key": CONFIRM}],
        }
        self._asked[bubble.key] = chat, content
        self._shared.world.show(bubble)
