"""Messages as the platform takes them: texts, and menus (msgmenu) for a task card's buttons and for a rating.

Source: 企业微信 94677 发送消息. What a menu's head takes no page says for certain: the safe side is half of a text.
"""

from typing import Any

from bot.channels.render import TEXT_BYTES, plain, split, text
from handlers.texts import word
from models.message import Outgoing

HEAD_BYTES = 1_024
ITEM_BYTES = 128
RATINGS = (("good", "rate_good"), ("bad", "rate_bad"))

Part = dict[str, Any]  # msgtype, and what stands below it


def parts(out: Outgoing, msgid: str, *, rating: bool, most: int) -> list[Part]:
    """A message in at most `most` parts. msgid: what an answer to it names. rating: with 满意 and 不满意 to press."""
    if out.card is not None and out.card.buttons:
        return [_card(out)]
    words = plain(out)
    if rating and len(words.encode()) <= HEAD_BYTES:
        return [_menu(words, [(f"{msgid}-{name}", word(label)) for name, label in RATINGS])]
    return [{"msgtype": "text", "text": {"content": part}} for part in text(out, TEXT_BYTES, most=most)]


def _card(out: Outgoing) -> Part:
    card = out.card
    assert card is not None  # noqa: S101 - for the type checker
    bare = out.model_copy(update={"card": card.model_copy(update={"buttons": (), "link": ""})})
    (head,) = split(plain(bare), HEAD_BYTES, 1)
    made = _menu(head, [(button.action, button.text) for button in card.buttons])
    if card.link:
        made["msgmenu"]["list"].append({"type": "view", "view": {"url": card.link, "content": word("open_task")}})
    return made


def _menu(head: str, items: list[tuple[str, str]]) -> Part:
    shown = [
        {"type": "click", "click": {"id": name, "content": split(label, ITEM_BYTES, 1)[0]}} for name, label in items
    ]
    return {"msgtype": "msgmenu", "msgmenu": {"head_content": head, "list": shown}}
