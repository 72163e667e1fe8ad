"""Our cards as WeCom's template cards (模板卡片), their clicks back, and the same as words.

Platform pages: 101032 模板卡片类型 (AI bot), 90236 发送应用消息 (app). A key is no secret: whoever gets a click
authorises the clicker against the ticket. The same card as words: `bot.channels.render`.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from bot.channels.clicks import Click, click, click_of_app
from bot.channels.render import harmless
from handlers.texts import word
from models.message import Card, Outgoing

__all__ = ["NOOP", "BadCard", "Click", "card", "checked", "click", "click_of_app", "settled", "task_id", "vote"]

# Limits of page 101032; characters where it says characters. An app's (90236) are not narrower.
SOURCE, TITLE, DESC, SUB_TITLE, KEY_NAME, VALUE = 13, 26, 30, 112, 5, 26
FACTS, BUTTONS, VOTES, BUTTON_TEXT, QUOTE, OPTION = 6, 6, 20, 10, 200, 17
KEY_BYTES, TASK_BYTES, URL_BYTES = 1_024, 128, 2_048
NOOP = "noop"  # the key of a button that does nothing
GREY, BLUE, RED = 4, 1, 2  # looks of a button

_TASK = re.compile(r"[0-9A-Za-z_@-]{1,128}")
_LINK = re.compile(r"https?://[^\s<>\"]+")
_NOT_HURRIED = frozenset({"dismiss", "transfer"})  # looks quieter than the way a matter normally goes


class BadCard(ValueError):
    """The platform would refuse this card; the message names the field."""


def task_id(out: Outgoing, client_id: str) -> str:
    """The card's own id: the same whenever this message is tried again, another one for every message."""
    told = hashlib.sha256(client_id.encode()).hexdigest()[:24]
    return f"T{out.ticket or 0}-{told}"


def card(out: Outgoing, client_id: str) -> dict[str, Any] | None:
    """`button_interaction` for a card with buttons, `text_notice` for one with a link only; None where neither fits
    (the message then goes as text). Raises BadCard."""
    ours = out.card
    if ours is None or not (ours.buttons or _LINK.fullmatch(ours.link)):
        return None
    made = _body(out, ours)
    if _LINK.fullmatch(ours.link):
        made["card_action"] = {"type": 1, "url": ours.link}
    if not ours.buttons:
        return checked({"card_type": "text_notice"} | made)
    made["button_list"] = [
        {
            "text": _short(button.text, BUTTON_TEXT), "key": button.action,
            "style": GREY if button.action.partition(":")[0] in _NOT_HURRIED else BLUE,
        }
        for button in ours.buttons[:BUTTONS]
    ]  # fmt: skip
    return checked({"card_type": "button_interaction", "task_id": task_id(out, client_id)} | made)


def vote(
    out: Outgoing, client_id: str, *, title: str, desc: str = "", source: str = "", question: str,
    options: Sequence[tuple[str, str]], submit: tuple[str, str],
) -> dict[str, Any]:  # fmt: skip
    """`vote_interaction`: one of `options` (id, text), sent by the button `submit` (key, text).

    title, desc, source: all that this kind has room for beside the choice. Nothing of it is cut: raises BadCard where
    it does not fit. question: the `question_key` under which the choice comes back.
    """
    choices = [{"id": name, "text": _short(text, OPTION), "is_checked": False} for name, text in options]
    made = {
        "card_type": "vote_interaction", "task_id": task_id(out, client_id),
        "main_title": {"title": _line(title)} | ({"desc": _line(desc)} if desc else {}),
        "checkbox": {"question_key": question, "option_list": choices, "mode": 0},
        "submit_button": {"key": submit[0], "text": _short(submit[1], BUTTON_TEXT)},
    }  # fmt: skip
    return checked(made | ({"source": {"desc": _line(source)}} if source else {}))


def settled(shown: dict[str, Any], note: str) -> dict[str, Any]:
    """The same card once somebody has acted: its buttons give way to one grey one that says `note` and does nothing.

    For `update_template_card`; an AI bot has no `update_button`.
    """
    kept = {name: value for name, value in shown.items() if name not in ("button_list", "checkbox", "submit_button")}
    done = [{"text": _short(note, BUTTON_TEXT), "style": GREY, "key": NOOP}]
    return checked(kept | {"card_type": "button_interaction", "button_list": done})


