"""Words stay words: no mention, no link, no more bytes than the platform takes, nothing private in a group."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.render import escape, harmless, markdown, split, text
from handlers.masking import masked
from models.message import Button, Card, Outgoing

EVIL = '[领奖](http://evil.example) <@all> <@W01> <font color="warning">x</font> **b** `c` ![i](http://e) @all @所有人'


def out(words: str = "已登记", **more: object) -> Outgoing:
    return Outgoing.model_validate({"channel": "wecom_bot", "chat": "g", "text": words} | more)


def card(words: str = "", link: str = "") -> Card:
    buttons = (Button(text="接单", action="accept:42"),)
    return Card(title="LS00042 电梯", facts=(("地点", "6幢"),), words=words, buttons=buttons, link=link)


def test_a_resident_forges_nothing_in_markdown() -> None:
    for shown in markdown(out(EVIL)) + markdown(out("x", card=card(EVIL))) + markdown(out(EVIL), group=True):
        for mark in ("](", "<@", "<font", "@all", "@所有人", "`", "!["):
            assert mark not in shown
        assert shown.count("**") in (0, 2)


def test_a_resident_forges_nothing_in_a_text() -> None:
    for shown in (harmless(EVIL + '<a href="http://evil">领奖</a>'), text(out(EVIL))[0]):
        for mark in ("<a", "<@", "<font", "@all", "@所有人"):
            assert mark not in shown


def test_marks_that_nobody_sees_are_gone() -> None:
    assert harmless("a\u202eb\u200bc\u2066d\x00e\ufefff") == "abcdef"
    assert harmless("一\n二\t三😀") == "一\n二\t三😀"


@pytest.mark.parametrize("mark", ["\u00ad", "\u061c", "\u2064", "\u206f", "\ufe0f", "\U000e0100", "\U000e0061"])
def test_nobody_hides_a_number_or_a_mention_in_them(mark: str) -> None:
    words = mark.join("@all 13812345678 2单元301")
    for shown in (*markdown(out(words), group=True), *text(out(words), group=True)):
        assert shown.replace("＊", "*") == "＠all 138****5678 2单元***"


@pytest.mark.parametrize(
    "words",
    ["@all", "@all请大家下楼", "@ALL 请", "@all，", "@all_", "@everyone快来", "@所有人", "@所有人请", "@全体成员"],
)
def test_everybody_is_called_by_nobody(words: str) -> None:
    for shown in (harmless(words), escape(words), *markdown(out(words)), *text(out(words))):
        assert "@" not in shown


def test_a_name_that_only_begins_so_stays() -> None:
    assert harmless("@allen @everyone2 a@allianz.example") == "@allen @everyone2 a@allianz.example"


def test_a_group_hears_no_number_from_a_card_either() -> None:
    told = card("我家3幢2单元501。13812345678", "https://l.example/task/3-501-13812345678")
    told = told.model_copy(update={"title": "LS00042 王 138.1234.5678", "facts": (("电话", "13812345678"),)})
    for shown in (markdown(out("3-501", card=told), group=True)[0], text(out("3-501", card=told), group=True)[0]):
        words, _, link = shown.replace("＊", "*").partition("https://")
        assert "3-***" in words
        assert words.count("138****5678") == 3
        assert not any(number in words for number in ("12345678", "1234.5678", "501"))
        assert link.rstrip(")") == "l.example/task/3-501-13812345678"


@given(st.text(max_size=300))
def test_escaped_words_hold_no_mark(words: str) -> None:
    shown = escape(words)
    assert not set("<>[]`*_\\") & set(shown)
    assert not any(line.lstrip().startswith("#") for line in shown.splitlines())


def test_a_card_as_markdown() -> None:
    shown = markdown(out("请您处理", card=card("电梯坏了\n第二行", "https://l.example/task/abc.d-e"), ticket=42))
    assert shown == [
        "请您处理\n**LS00042 电梯**\n地点：6幢\n> 电梯坏了\n> 第二行\n回复“接单 42”\n[打开任务](https://l.example/task/abc.d-e)"
    ]
    assert "](" not in markdown(out("x", card=card(link="https://l.example/) [x](http://evil.example")))[0]


@given(st.text(max_size=3_000), st.integers(min_value=8, max_value=600), st.integers(min_value=1, max_value=5))
def test_parts_fit_and_are_never_empty(words: str, max_bytes: int, most: int) -> None:
    parts = split(words, max_bytes, most)
    assert len(parts) <= most
    assert all(part and len(part.encode()) <= max_bytes for part in parts)


def test_limits_are_bytes() -> None:
    assert [len(part.encode()) <= 4_096 for part in markdown(out("水" * 9_000), 4_096, most=3)] == [True] * 3
    assert text(out(" \n ")) == []


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("打我电话13812345678", "打我电话138****5678"),
        ("138-1234-5678。", "138****5678。"),
        ("身份证31010519491231002X", "身份证310*************2X"),
        ("3幢2单元501室漏水", "3幢2单元***室漏水"),
        ("工单LS00042，18号楼，2026年", "工单LS00042，18号楼，2026年"),
        ("订单号913812345678901", "订单号913812345678901"),
    ],
)
def test_groups_see_no_numbers_of_people(words: str, shown: str) -> None:
    assert masked(words) == shown
    assert text(out(words), group=True) == [shown]
    assert text(out(words)) == [words]
