"""Template cards as the platform judges them. Sources: 企业微信 101032 (AI bot), 90236 (self-built app).

The pages name one code, 42045 for a notice without card_action; for the rest 40058 with the field's name is assumed.
Lengths that the pages only advise (titles, buttons) are cut on screens and not refused, so they are not checked.
"""

import re
from collections.abc import Iterable
from typing import Any

from bot.platform.codes import PlatformError, mapping, need

Body = dict[str, Any]
NOTICES = {"text_notice", "news_notice"}
KINDS = NOTICES | {"button_interaction", "vote_interaction", "multiple_interaction"}
TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
KEY_BYTES = 1024
NUMBERS = {"type", "style", "desc_color", "mode"}


def check_card(given: object, *, kinds: Iterable[str] = frozenset(KINDS)) -> Body:
    """The card, as one that is shown. Raises PlatformError."""
    card = mapping(given, 40058, "template_card")
    kind = card.get("card_type")
    need(kind in set(kinds), 40058, f"card_type {kind}")
    if kind in NOTICES:
        action = mapping(card.get("card_action"), 42045)
        need(action.get("type") in (1, 2), 42045)
        need(action["type"] != 1 or action.get("url"), 42045, "url")
    if kind == "text_notice":
        need(_title(card) or card.get("sub_title_text"), 40058, "main_title or sub_title_text")
    if kind == "news_notice":
        need(card.get("card_image") or card.get("image_text_area"), 40058, "card_image or image_text_area")
        ratio = (card.get("card_image") or {}).get("aspect_ratio", 1.3)
        need(1.3 <= ratio <= 2.25, 40058, "aspect_ratio")
    if kind == "button_interaction":
        _few(card, "button_list", 6, least=1)
        _keys([button.get("key") for button in card["button_list"] if button.get("type", 0) == 0], "button_list.key")
        need(all(button.get("text") for button in card["button_list"]), 40058, "button_list.text")
    if kind == "vote_interaction":
        _choices(card.get("checkbox"), 20)
        _submit(card)
    if kind == "multiple_interaction":
        _few(card, "select_list", 3, least=1)
        for menu in card["select_list"]:
            _choices(menu, 10)
        _keys([menu.get("question_key") for menu in card["select_list"]], "select_list.question_key")
        _submit(card)
    if kind not in NOTICES or card.get("action_menu"):
        need(TASK_ID.fullmatch(str(card.get("task_id", ""))), 40058, "task_id")
    if "button_selection" in card:
        _choices(card["button_selection"], 10)
    _few(card, "horizontal_content_list", 6)
    rows = card.get("horizontal_content_list", [])
    need(all(row.get("keyname") for row in rows), 40058, "horizontal_content_list.keyname")
    _few(card, "jump_list", 3)
    _few(card, "vertical_content_list", 4)
    if card.get("action_menu"):
        _few(card["action_menu"], "action_list", 3, least=1)
    return card


ONE_WORD = {"KeyName": "keyname"}  # of JSON, and two in XML


def from_xml(fields: Body) -> Body:
    """A `TemplateCard` of a passive answer as JSON: `MainTitle` is main_title, repeated `ButtonList` a list.

    Source: 企业微信 90241. Numbers are read as such where the JSON has numbers.
    """
    card: Body = {}
    for name, value in fields.items():
        key = ONE_WORD.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        many = value if isinstance(value, list) else [value]
        inner: list[Any] = [from_xml(item) if isinstance(item, dict) else item for item in many]
        if key in NUMBERS:
            inner = [int(item) for item in inner]
        card[key] = inner if key.endswith("_list") else inner[0]
    return card


def keys_of(card: Body) -> dict[str, str]:
    """What can be pressed on it: key to words."""
    found = {button["key"]: button["text"] for button in card.get("button_list", []) if button.get("type", 0) == 0}
    found |= {item["key"]: item["text"] for item in (card.get("action_menu") or {}).get("action_list", [])}
    if submit := card.get("submit_button"):
        found[submit["key"]] = submit["text"]
    return found


def menus_of(card: Body) -> list[Body]:
    """What can be chosen on it: select menus and a checkbox, those left out that are switched off."""
    menus = [*card.get("select_list", []), card.get("button_selection"), card.get("checkbox")]
    return [menu for menu in menus if menu and not menu.get("disable")]


def pressed(card: Body, key: str, chosen: dict[str, list[str]]) -> Body:
    """The `selected_items` of a press. Raises ValueError for what this card does not offer: a person cannot do that."""
    if key not in keys_of(card):
        raise ValueError(f"the card offers {sorted(keys_of(card))} and not {key!r}")
    offered = {menu["question_key"]: {option["id"] for option in menu["option_list"]} for menu in menus_of(card)}
    for question, options in chosen.items():
        if not set(options) <= offered.get(question, set()):
            raise ValueError(f"{question} offers {sorted(offered.get(question, set()))}")
    items = [{"question_key": key, "option_ids": {"option_id": ids}} for key, ids in chosen.items()]
    return {"selected_items": {"selected_item": items}} if items else {}


def words_of(card: Body) -> str:
    """The card as lines, for screens that show no more."""
    title, quote = card.get("main_title") or {}, card.get("quote_area") or {}
    lines = [title.get("title"), title.get("desc"), quote.get("quote_text"), card.get("sub_title_text")]
    lines += [f"{item.get('keyname')}: {item.get('value', '')}" for item in card.get("horizontal_content_list", [])]
    return "\n".join(line for line in lines if line)


def _title(card: Body) -> object:
    return (card.get("main_title") or {}).get("title")


def _few(holder: Body, name: str, most: int, *, least: int = 0) -> None:
    items = holder.get(name, [])
    need(isinstance(items, list) and least <= len(items) <= most, 40058, f"{name} takes {least} to {most}")
    need(all(isinstance(item, dict) for item in items), 40058, name)


def _keys(keys: list[Any], name: str) -> None:
    good = all(isinstance(key, str) and 0 < len(key.encode()) <= KEY_BYTES for key in keys)
    need(good and len(set(keys)) == len(keys), 40058, name)


def _choices(menu: object, most: int) -> None:
    if not isinstance(menu, dict) or not menu.get("question_key"):
        raise PlatformError(40058, "question_key")
    _few(menu, "option_list", most, least=1)
    need(all(option.get("id") and option.get("text") for option in menu["option_list"]), 40058, "option_list")
    _keys([option["id"] for option in menu["option_list"]], "option_list.id")


def _submit(card: Body) -> None:
    button = card.get("submit_button")
    need(isinstance(button, dict) and button.get("text") and button.get("key"), 40058, "submit_button")
