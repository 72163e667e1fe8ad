"""What workers press and say; and that nobody else can."""

import pytest

from tests.scenario.chat import Scene
from tests.scenario.seen import TicketView


def a_dark_stair(chat: Scene) -> TicketView:
    """One ticket of 网格员小顾's."""
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    return chat.ticket()


def a_dead_lift(chat: Scene) -> TicketView:
    """One ticket whose category has a department of its own."""
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "6幢电梯坏了 停在三楼不动")
    return chat.ticket()


def test_accepted_by_the_button(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    chat.presses("网格员小顾", "accept")

    assert (ticket.status, ticket.worker) == ("accepted", "网格员小顾")
    assert chat.bot_said()[-1] == "LS00001 网格员已接单，正在处理。"
    assert chat.told("网格员小顾")[-1].startswith("已接单：LS00001")
    chat.presses("网格员小顾", "accept")
    assert ticket.events.count("accepted") == 1


def test_accepted_arrived_and_done_by_words(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    worker = chat.wait("5 minutes").direct("网格员小顾")
    worker.writes("接单")
    assert ticket.status == "accepted"
    chat.wait("15 minutes")
    worker.writes("到了")
    assert ticket.events[-1] == "arrived"
    chat.wait("15 minutes")
    worker.writes("修好了", photo="IMG_done.jpg")

    assert ticket.status == "resolved"
    assert ticket.photos == ["IMG_done.jpg"]
    assert ticket.due == []
    _, accepted, arrived, done = chat.bot_said(group)
    assert (accepted, arrived) == ("LS00001 网格员已接单，正在处理。", "LS00001 网格员已到现场。")
    assert "请评价" in done


def test_transferred_by_the_route(chat: Scene) -> None:
    ticket = a_dead_lift(chat)
    group = chat.room
    chat.presses("网格员小顾", "transfer")

    assert (ticket.worker, ticket.status) == ("电梯维保小祝", "assigned")
    assert chat.alerts("电梯维保小祝")[-1].text.startswith("【转派】LS00001 电梯")
    assert chat.bot_said(group)[-1] == "LS00001 已转 顺达电梯维保 办理，我们会继续跟进。"
    chat.presses("电梯维保小祝", "done")
    assert ticket.status == "resolved"


def test_transferred_to_a_named_department(chat: Scene) -> None:
    ticket = a_dead_lift(chat)
    chat.direct("网格员小顾").writes("转给物业")

    assert ticket.worker == "柳岸物业段经理"


@pytest.mark.parametrize("words", ["转派", "转给城建办"])
def test_transferred_to_a_department_of_the_street(chat: Scene, words: str) -> None:
    group = chat.at("2026-03-02 08:52").group("粮站宿舍")
    group.says("粮仓老李", "2幢门口下水道返水 一地脏水")
    chat.direct("网格员小裴").writes(words)

    # routes.csv: facility, QX, 城建办; people.csv: 街道城建办老钱 is its man.
    assert chat.ticket().worker == "街道城建办老钱"
    assert chat.bot_said(group)[-1] == "LS00001 已转 城建办 办理，我们会继续跟进。"


def test_given_back_by_the_department(chat: Scene) -> None:
    ticket = a_dead_lift(chat)
    group = chat.room
    chat.presses("网格员小顾", "transfer")
    said = len(chat.bot_said(group))
    chat.direct("电梯维保小祝").writes("退回 不归我们修")

    assert ticket.worker in ("网格员小顾", "柳岸社区余书记", "柳岸社区小汪")
    assert not [line for line in chat.bot_said(group)[said:] if ticket.worker in line]


def test_dismissed(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    said = len(chat.bot_said(group))
    chat.direct("网格员小顾").writes("非诉求 物业在换灯")

    assert ticket.status == "dismissed"
    assert chat.told("网格员小顾") == ["LS00001 已标为非诉求。"]
    chat.wait("10 days")
    # The group had been promised to hear of it, and does, once.
    assert chat.bot_said(group)[said:] == ["LS00001 已核实，暂不需要处理。情况不是这样的话请再说一声。"]
    assert len(chat.alerts()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "还没处理好 明天再去",
        "LS00001 没完成",
        "快到了 堵在路上",
        "还没到场",
        "这单我不能接单",
        "LS00001 明天办结",
        "收到了",
    ],
)
def test_not_yet_is_no_command(chat: Scene, text: str) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    said = chat.bot_said(group)
    chat.direct("网格员小顾").writes(text)

    assert ticket.status in ("assigned", "accepted")
    assert [line for line in chat.bot_said(group) if "办结" in line or "到现场" in line or line not in said][1:] == []
    assert not any("办结" in line or "到现场" in line for line in chat.bot_said(group))


def test_a_closed_ticket_is_not_handed_on(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    chat.presses("网格员小顾", "done")
    chat.presses("网格员小顾", "transfer")

    assert (ticket.status, ticket.worker) == ("resolved", "网格员小顾")
    assert "不能这样操作" in chat.told("网格员小顾")[-1]


@pytest.mark.parametrize("name", ["路过的人", "风吹柳", "春芽", "秀英姐", "网格员小裴", "桂花社区小邵"])
def test_who_has_no_duty_there_changes_nothing(chat: Scene, name: str) -> None:
    ticket = a_dark_stair(chat)
    lines = len(chat.alerts())
    pressed = chat.presses(name, "done", ticket)

    assert (ticket.status, ticket.worker) == ("assigned", "网格员小顾")
    assert chat.outcome(pressed) == "refused"
    assert chat.told(name) == ["这张单不在您的职责范围内，没有改动。"]
    assert (ticket.history[-1].what, ticket.history[-1].note) == ("refused", "done")
    assert len(chat.alerts()) == lines


def test_what_is_done_cannot_be_accepted(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    chat.presses("网格员小顾", "done")
    chat.presses("网格员小顾", "accept")

    assert ticket.status == "resolved"
    assert chat.told("网格员小顾")[-1] == "LS00001 现在是“已办结，等待评价”，不能这样操作。"


def test_a_key_that_means_nothing(chat: Scene) -> None:
    a_dark_stair(chat)
    for key in ("done:99", "done:", "drop:1", "done:1e9"):
        chat.deliver(chat.direct("网格员小顾"), "网格员小顾", action=key)

    assert chat.ticket().status == "assigned"
    assert chat.told("网格员小顾") == ["这张单不在您的职责范围内，没有改动。"] * 4


def two_in_hand(chat: Scene) -> tuple[TicketView, TicketView]:
    """Two tickets of 网格员小顾's."""
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    group.says("风吹柳", "垃圾亭满出来了 三天没人来收")
    first, second = chat.tickets()
    return first, second


def test_two_in_hand_and_none_named(chat: Scene) -> None:
    first, second = two_in_hand(chat)
    chat.direct("网格员小顾").writes("接单")

    assert (first.status, second.status) == ("assigned", "assigned")
    assert chat.told("网格员小顾") == ["请带上单号，您手上的有：LS00001、LS00002"]


def test_named_by_number_or_quoted(chat: Scene) -> None:
    first, second = two_in_hand(chat)
    worker = chat.direct("网格员小顾")
    worker.writes("LS00002 接单")
    assert (first.status, second.status) == ("assigned", "accepted")
    worker.writes("办结", quote=chat.alerts("网格员小顾")[0])
    assert (first.status, second.status) == ("resolved", "accepted")
    worker.writes("办结")  # the only one left
    assert second.status == "resolved"


def test_the_list_of_open_work(chat: Scene) -> None:
    two_in_hand(chat)
    worker = chat.direct("网格员小顾")
    worker.writes("我手上还有几件")

    head, *lines = chat.told("网格员小顾")[-1].splitlines()
    assert head == "您手上有 2 件："
    assert lines == [
        "LS00001 照明 柳岸花园6幢（已派单，等待网格员接单，3月2日 24:00到期）",
        "LS00002 垃圾清运 柳岸花园南区垃圾亭（已派单，等待网格员接单，3月2日 24:00到期）",
    ]
    chat.direct("网格员小岑").writes("我手上有哪些待办")
    assert chat.told("网格员小岑") == ["您手上没有待办的单子。"]


def test_what_she_finds_on_her_round(chat: Scene) -> None:
    chat.at("2026-03-02 15:00").direct("网格员小顾").writes("5幢门口井盖破了一个大洞 很危险")

    ticket = chat.ticket()
    assert (ticket.category, ticket.place, ticket.reporters) == ("facility.manhole", "柳岸花园5幢", ["网格员小顾"])


IDLE_WORDS = ["你好", "您好", "早上好", "大家好", "谢谢", "嗯嗯", "hi", "喂", "今天天气不错", "我在巡逻", "晚安"]


@pytest.mark.parametrize("words", IDLE_WORDS)
@pytest.mark.parametrize("who", ["网格员小顾", "柳岸社区余书记"])
def test_what_is_said_idly_is_no_find(chat: Scene, who: str, words: str) -> None:
    chat.at("2026-03-02 15:00").direct(who).writes(words)
    assert chat.tickets() == []
    assert chat.alerts() == []


@pytest.mark.parametrize("words", ["你好", "大家好", "谢谢", "新年快乐"])
def test_a_greeting_is_no_note_either(chat: Scene, words: str) -> None:
    chat.at("2026-03-02 14:00").group("柳岸花园南区").says("春芽", "6幢2单元楼道灯不亮了")
    before = chat.ticket().events
    chat.direct("网格员小顾").writes(words)
    assert (chat.ticket().events, chat.tickets()) == (before, [chat.ticket()])


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("路边井盖没了 赶快来人", "facility.manhole"),
        ("3幢路灯不亮了", "facility.lighting"),
        ("楼道里堆满了纸箱 消防通道堵死了", "safety"),
        ("井盖没了", "facility.manhole"),
        ("下水道堵了 污水横流", "facility.drainage"),
        ("着火了", "safety.fire"),
    ],
)
def test_finds_in_few_words_are_still_finds(chat: Scene, words: str, kind: str) -> None:
    chat.at("2026-03-02 15:00").direct("网格员小顾").writes(words)
    assert chat.ticket().category.startswith(kind)
