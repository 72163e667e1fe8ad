"""The loop closes with the resident: rating, 不满意, 没修好, the new breakdown, and 修得怎么样了."""

import pytest

from tests.scenario.chat import Room, Scene
from tests.scenario.seen import TicketView


def a_stair_done(chat: Scene) -> tuple[Room, TicketView]:
    """春芽's dark stair, said to be done; three hours later in her group."""
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    chat.presses("网格员小顾", "done")
    chat.wait("3 hours")
    return group, chat.ticket()


def test_a_rating_closes(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("春芽", "满意")

    assert (ticket.status, ticket.row.rating) == ("closed", 5)
    assert group.bot_said[-1] == "谢谢您的评价，LS00001 已结案。"


def test_somebody_elses_rating_closes_nothing(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("豆豆妈", "@邻声 满意")

    assert (ticket.status, ticket.row.rating) == ("resolved", None)


def test_naming_the_number_does_not_make_a_neighbour_the_reporter(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("豆豆妈", "@邻声 LS00001 满意")

    assert (ticket.status, ticket.row.rating) == ("resolved", None)


@pytest.mark.parametrize("text", ["不太满意", "不是很满意", "不怎么满意", "@邻声 2分"])
def test_half_hearted_is_not_happy(chat: Scene, text: str) -> None:
    group, ticket = a_stair_done(chat)
    group.says("春芽", text)

    assert ticket.status == "assigned"


def test_no_complaint_is_praise(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("春芽", "@邻声 没有不满意 10分")

    assert (ticket.status, ticket.row.rating) == ("closed", 5)


def test_everybody_hears_of_the_reopening(chat: Scene) -> None:
    first = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    first.says("春芽", "6幢楼道灯不亮了")
    chat.wait("5 minutes").direct("秀英姐").writes("6幢楼道灯不亮了 邻居托我说一声")
    chat.presses("网格员小顾", "done")
    chat.wait("3 hours")
    first.says("春芽", "不满意")

    assert "已重新派单" in first.bot_said[-1]
    assert any("已重新派单" in line for line in chat.told("秀英姐"))


def test_unhappy_brings_it_back(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    assert ticket.due == []
    group.says("春芽", "不满意")

    assert (ticket.status, ticket.worker, ticket.row.rating) == ("assigned", "网格员小顾", 1)
    assert [f"{due:%m-%d %H:%M}" for due in ticket.due] == ["03-03 00:00"]
    assert group.bot_said[-1] == "抱歉没处理好，LS00001 已重新派单，请网格员再去处理。"


def test_the_worker_hears_once_that_it_came_back(chat: Scene) -> None:
    group, _ = a_stair_done(chat)
    before = len(chat.alerts("网格员小顾"))
    group.says("春芽", "不满意")

    new = [alert.text for alert in chat.alerts("网格员小顾")[before:]]
    assert new == ["【退回重办】LS00001 居民反映没处理好：不满意"]


def test_not_settled_after_done(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("春芽", "没修好 还是黑的")

    assert ticket.status == "assigned"
    assert "unsatisfied" in ticket.events
    chat.presses("网格员小顾", "done")
    assert ticket.status == "resolved"
    assert ticket.due == []


def test_told_again_after_done_is_not_swallowed(chat: Scene) -> None:
    group, ticket = a_stair_done(chat)
    group.says("风吹柳", "6幢楼道灯不亮了 黑漆漆的")

    # Whether it comes back or is a new one: somebody has to go there, by a deadline.
    assert [one for one in chat.tickets() if one.row.is_open and one.due], ticket.events


def test_broken_again_days_later_is_a_new_one(chat: Scene) -> None:
    group, first = a_stair_done(chat)
    group.says("春芽", "满意")
    chat.wait("6 days")
    group.says("春芽", "6幢楼道灯又坏了 黑漆漆的")

    assert first.status == "closed"
    assert [ticket.status for ticket in chat.tickets()] == ["closed", "assigned"]
    assert group.bot_said[-1] == "收到，已登记 LS00002（上次 LS00001），已派网格员处理。"


def test_which_one_is_rated_by_quoting_the_question(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    chat.wait("30 minutes")
    group.says("春芽", "6幢楼下下水道堵了 污水冒出来了")
    first, second = chat.tickets()
    for ticket in (first, second):
        chat.wait("5 minutes").presses("网格员小顾", "done", ticket)
    asked = next(line for line in chat.lines() if "LS00001" in line.text and "请评价" in line.text)
    group.says("春芽", "满意", quote=asked)

    assert (first.status, second.status) == ("closed", "resolved")


def test_nobody_rates(chat: Scene) -> None:
    _, ticket = a_stair_done(chat)
    chat.wait("6 days")
    assert ticket.status == "resolved"
    chat.wait("2 days")
    assert (ticket.status, ticket.row.rating) == ("closed", None)


def test_how_far_it_is_in_the_group_and_in_private(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    chat.wait("3 hours")
    group.says("春芽", "@邻声 我报的楼道灯处理得怎么样了")
    assert group.bot_said[-1] == "LS00001 柳岸花园6幢照明：已派单，等待网格员接单。"
    assert chat.alerts("网格员小顾")[-1].text.startswith("【催办】LS00001")
    chat.presses("网格员小顾", "accept")
    chat.direct("春芽").writes("我报的楼道灯有人去看了没")
    assert chat.told("春芽") == ["LS00001 柳岸花园6幢照明：网格员正在处理。"]
    # The worker is pressed once a day, not with every question.
    assert len([alert for alert in chat.alerts() if alert.why == "asked"]) == 1


def test_asked_a_minute_after_the_report(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    group.says("春芽", "@邻声 灯修得怎么样了")

    assert len(group.bot_said) == 2, "who speaks to the bot is answered"


def test_a_private_matter_is_nobody_elses(chat: Scene) -> None:
    chat.at("2026-03-02 22:18").direct("二宝妈在线").writes("想悄悄反映一下 我家隔壁孩子老被打 3幢1单元 别说是我说的")
    assert chat.ticket().sensitive
    chat.wait("20 minutes")
    chat.direct("南瓜粥").writes("LS00001 处理到哪一步了")
    group = chat.group("桂雨名苑西区")
    group.says("南瓜粥", "@邻声 3幢打孩子那个处理到哪一步了")

    assert chat.told("南瓜粥") == ["没有找到您反映过的事。请说一下是什么事、在哪里，我来登记。"]
    assert "LS00001" not in "".join(group.bot_said)
    assert chat.ticket().reporters == ["二宝妈在线"]


@pytest.mark.parametrize("minutes", ["1 minute", "10 minutes", "30 minutes", "2 hours"])
@pytest.mark.parametrize(
    ("words", "place"),
    [("5幢路灯不亮了", "柳岸花园5幢"), ("3幢门口路灯不亮了", "柳岸花园3幢"), ("5幢电梯坏了", "柳岸花园5幢")],
)
def test_another_place_is_another_matter_once_the_first_is_done(
    chat: Scene, words: str, place: str, minutes: str
) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢路灯不亮了")
    first = chat.ticket()
    chat.presses("网格员小顾", "accept")
    chat.presses("网格员小顾", "done")
    chat.wait(minutes).group("柳岸花园南区").says("春芽", words)

    assert [ticket.place for ticket in chat.tickets()] == ["柳岸花园6幢", place]
    assert first.status == "resolved"


@pytest.mark.parametrize(
    "words", ["6幢路灯还是不亮", "6幢2单元那个路灯没修好", "没修好 又不亮了", "南区的路灯还是黑的 没修好"]
)
def test_the_same_place_again_is_the_same_matter(chat: Scene, words: str) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢路灯不亮了")
    chat.presses("网格员小顾", "accept")
    chat.presses("网格员小顾", "done")
    chat.wait("10 minutes").group("柳岸花园南区").says("春芽", words)

    assert chat.ticket().status in ("reopened", "assigned")
