"""Many tell of one thing: one ticket, and everybody is told what becomes of it."""

import pytest

from tests.scenario.chat import Scene


def test_a_neighbour_joins(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    first = chat.ticket()
    chat.at("19:52").says("老陈不钓鱼", "我也是3幢的 二楼三楼都不亮")

    assert chat.ticket() is first
    assert first.reporters == ["小满要早睡", "老陈不钓鱼"]
    assert first.roles == ["report", "join"]
    assert chat.alerts("网格员小顾")[-1].text == "【补充】LS00001：我也是3幢的 二楼三楼都不亮"


def test_both_are_told_when_it_is_done(chat: Scene) -> None:
    chat.at("2026-03-02 19:46").direct("小满要早睡").writes("3幢下水道堵了 污水冒出来了")
    chat.at("19:56").direct("老陈不钓鱼").writes("3幢下水道堵了 污水流了一地")
    assert chat.ticket().reporters == ["小满要早睡", "老陈不钓鱼"]
    chat.presses("网格员小顾", "done")

    for name in chat.ticket().reporters:
        assert "LS00001 柳岸花园3幢排水管道 已办结" in chat.told(name)[-1]


def test_one_line_in_a_group_for_all_of_them(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    group.says("老陈不钓鱼", "我也是3幢的 二楼三楼都不亮")
    chat.presses("网格员小顾", "done")

    assert len([line for line in chat.bot_said(group) if "已办结" in line]) == 1


def test_an_outage_that_spreads_widens(chat: Scene) -> None:
    group = chat.at("2026-03-02 07:31").group("柳岸花园南区")
    group.says("豆豆妈", "1幢停水了 一滴都没有")
    assert chat.ticket().place == "柳岸花园1幢"
    chat.at("07:33").says("老陈不钓鱼", "3幢也停了")
    chat.at("07:36").says("风吹柳", "我家也是 5幢")

    assert chat.ticket().place == "柳岸花园南区"
    assert chat.ticket().reporters == ["豆豆妈", "老陈不钓鱼", "风吹柳"]
    assert chat.ticket().worker == "网格员小顾"


def test_the_same_kind_at_two_buildings_stays_two(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("风吹柳", "5幢二楼楼道灯不亮了")
    group.says("春芽", "6幢楼道灯也坏了")

    assert [ticket.place for ticket in chat.tickets()] == ["柳岸花园5幢", "柳岸花园6幢"]
    assert [ticket.reporters for ticket in chat.tickets()] == [["风吹柳"], ["春芽"]]


@pytest.mark.parametrize("text", ["俺这也是 跺脚都跺麻了它就是不亮", "我们那灯也不亮", "我这边也不亮 跺脚都没用"])
def test_who_says_no_place_speaks_of_where_she_lives(chat: Scene, text: str) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("春芽", "6幢二楼楼道灯不亮了")
    chat.wait("2 minutes").says("风吹柳", text)

    assert [ticket.place for ticket in chat.tickets()] == ["柳岸花园6幢", "柳岸花园5幢"]
    assert [ticket.reporters for ticket in chat.tickets()] == [["春芽"], ["风吹柳"]]


OTHERS = ("5幢门禁刷不开", "南门道闸抬不起来了", "垃圾亭臭死了没人收", "2幢楼道灯不亮了", "北门口井盖翘起来了")


def test_in_a_lively_chat_too(chat: Scene) -> None:
    chat.at("2026-03-02 19:40").group("柳岸花园南区")
    for text in OTHERS:
        chat.wait("1 minute").says("豆豆妈", text)
    chat.wait("1 minute").says("春芽", "整个小区停水了")
    chat.wait("1 minute").says("风吹柳", "我们也没水了")

    (water,) = [ticket for ticket in chat.tickets() if ticket.category == "utility.water"]
    assert water.reporters == ["春芽", "风吹柳"]


def test_what_is_quoted_is_meant_in_a_lively_chat_too(chat: Scene) -> None:
    chat.at("2026-03-02 19:40").group("柳岸花园南区")
    said = [chat.wait("1 minute").says("豆豆妈", text) for text in OTHERS]
    chat.wait("1 minute").says("风吹柳", "我们也是 同样的问题", quote=said[2])

    (garbage,) = [ticket for ticket in chat.tickets() if ticket.category.startswith("sanitation")]
    assert garbage.reporters == ["豆豆妈", "风吹柳"]


def test_the_same_place_told_in_another_group_joins(chat: Scene) -> None:
    chat.at("2026-03-02 12:20").group("柳岸花园南区").says("小满要早睡", "南门口的路塌了个大坑 电瓶车差点栽进去")
    chat.at("12:40").group("柳岸社区居民群").says("老陈不钓鱼", "柳岸花园南门口的路塌了个大坑")

    assert chat.ticket().reporters == ["小满要早睡", "老陈不钓鱼"]
    chat.presses("网格员小顾", "done")
    for group in ("柳岸花园南区", "柳岸社区居民群"):
        assert "已办结" in chat.bot_said(group)[-1]


def test_talk_between_neighbours_is_no_joining(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    said = len(chat.bot_said())
    group.says("豆豆妈", "哈哈 集体摸黑")
    group.says("老陈不钓鱼", "正好早点睡")

    assert chat.ticket().reporters == ["春芽"]
    assert len(chat.bot_said()) == said
