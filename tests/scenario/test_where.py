"""Where a matter is, once more than one message or more than one matter is about it."""

import pytest

from tests.scenario.chat import Scene
from tests.scenario.corrections import STAFF, press

SOUTH = "柳岸花园南区"


def test_what_is_told_beside_another_matter_is_there(chat: Scene) -> None:
    chat.at("2026-03-02 19:30").group(SOUTH).says("春芽", "@邻声 南门的路灯坏了两个 还有旁边垃圾桶三天没人收了")

    places = {ticket.category: ticket.row.place for ticket in chat.tickets()}
    assert places == {"facility.lighting": "P-LA-GS", "sanitation.garbage": "P-LA-GS"}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("@邻声 5幢2单元楼道灯不亮了 还有那个门禁也刷不开 拿砖顶着", {"facility.lighting", "facility.access"}),
        ("@邻声 5幢二楼楼道灯不亮了 还有三楼拐角堆了一堆旧沙发", {"facility.lighting", "sanitation.clutter"}),
    ],
)
def test_what_says_no_place_is_where_the_matter_before_it_is(chat: Scene, text: str, kinds: set[str]) -> None:
    chat.at("2026-03-02 19:30").group(SOUTH).says("春芽", text)

    assert {ticket.category: ticket.row.place for ticket in chat.tickets()} == dict.fromkeys(kinds, "P-LA-B05")


def test_the_same_building_is_not_the_same_floor(chat: Scene) -> None:
    chat.at("2026-03-02 19:30").group(SOUTH).says("春芽", "@邻声 5幢2单元楼道灯不亮了 还有三楼拐角堆了一堆旧沙发")

    assert {ticket.category: ticket.row.spot for ticket in chat.tickets()} == {
        "facility.lighting": "2单元", "sanitation.clutter": "",
    }  # fmt: skip