def _body(out: Outgoing, ours: Card) -> dict[str, Any]:
    """What all kinds share: title, the bot's sentence, facts, the resident's words."""
    made: dict[str, Any] = {"main_title": {"title": _short(ours.title, TITLE)}}
    if out.text and out.text != ours.title:
        made["sub_title_text"] = _short(out.text, SUB_TITLE)
    if ours.facts:
        made["horizontal_content_list"] = [
            {"keyname": _short(name, KEY_NAME), "value": _short(value, VALUE)} for name, value in ours.facts[:FACTS]
        ]
    if ours.words:
        made["quote_area"] = {"type": 0, "title": word("card_words"), "quote_text": _short(ours.words, QUOTE)}
    return made


def _short(text: str, most: int) -> str:
    """At most so many characters, on one line, with an ellipsis where something is missing."""
    line = _line(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def _line(text: str) -> str:
    return " ".join(harmless(text).split())


def checked(made: dict[str, Any]) -> dict[str, Any]:
    """`made`, if it keeps to the platform's limits. Raises BadCard."""
    kind = made.get("card_type")
    checks = {"button_interaction": _buttons, "vote_interaction": _votes, "text_notice": _notice}
    if kind not in checks:
        raise BadCard(f"card_type: {kind!r}")
    checks[kind](made)
    _fits("source.desc", made.get("source", {}).get("desc", ""), SOURCE)
    title = made.get("main_title", {})
    _fits("main_title.title", title.get("title", ""), TITLE)
    _fits("main_title.desc", title.get("desc", ""), DESC)
    _fits("sub_title_text", made.get("sub_title_text", ""), SUB_TITLE)
    facts = made.get("horizontal_content_list", [])
    if len(facts) > FACTS:
        raise BadCard(f"horizontal_content_list: {len(facts)} of at most {FACTS}")
    for fact in facts:
        _fits("horizontal_content_list.keyname", fact["keyname"], KEY_NAME)
        _fits("horizontal_content_list.value", fact.get("value", ""), VALUE)
    action = made.get("card_action")
    if action is not None and not (action.get("type") == 1 and _url(action.get("url", ""))):
        raise BadCard("card_action: an address is needed")
    return made


def _buttons(made: dict[str, Any]) -> None:
    _task(made)
    buttons = made.get("button_list", [])
    if not 1 <= len(buttons) <= BUTTONS:
        raise BadCard(f"button_list: {len(buttons)} of 1 to {BUTTONS}")
    for button in buttons:
        _key("button_list.key", button["key"])
        _fits("button_list.text", button["text"], BUTTON_TEXT, least=1)
    if len({button["key"] for button in buttons}) != len(buttons):
        raise BadCard("button_list.key: twice the same")


def _votes(made: dict[str, Any]) -> None:
    _task(made)
    options = made.get("checkbox", {}).get("option_list", [])
    if not 1 <= len(options) <= VOTES:
        raise BadCard(f"checkbox.option_list: {len(options)} of 1 to {VOTES}")
    if len({option["id"] for option in options}) != len(options):
        raise BadCard("checkbox.option_list.id: twice the same")
    _key("checkbox.question_key", made["checkbox"].get("question_key", ""))
    for option in options:
        _key("checkbox.option_list.id", option["id"])
        _fits("checkbox.option_list.text", option["text"], OPTION, least=1)
    _key("submit_button.key", made.get("submit_button", {}).get("key", ""))


def _notice(made: dict[str, Any]) -> None:
    if made.get("card_action") is None:  # errcode 42045
        raise BadCard("card_action: a text_notice needs one")
    if not (made.get("main_title", {}).get("title") or made.get("sub_title_text")):
        raise BadCard("main_title.title: a text_notice needs it, or sub_title_text")


def _task(made: dict[str, Any]) -> None:
    if not _TASK.fullmatch(str(made.get("task_id", ""))):
        raise BadCard("task_id: letters, digits, _ - @, at most 128 bytes")


def _key(name: str, value: str) -> None:
    if not 1 <= len(value.encode()) <= KEY_BYTES:
        raise BadCard(f"{name}: 1 to {KEY_BYTES} bytes")


def _url(value: str) -> bool:
    return len(value.encode()) <= URL_BYTES and _LINK.fullmatch(value) is not None


def _fits(name: str, value: str, most: int, *, least: int = 0) -> None:
    if not least <= len(value) <= most:
        raise BadCard(f"{name}: {len(value)} characters of at most {most}")
