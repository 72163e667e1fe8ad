"""Our messages as the platforms' texts: cut by bytes, cards as lines, and nobody's words as anything but words.

Sizes: WeCom 90236 (text 2048 B), 91770 (robot markdown 4096 B), 101031 (bot markdown 20480 B); bytes are UTF-8.
"""

import re

from bot.channels.base import cut
from handlers.masking import masked, visible
from handlers.texts import say, word
from models.message import Card, Outgoing

TEXT_BYTES, ROBOT_BYTES, BOT_BYTES = 2_048, 4_096, 20_480
ENDS = ("\n", "。！？!?；;…", "，,、 ")  # where a text may be parted, best first
WORDS_BYTES = 2_400  # of a resident's words on a card, so that the link below them is never cut away
PARTS = 3

_TAG = re.compile(r"<(?=[A-Za-z/@!])")
_MARKDOWN = str.maketrans("<>[]`*_\\", "＜＞［］｀＊＿＼")
_HEADING = re.compile(r"^(\s*)#", re.MULTILINE)
# Behind @all may stand a Chinese letter, which for a regular expression belongs to the same word.
_MENTION = re.compile(r"@(?=(?:all|everyone)(?![A-Za-z0-9])|所有人|全体)", re.IGNORECASE)


def harmless(text: str) -> str:
    """For plain text: WeChat makes links of `<a href>`, WeCom mentions of `<@user>` and `@all`; words become neither.
    Marks that nobody sees are gone, with which a link can be dressed up."""
    return _MENTION.sub("＠", _TAG.sub("＜", visible(text)))


def escape(text: str) -> str:
    """For markdown: whatever it holds is shown as it was written. No platform page promises that a backslash protects,
    so the marks become their full-width twins."""
    return _HEADING.sub(r"\1＃", harmless(text).translate(_MARKDOWN))


def text(out: Outgoing, max_bytes: int = TEXT_BYTES, *, most: int = PARTS, group: bool = False) -> list[str]:
    """The message as plain texts, at most `most`: a card becomes lines, its buttons words to type. group: mask."""
    return split(plain(discreet(out) if group else out), max_bytes, most)


def markdown(out: Outgoing, max_bytes: int = BOT_BYTES, *, most: int = 1, group: bool = False) -> list[str]:
    """The message as markdown, in at most `most` parts: our own marks around escaped words. group: mask."""
    out = discreet(out) if group else out
    lines = []
    if out.text and (out.card is None or out.text != out.card.title):
        lines.append(escape(out.text))
    if out.card is not None:
        lines += _marked(out.card, out.ticket)
    return split("\n".join(filter(None, lines)), max_bytes, most)


def discreet(out: Outgoing) -> Outgoing:
    """The message as a group may have it, also as a platform's card: numbers of people masked. Keys and the link are
    ours, and stay."""
    card = out.card
    if card is not None:
        facts = tuple((masked(name), masked(value)) for name, value in card.facts)
        card = card.model_copy(update={"title": masked(card.title), "facts": facts, "words": masked(card.words)})
    return out.model_copy(update={"text": masked(out.text), "card": card})


def _marked(card: Card, ticket: int | None) -> list[str]:
    lines = [f"**{escape(card.title)}**"]
    lines += [f"{escape(name)}：{escape(value)}" for name, value in card.facts]
    words = escape(cut(card.words, WORDS_BYTES)).strip()
    lines += [f"> {line}" for line in words.splitlines() if line]
    lines.append(typed(card, ticket))
    lines.append(f"[{word('open_task')}]({card.link})" if _safe(card.link) else "")
    return lines


def _safe(link: str) -> bool:
    """Our own address, as it is made; nothing in it can end the mark around it."""
    return re.fullmatch(r"https?://[^\s()<>\[\]\"']+", link) is not None


def typed(card: Card, ticket: int | None) -> str:
    """A card's buttons as words to type, with the ticket's number behind them; "" without buttons."""
    number = "" if ticket is None else f" {ticket}"
    if not card.buttons:
        return ""
    return say("card_typed", options="、".join(f"“{button.text}{number}”" for button in card.buttons))


def plain(out: Outgoing) -> str:
    """The message as one text, however long: a card becomes lines, its buttons words to type."""
    lines = []
    card = out.card
    if out.text and (card is None or out.text != card.title):
        lines.append(out.text)
    if card is not None:
        lines.append(card.title)
        lines += [f"{name}：{value}" for name, value in card.facts]
        lines.append(cut(card.words, WORDS_BYTES))
        lines.append(typed(card, out.ticket))
        lines.append(card.link)
    return harmless("\n".join(filter(None, lines)))


def split(words: str, max_bytes: int, most: int) -> list[str]:
    """`words` in at most `most` parts of `max_bytes` UTF-8 bytes, parted at lines or sentences where it can be.

    What does not fit into the last part is cut away, with an ellipsis. No part is empty.
    """
    parts: list[str] = []
    rest = words.strip()
    while rest and len(parts) < most - 1 and len(rest.encode()) > max_bytes:
        part, rest = _parted(rest, max_bytes)
        parts.append(part)
    if rest:
        parts.append(cut(rest, max_bytes))
    return parts


def rest(out: Outgoing, max_bytes: int) -> Outgoing:
    """What is still to be said of a message behind the parts of it that have left, of `max_bytes` each: words alone,
    and none where everything has left."""
    if not out.parts:
        return out
    words = plain(out).strip()
    for _ in range(out.parts):
        words = _parted(words, max_bytes)[1] if len(words.encode()) > max_bytes else ""
    return out.model_copy(update={"text": words, "card": None, "parts": 0})


def _parted(words: str, max_bytes: int) -> tuple[str, str]:
    """The next part, and what is behind it: the same wherever the last part will end."""
    end = _seam(words.encode()[:max_bytes].decode(errors="ignore"))
    return words[:end].rstrip(), words[end:].lstrip()


def _seam(head: str) -> int:
    """Behind the last good place to part in the second half of `head`, else its end."""
    for marks in ENDS:
        best = max(head.rfind(mark) for mark in marks) + 1
        if best > len(head) // 2:
            return best
    return len(head)