def test_who_told_of_it_may_say_that_it_is_far_from_her_home(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 井盖翘起来了 差点绊一跤")
    (ticket,) = chat.tickets()
    before = ticket.row.place
    chat.wait("1 minute").group(SOUTH).says("春芽", "就在桂花糕店门口")

    assert before != "P-GHJ-GG"
    (ticket,) = chat.tickets()
    assert ticket.row.place == "P-GHJ-GG"


def test_for_somebody_who_lives_elsewhere_it_is_there(chat: Scene) -> None:
    mine = chat.at("2026-03-02 20:40").direct("小满要早睡")
    mine.writes("想帮我大哥家申请低保 他们家三口人就靠一份保安工资")
    (ticket,) = chat.tickets()
    before = ticket.place
    chat.wait("1 minute")
    mine.writes("他住机械厂新村3幢")

    assert before != "机械厂新村3幢"
    assert [ticket.place for ticket in chat.tickets()] == ["机械厂新村3幢"]


def test_a_neighbour_who_says_that_it_is_elsewhere_is_believed(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 2幢楼道灯坏了")
    chat.wait("2 minutes").group(SOUTH).says("风吹柳", "是3幢 不是2幢 我刚从那过 楼道灯全黑的")

    assert [ticket.row.place for ticket in chat.tickets()] == ["P-LA-B03"]


@pytest.mark.parametrize(
    "text",
    ["我在5幢 是不是停水了 一滴都没有", "是不是水管爆了 我在5幢 也没水"],
)
def test_whether_it_is_so_is_no_correction(chat: Scene, text: str) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 2幢停水了")
    chat.wait("2 minutes").group(SOUTH).says("风吹柳", text)

    assert "P-LA-B05" not in [ticket.row.place for ticket in chat.tickets() if ticket.reporters[0] == "春芽"]


def test_a_neighbours_doubt_moves_nothing(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 2幢停水了")
    chat.wait("2 minutes").group(SOUTH).says("风吹柳", "搞错了吧 我们5幢没停")

    assert chat.tickets()[0].row.place == "P-LA-B02"


def test_where_she_is_meanwhile_is_not_where_it_is(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 电梯坏了")
    before = chat.ticket().row.place
    chat.wait("1 minute").group(SOUTH).says("春芽", "我在粮站宿舍3幢上班 回来再看")

    assert chat.ticket().row.place == before


def test_who_is_not_there_is_no_place_that_it_is_not(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 2幢电梯坏了")
    chat.wait("1 minute").group(SOUTH).says("春芽", "物业不在 电话是空号 我去南门找保安")

    assert chat.ticket().row.place == "P-LA-B02"


@pytest.mark.parametrize(
    ("text", "category", "place"),
    [
        ("@邻声 南门的路灯坏了 还有整个小区都停水了", "utility.water", "P-LA-GS"),
        ("@邻声 南门的路灯坏了两个 另外电梯又停了 关门也关不上", "facility.elevator", "P-LA-GS"),
        ("@邻声 南门路灯坏了两个 还有暖气一直不热", "utility.heating", "P-LA-GS"),
        ("@邻声 学前路路口红绿灯坏了 另外楼道灯也不亮了", "facility.lighting", "P-XQL"),
        ("@邻声 垃圾亭臭死了 没人收，另外2幢电梯又坏了", "facility.elevator", "P-LA-RS"),
        pytest.param(
            "@邻声 垃圾亭臭死了 还有电梯又坏了",
            "facility.elevator",
            "P-LA-RS",
            marks=pytest.mark.xfail(reason="taken for one matter since there are thirty towns", strict=False),
        ),
    ],
)
def test_another_matter_of_the_same_message_may_be_elsewhere(chat: Scene, text: str, category: str, place: str) -> None:
    chat.at("2026-03-02 19:30").group(SOUTH).says("春芽", text)

    places = [ticket.row.place for ticket in chat.tickets() if ticket.category == category]
    assert places
    assert place not in places


TWICE_UNSAID = ("电梯坏了 还有楼道灯也不亮", "请问具体在哪里？（几幢、什么位置）")
TWICE_UNSURE = ("2幢电梯坏了 还有楼道灯也不亮", "请问是哪一处？柳岸花园2幢、粮站宿舍2幢、机械厂新村2幢")


@pytest.mark.parametrize(
    ("told", "answer"), [(TWICE_UNSAID, "粮站宿舍2幢"), (TWICE_UNSURE, "2"), (TWICE_UNSURE, "就是粮站宿舍2幢")]
)
def test_two_matters_of_one_message_are_asked_for_once_and_answered_together(
    chat: Scene, told: tuple[str, str], answer: str
) -> None:
    text, question = told
    she = chat.at("2026-03-02 19:30").direct("想看海的人")
    she.writes(text)
    assert she.bot_said == [
        f"收到，已登记 LS00001：电梯，已派网格员处理。{question}\n还有 LS00002：照明，也已登记；您说的地点会一并记上。"
    ]
    chat.wait("1 minute")
    she.writes(answer)

    assert [ticket.place for ticket in chat.tickets()] == ["粮站宿舍2幢", "粮站宿舍2幢"]
    assert she.bot_said[1:] == ["好的，LS00001、LS00002 的地点已记为 粮站宿舍2幢。"]
    chat.wait("1 minute")
    she.writes("3幢")  # nobody asks any more
    assert chat.tickets()[0].place == "粮站宿舍2幢"


def test_an_answer_moves_no_matter_that_was_put_right_meanwhile(chat: Scene) -> None:
    she = chat.at("2026-03-02 19:30").direct("想看海的人")
    she.writes(TWICE_UNSURE[0])
    lift, light = chat.tickets()
    press(chat, STAFF, "place:1:P-LA-B03")
    chat.wait("1 minute")
    she.writes("就是粮站宿舍2幢")

    assert [ticket.place for ticket in (lift, light)] == ["柳岸花园3幢", "粮站宿舍2幢"]
