"""The app's XML, to the letter of pages 90240 and 90241."""

from datetime import UTC, datetime
from typing import Any

import pytest
import xmltodict

from bot.channels.security import Refused
from bot.channels.wecom_app import answers
from bot.channels.wecom_app.letters import Letter, read
from models.message import Kind

CARD = """<xml><ToUserName><![CDATA[corp]]></ToUserName><FromUserName><![CDATA[XiaoGu]]></FromUserName>
<CreateTime>1772409600</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>
<EventKey><![CDATA[{key}]]></EventKey><TaskId><![CDATA[T42-abc]]></TaskId>
<CardType><![CDATA[vote_interaction]]></CardType><ResponseCode><![CDATA[ResponseCode]]></ResponseCode>
<AgentID>1000002</AgentID>{items}</xml>"""
ONE = "<OptionIds><OptionId><![CDATA[{}]]></OptionId></OptionIds>"
TWO = "<OptionIds><OptionId><![CDATA[accept:42]]></OptionId><OptionId><![CDATA[done:42]]></OptionId></OptionIds>"


def item(options: str, question: str = "do") -> str:
    return f"<SelectedItem><QuestionKey><![CDATA[{question}]]></QuestionKey>{options}</SelectedItem>"


def opened(xml: str) -> Letter:
    return read(xmltodict.parse(xml)["xml"], corp_id="corp", agent_id=1_000_002)


def press(key: str, *items: str, event: str = "template_card_event") -> Letter:
    held = f"<SelectedItems>{''.join(items)}</SelectedItems>" if items else ""
    return opened(CARD.format(event=event, key=key, items=held))


@pytest.mark.parametrize(
    ("letter", "action"),
    [
        (press("accept:42"), "accept:42"),
        (press("accept:42", event="template_card_menu_event"), "accept:42"),
        (press("choose:42", item(ONE.format("dismiss:42"))), "dismiss:42"),
        (press("choose:42", item(ONE.format("done:42")), item("", "other")), "done:42"),
        (press("choose:42", item(TWO)), None),  # two answers to a question that takes one
        (press("choose:42"), None),
        (press("accept:42", item(TWO), item(ONE.format("x"), "q2")), "accept:42"),
    ],
)
def test_a_press_in_every_shape(letter: Letter, action: str | None) -> None:
    incoming = letter.incoming
    assert (incoming.action if incoming else None) == action
    assert letter.click is not None
    assert (letter.click.task, letter.click.response_code) == ("T42-abc", "ResponseCode")
    assert "ResponseCode" not in repr(letter)
    if incoming is not None:
        assert (incoming.kind, incoming.direct, incoming.chat, incoming.sender) == (Kind.CARD, True, "XiaoGu", "XiaoGu")
        assert incoming.sent_at == datetime(2026, 3, 2, tzinfo=UTC)


def test_the_same_press_has_the_same_id_and_another_has_another() -> None:
    assert press("accept:42").id == press("accept:42").id != press("done:42").id


@pytest.mark.parametrize(
    "items", [item(ONE.format("x") * 2), "<SelectedItem>words</SelectedItem>", item("<OptionIds>words</OptionIds>")]
)
def test_a_press_in_no_shape(items: str) -> None:
    with pytest.raises(Refused):
        press("choose:42", items)


def test_a_new_look_in_pascal_case_and_nothing_ends_a_section() -> None:
    card: dict[str, Any] = {
        "card_type": "button_interaction", "main_title": {"title": "LS00042 ]]> <x>"},
        "horizontal_content_list": [{"keyname": "地点", "value": "6幢"}, {"keyname": "时限", "value": "明天"}],
        "card_action": {"type": 1, "url": "https://example.org/?a=1&b=2"},
        "button_list": [{"text": "办结", "style": 1, "key": "done:42"}], "task_id": "T42",
    }  # fmt: skip
    now = datetime(2026, 3, 2, tzinfo=UTC)
    told = xmltodict.parse(answers.new_card("XiaoGu", "corp", now, card))["xml"]
    inner = told["TemplateCard"]
    assert (told["MsgType"], told["ToUserName"], told["FromUserName"]) == ("update_template_card", "XiaoGu", "corp")
    assert inner["MainTitle"] == {"Title": "LS00042 ]]> <x>"}
    assert [fact["KeyName"] for fact in inner["HorizontalContentList"]] == ["地点", "时限"]
    assert inner["CardAction"] == {"Type": "1", "Url": "https://example.org/?a=1&b=2"}
    assert inner["ButtonList"] == {"Text": "办结", "Style": "1", "Key": "done:42"}
    told = xmltodict.parse(answers.new_words("XiaoGu", "corp", now, "已接单"))["xml"]
    assert (told["MsgType"], told["Button"]) == ("update_button", {"ReplaceName": "已接单"})
