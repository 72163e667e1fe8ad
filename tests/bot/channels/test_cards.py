"""Template cards: ours to theirs within their limits, and their clicks back."""

from typing import Any

import pytest
import xmltodict

from bot.channels.cards import BadCard, card, checked, click, click_of_app, settled, task_id, vote
from bot.channels.security import Refused
from models.message import Button, Card, Outgoing

LINK = "https://l.example/task/abc"


def out(**more: Any) -> Outgoing:
    buttons = tuple(Button(text=text, action=f"{name}:42") for name, text in (("accept", "接单"), ("done", "办结")))
    ours = Card(
        title="LS00042 电梯", facts=(("地点", "6幢"), ("也可能是什么", "x" * 90)), words="电梯又坏了 <@all>",
        buttons=buttons, link=LINK,
    )  # fmt: skip
    return Outgoing.model_validate(
        {
            "channel": "wecom_bot",
            "chat": "u",
            "text": "请在3月5日前办结",
            "card": ours.model_copy(update=more),
            "ticket": 42,
        }
    )


def test_a_task_card_has_its_buttons() -> None:
    made = card(out(), "outbox:7")
    assert made is not None
    assert made["card_type"] == "button_interaction"
    assert [(one["text"], one["key"]) for one in made["button_list"]] == [("接单", "accept:42"), ("办结", "done:42")]
    assert made["main_title"] == {"title": "LS00042 电梯"}
    assert made["sub_title_text"] == "请在3月5日前办结"
    assert made["horizontal_content_list"][0] == {"keyname": "地点", "value": "6幢"}
    assert len(made["horizontal_content_list"][1]["value"]) == 26
    assert made["quote_area"]["quote_text"] == "电梯又坏了 ＜＠all>"
    assert made["card_action"] == {"type": 1, "url": LINK}
    assert made["task_id"] == task_id(out(), "outbox:7") != task_id(out(), "outbox:8")


def test_without_buttons_a_notice_and_without_a_link_words() -> None:
    notice = card(out(buttons=()), "c")
    assert notice is not None
    assert (notice["card_type"], "task_id" in notice, "button_list" in notice) == ("text_notice", False, False)
    assert card(out(buttons=(), link=""), "c") is None
    assert card(out(buttons=(), link="javascript:alert(1)"), "c") is None
    assert card(out().model_copy(update={"card": None}), "c") is None


def test_the_longest_of_everything_still_fits() -> None:
    buttons = tuple(Button(text="很长很长的按钮文字啊啊啊啊", action=f"a{n}:42") for n in range(9))
    facts = tuple((f"名字很长很长{n}", "水" * 99) for n in range(12))
    made = card(out(title="水" * 99, facts=facts, words="水\n" * 5_000, buttons=buttons), "x" * 300)
    assert made is not None
    assert (len(made["button_list"]), len(made["horizontal_content_list"])) == (6, 6)
    assert made["main_title"]["title"].endswith("…")


def test_once_somebody_has_acted_there_is_nothing_to_press() -> None:
    made = card(out(), "c")
    assert made is not None
    after = settled(made, "已接单")
    assert [(one["text"], one["key"], one["style"]) for one in after["button_list"]] == [("已接单", "noop", 4)]
    assert after["task_id"] == made["task_id"]
    assert len(made["button_list"]) == 2, "the card that was shown is not changed"


