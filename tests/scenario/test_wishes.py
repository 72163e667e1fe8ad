"""查询我的信息 and 删除我的信息 as people say them, and beside what they say as well."""

from collections.abc import Callable

import pytest

from tests.scenario.chat import Scene
from tests.scenario.phone import Phone

Make = Callable[..., Phone]
SHOWN, CONFIRM = "我们保存着", "回复“确认删除”"


@pytest.fixture
def phone(chat: Scene) -> Make:
    return lambda user: Phone(chat, user)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("查询我的信息", SHOWN),
        ("查询 我的信息", SHOWN),
        ("“查询我的信息”", SHOWN),
        ("请帮我查一下我的个人信息，谢谢", SHOWN),
        ("删除我的所有信息", CONFIRM),
        ("删除 我的全部信息。", CONFIRM),
        ("把我的信息删了吧", CONFIRM),
        ("我要注销", CONFIRM),
        ("撤回同意", CONFIRM),
    ],
)
def test_a_wish_in_any_words(chat: Scene, phone: Make, words: str, answer: str) -> None:
    (said,) = phone("o-1").says(words)
    assert answer in said
    assert chat.tickets() == []


def test_the_confirmation_may_be_copied_with_its_marks(chat: Scene, phone: Make) -> None:
    one = phone("o-1")
    one.says("删除我的信息")
    (said,) = one.says("“确认删除”")
    assert said.startswith("已删除您的信息")


@pytest.mark.parametrize("words", ["怎么绑定", "“绑定”", "怎么绑定微信？"])
def test_who_asks_how_to_link_gets_a_code(chat: Scene, phone: Make, words: str) -> None:
    (said,) = phone("o-1").says(words)
    assert "绑定" in said
    assert SHOWN not in said


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("柳岸花园7幢电梯坏了关人了，顺便查询我的信息", "facility.elevator"),
        ("柳岸花园6幢着火了！！删除我的信息", "safety.fire"),
        ("柳岸花园6幢水表读数不对，帮我查一下我的数据", "utility.water"),
        ("物业说查看我的资料才给修，柳岸花园6幢楼道灯坏了一个月", "facility.lighting"),
    ],
)
def test_what_is_told_beside_a_wish_comes_first(chat: Scene, phone: Make, words: str, kind: str) -> None:
    said = phone("o-1").says(words)
    assert (chat.ticket().category, len(chat.alerts()) > 0) == (kind, True)
    assert SHOWN not in "".join(said)


def test_in_a_group_too(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "@邻声 6幢电梯关人了！物业让我查一下我的记录")
    assert chat.ticket().category == "facility.elevator"


def test_what_a_worker_wrote_of_her_stays_without_her_name_and_number(chat: Scene) -> None:
    she = chat.at("2026-03-02 08:30").direct("春芽")
    she.writes("柳岸花园6幢楼道灯不亮了")
    chat.presses("网格员小顾", "accept")
    chat.direct("网格员小顾").writes("LS00001 春芽家已联系 13812345678，明天换灯管")
    chat.presses("网格员小顾", "done")
    chat.wait("30 days")
    she.writes("删除我的信息")
    she.writes("确认删除")

    notes = " ".join(event.note for event in chat.ticket().history) + " ".join(chat.ticket().messages)
    assert "明天换灯管" in notes
    assert not [told for told in ("春芽", "13812345678", "138 1234 5678") if told in notes]
