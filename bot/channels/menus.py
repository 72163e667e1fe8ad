"""Menus to press in a chat (msgmenu): a task card's buttons, and a rating. 微信客服 and 公众号 both have them; each
shapes them as its platform takes them.

Source: 企业微信 94677 发送消息, 公众号 客服接口-发消息. What a menu's head takes no page says for certain: the safe
side is half of a text.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.render import plain, split
from handlers.texts import word
from models.message import Kind, Outgoing, Purpose
from models.ticket import Status, Supporter, Ticket

HEAD_BYTES = 1_024
ITEM_BYTES = 128
RATINGS = (("good", "rate_good"), ("bad", "rate_bad"))

_ACTION = re.compile(r"[a-z_]{1,20}:\d{1,15}")  # a button of ours, as the id of an item
_RATING = re.compile(r"(LS[0-9a-f]{26})-[a-z]{1,10}")  # an answer to one of our messages, which it names


@dataclass(frozen=True)
class Menu:
    """items: (id, words). link: of a task card, to its page; "" for none."""

    head: str
    items: tuple[tuple[str, str], ...]
    link: str = ""


def menu(out: Outgoing, msgid: str, *, rating: bool) -> Menu | None:
    """What can be pressed below a message; None for one that goes as text. msgid: what an answer to it names. rating:
    with 满意 and 不满意."""
    card = out.card
    if card is not None and card.buttons:
        bare = out.model_copy(update={"card": card.model_copy(update={"buttons": (), "link": ""})})
        (head,) = split(plain(bare), HEAD_BYTES, 1)
        return Menu(head, tuple((button.action, _label(button.text)) for button in card.buttons), card.link)
    words = plain(out)
    if rating and len(words.encode()) <= HEAD_BYTES:
        return Menu(words, tuple((f"{msgid}-{name}", _label(word(label))) for name, label in RATINGS))
    return None


def _label(text: str) -> str:
    return split(text, ITEM_BYTES, 1)[0]


def pressed(text: str, item: str) -> dict[str, Any]:
    """Words of hers as fields of an `Incoming`. item: the id of what she pressed, "" where she typed. An id proves
    nothing: one that is not of our form counts as none, and the handlers check whose ticket it is."""
    if _ACTION.fullmatch(item):
        return {"kind": Kind.CARD, "action": item}
    if (rated := _RATING.fullmatch(item)) is not None:
        return {"text": text, "quote": rated[1]}
    return {"text": text}


def msgid(client_id: str) -> str:
    """Ours for a message: the same at every try, at most 32 of [0-9a-zA-Z_-] with a part's number behind it."""
    return f"LS{hashlib.sha256(client_id.encode()).hexdigest()[:26]}"


def to_rate(session: Session, out: Outgoing) -> bool:
    """It speaks of a matter of hers that waits for her rating."""
    if out.ticket is None or out.card is not None or out.purpose != Purpose.REPLY:
        return False
    ticket = session.get(Ticket, out.ticket)
    if ticket is None or ticket.status != Status.RESOLVED:
        return False
    hers = sa.select(col(Supporter.id)).where(
        col(Supporter.ticket) == ticket.id, col(Supporter.channel) == out.channel, col(Supporter.sender) == out.chat
    )
    return session.scalars(hers.limit(1)).first() is not None
