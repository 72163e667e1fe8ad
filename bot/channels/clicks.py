"""Clicks on template cards, out of either letter: a bot's JSON or an app's XML.

Platform pages: 101027 接收事件 (AI bot), 90240 事件格式 (template_card_event of an app).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.channels.security import Refused

MOST = 100  # options that one click may choose; the platform's cards have at most 30


@dataclass(frozen=True)
class Click:
    """A pressed button or a submitted vote. action: the key, such as `accept:42`. task: the card's task_id.

    selected: question key → ids of the options chosen. response_code: for one update of the app's card, never logged.
    """

    action: str
    task: str
    card_type: str
    selected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    response_code: str = field(default="", repr=False)


def click(event: Mapping[str, Any]) -> Click:
    """A click out of a bot's `event`: the object that holds `template_card_event`. Raises Refused for other shapes."""
    told = event.get("template_card_event")
    if not isinstance(told, Mapping):
        raise Refused("malformed")
    chosen = _list(_inside(told.get("selected_items"), "selected_item"))
    selected = {
        _text(_of(item, "question_key")): tuple(
            _text(one) for one in _list(_inside(_of(item, "option_ids"), "option_id"))
        )
        for item in chosen
    }
    return _checked(
        Click(_text(told.get("event_key")), _text(told.get("task_id")), _text(told.get("card_type")), selected)
    )


def click_of_app(fields: Mapping[str, Any]) -> Click:
    """A click out of an app's XML elements (see `Seal.open_fields`), `template_card_event` or
    `template_card_menu_event`. Raises Refused for other shapes."""
    chosen = _list(_inside(fields.get("SelectedItems"), "SelectedItem"))
    selected = {
        _text(_of(item, "QuestionKey")): tuple(_text(one) for one in _list(_inside(_of(item, "OptionIds"), "OptionId")))
        for item in chosen
    }
    return _checked(
        Click(
            _text(fields.get("EventKey")), _text(fields.get("TaskId")), _text(fields.get("CardType")), selected,
            _text(fields.get("ResponseCode")),
        )
    )  # fmt: skip


def _checked(found: Click) -> Click:
    if not found.action or len(found.action.encode()) > 1_024 or len(found.task.encode()) > 128:
        raise Refused("malformed")
    if sum(map(len, found.selected.values())) > MOST:
        raise Refused("malformed")
    return found


def _of(item: object, name: str) -> object:
    if not isinstance(item, Mapping):
        raise Refused("malformed")
    return item.get(name)


def _inside(holder: object, name: str) -> object:
    return None if holder is None or holder == "" else _of(holder, name)


def _list(value: object) -> list[object]:
    """One or many: XML that says it once gives no list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("malformed")
    return value