def test_a_vote() -> None:
    told: dict[str, Any] = {"title": "LS00042 电梯", "question": "rate", "submit": ("rate:42", "提交")}
    made = vote(out(), "c", options=[("5", "满意"), ("1", "不满意")], **told)
    assert made["checkbox"]["option_list"][0] == {"id": "5", "text": "满意", "is_checked": False}
    assert made["submit_button"] == {"key": "rate:42", "text": "提交"}
    for wrong in ([], [("1", "a"), ("1", "b")], [(str(n), "x") for n in range(21)]):
        with pytest.raises(BadCard, match="option_list"):
            vote(out(), "c", options=wrong, **told)
    for name, value in {"title": "水" * 27, "desc": "水" * 31, "source": "水" * 14}.items():
        with pytest.raises(BadCard, match=name):  # nothing of it is cut: she judges by it
            vote(out(), "c", options=[("5", "满意")], **told | {name: value})
    assert settled(made, "已评价")["card_type"] == "button_interaction"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"card_type": "news"}, "card_type"),
        ({"task_id": "有空格 的"}, "task_id"),
        ({"task_id": ""}, "task_id"),
        ({"task_id": "x" * 129}, "task_id"),
        ({"button_list": []}, "button_list"),
        ({"button_list": [{"text": "a", "key": "k" * 1_025}]}, "key"),
        ({"button_list": [{"text": "a", "key": "k"}, {"text": "b", "key": "k"}]}, "twice"),
        ({"main_title": {"title": "x" * 27}}, "main_title.title"),
        ({"sub_title_text": "x" * 113}, "sub_title_text"),
        ({"horizontal_content_list": [{"keyname": "k", "value": "v"}] * 7}, "horizontal_content_list"),
        ({"card_action": {"type": 1, "url": "ftp://x"}}, "card_action"),
    ],
)
def test_what_the_platform_would_refuse_is_refused_here(change: dict[str, Any], field: str) -> None:
    made = card(out(), "c")
    assert made is not None
    with pytest.raises(BadCard, match=field):
        checked(made | change)
    with pytest.raises(BadCard, match="card_action"):  # errcode 42045
        checked({"card_type": "text_notice", "main_title": {"title": "t"}})


# ---- clicks

EVENT: dict[str, Any] = {
    "eventtype": "template_card_event",
    "template_card_event": {
        "card_type": "vote_interaction", "event_key": "rate:42", "task_id": "T42-1",
        "selected_items": {"selected_item": [{"question_key": "rate", "option_ids": {"option_id": ["5"]}}]},
    },
}  # fmt: skip


def test_a_bots_click() -> None:
    found = click(EVENT)
    assert (found.action, found.task, found.card_type, dict(found.selected)) == (
        "rate:42", "T42-1", "vote_interaction", {"rate": ("5",)},
    )  # fmt: skip
    told = {name: value for name, value in EVENT["template_card_event"].items() if name != "selected_items"}
    assert click({"template_card_event": told}).selected == {}


def app_click(items: str) -> dict[str, Any]:
    fields = xmltodict.parse(
        "<xml><FromUserName>u</FromUserName><Event>template_card_event</Event><EventKey>accept:42</EventKey>"
        f"<TaskId>T42-1</TaskId><CardType>button_interaction</CardType><ResponseCode>CODE</ResponseCode>{items}</xml>"
    )["xml"]
    assert isinstance(fields, dict)
    return fields


def option(*ids: str) -> str:
    return "<OptionIds>" + "".join(f"<OptionId>{one}</OptionId>" for one in ids) + "</OptionIds>"


@pytest.mark.parametrize(
    ("items", "selected"),
    [
        ("", {}),
        ("<SelectedItems></SelectedItems>", {}),
        (f"<SelectedItems><SelectedItem><QuestionKey>q</QuestionKey>{option('a')}</SelectedItem></SelectedItems>",
         {"q": ("a",)}),
        (f"<SelectedItems><SelectedItem><QuestionKey>q</QuestionKey>{option('a', 'b')}</SelectedItem><SelectedItem>"
         f"<QuestionKey>r</QuestionKey>{option()}</SelectedItem></SelectedItems>", {"q": ("a", "b"), "r": ()}),
    ],
)  # fmt: skip
def test_an_apps_click_in_every_shape(items: str, selected: dict[str, tuple[str, ...]]) -> None:
    found = click_of_app(app_click(items))
    assert (found.action, dict(found.selected), found.response_code) == ("accept:42", selected, "CODE")
    assert "CODE" not in repr(found)


@pytest.mark.parametrize(
    "event",
    [
        {}, {"template_card_event": None}, {"template_card_event": []}, {"template_card_event": {"event_key": ""}},
        {"template_card_event": {"event_key": 1}}, {"template_card_event": {"event_key": "k" * 1_025}},
        {"template_card_event": {"event_key": "k", "task_id": "t" * 129}},
        {"template_card_event": {"event_key": "k", "selected_items": "x"}},
        {"template_card_event": {"event_key": "k", "selected_items": {"selected_item": [1]}}},
        {"template_card_event": {"event_key": "k", "selected_items": {"selected_item": [
            {"question_key": "q", "option_ids": {"option_id": ["x"] * 101}}]}}},
    ],
)  # fmt: skip
def test_clicks_of_another_shape(event: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        click(event)
