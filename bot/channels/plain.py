"""Cards and long texts for platforms that take only short plain text."""

import re

from bot.channels.base import cut
from handlers.texts import say
from models.message import Outgoing

ENDS = ("\n", "。！？!?；;…", "，,、 ")  # where a text may be parted, best first
WORDS_BYTES = 2_400  # of a resident's words on a card, so that the link below them is never cut away

_TAG = re.compile(r"<(?=[A-Za-z/])")


def harmless(text: str) -> str:
    """WeChat makes links of `<a href>` in a text: a resident's words must not become one."""
    return _TAG.sub("＜", text)


def plain(out: Outgoing) -> str:
    """The message as text: a card becomes lines, its buttons words to type, with the ticket's number behind them."""
    lines = []
    card = out.card
    if out.text and (card is None or out.text != card.title):
        lines.append(out.text)
    if card is not None:
        lines.append(card.title)
        lines += [f"{name}：{value}" for name, value in card.facts]
        lines.append(cut(card.words, WORDS_BYTES))
        number = "" if out.ticket is None else f" {out.ticket}"
        if card.buttons:
            lines.append(say("card_typed", options="、".join(f"“{button.text}{number}”" for button in card.buttons)))
        lines.append(card.link)
    return harmless("\n".join(filter(None, lines)))


def split(text: str, max_bytes: int, most: int) -> list[str]:
    """`text` in at most `most` parts of `max_bytes` UTF-8 bytes, parted at lines or sentences where it can be.

    What does not fit into the last part is cut away, with an ellipsis. No part is empty.
    """
    parts: list[str] = []
    rest = text.strip()
    while rest and len(parts) < most - 1 and len(rest.encode()) > max_bytes:
        head = rest.encode()[:max_bytes].decode(errors="ignore")
        end = _seam(head)
        parts.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest:
        parts.append(cut(rest, max_bytes))
    return parts


def _seam(head: str) -> int:
    """Behind the last good place to part in the second half of `head`, else its end."""
    for marks in ENDS:
        best = max(head.rfind(mark) for mark in marks) + 1
        if best > len(head) // 2:
            return best
    return len(head)
