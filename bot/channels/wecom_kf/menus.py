"""Messages as the platform takes them: texts, and menus (msgmenu). Source: 企业微信 94677 发送消息."""

from typing import Any

from bot.channels.menus import menu
from bot.channels.render import TEXT_BYTES, text
from handlers.texts import word
from models.message import Outgoing

Part = dict[str, Any]  # msgtype, and what stands below it


def parts(out: Outgoing, msgid: str, *, rating: bool, most: int) -> list[Part]:
    """A message in at most `most` parts. msgid, rating: see `bot.channels.menus.menu`."""
    made = menu(out, msgid, rating=rating)
    if made is None:
        return [{"msgtype": "text", "text": {"content": part}} for part in text(out, TEXT_BYTES, most=most)]
    items: list[Part] = [{"type": "click", "click": {"id": name, "content": label}} for name, label in made.items]
    if made.link:
        items.append({"type": "view", "view": {"url": made.link, "content": word("open_task")}})
    return [{"msgtype": "msgmenu", "msgmenu": {"head_content": made.head, "list": items}}]
