"""Questions to the bot: answered from the table, or handed to a human."""

from tests.scenario.chat import Scene


def test_answered_from_the_table(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group("桂花社区居民群").says("丝丝入扣", "@邻声 社区几点上班")
    assert chat.bot_said()[-1].startswith("社区服务大厅周一至周五 8:30-12:00")
    private = chat.direct("丝丝入扣")
    private.writes("老年证怎么办")
    assert private.bot_said[-1].startswith("老年卡、高龄津贴")
    assert chat.alerts() == []
    assert chat.tickets() == []


def test_what_the_table_does_not_know(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group("桂花社区居民群").says("丝丝入扣", "@邻声 社区有没有免费的瑜伽课")

    assert chat.bot_said() == ["已转给社区工作人员，会尽快回复您。"]
    (alert,) = chat.alerts()
    assert (alert.to, alert.why) == ("桂花社区温书记", "question")
    assert "社区有没有免费的瑜伽课" in alert.text


def test_staff_learn_who_asked_and_where(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").direct("丝丝入扣").writes("转人工")

    (alert,) = chat.alerts("桂花社区温书记")
    # Without it nobody can answer: the staff see the words only.
    assert "丝丝入扣" in alert.text


def test_a_human_please(chat: Scene) -> None:
    private = chat.at("2026-03-02 15:30").direct("春芽")
    private.writes("转人工")

    assert private.bot_said == ["已转给社区工作人员，会尽快回复您。"]
    assert [alert.to for alert in chat.alerts()] == ["柳岸社区余书记"]


def test_an_order(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group("桂花社区居民群").says("丝丝入扣", "@邻声 帮我约个修空调的师傅")

    assert chat.bot_said() == ["收到，已转给社区工作人员联系服务，会尽快回复您。"]
    assert [alert.to for alert in chat.alerts()] == ["桂花社区温书记"]


def test_a_greeting_gets_help_and_thanks_get_nothing(chat: Scene) -> None:
    private = chat.at("2026-03-02 15:30").direct("春芽")
    private.writes("你好")
    assert private.bot_said[-1].startswith("您好，我是邻声。")
    private.writes("谢谢")
    assert len(private.bot_said) == 1
    assert chat.alerts() == []


def test_a_greeting_in_the_group(chat: Scene) -> None:
    group = chat.at("2026-03-02 15:30").group("柳岸花园南区")
    group.says("春芽", "@邻声 你好")

    assert len(group.bot_said) == 1
    assert group.bot_said[0].startswith("您好，我是邻声。")


def test_who_is_in_charge(chat: Scene) -> None:
    private = chat.at("2026-03-02 15:30").direct("春芽")
    private.writes("我们的网格员是谁")

    assert private.bot_said == ["这里的网格员：网格员小顾；微网格长：秀英姐。"]


def test_who_is_in_charge_of_somebody_nobody_knows(chat: Scene) -> None:
    private = chat.at("2026-03-02 15:30").direct("过客")
    private.writes("我们这里的网格员是谁")
    assert private.bot_said[-1].startswith("请问您住在哪个小区、几幢？")
    private.writes("柳岸花园3幢的网格员是谁")
    assert private.bot_said[-1] == "这里的网格员：网格员小顾；微网格长：秀英姐。"
    assert chat.alerts() == []


def test_where_no_leader_listens_none_is_named(chat: Scene) -> None:
    """桂雨名苑 as a whole has several micro-grids, and a leader in each of them only."""
    private = chat.at("2026-03-02 15:30").direct("过客")
    private.writes("桂雨名苑的网格员是谁")
    assert private.bot_said[-1].startswith("这里的网格员：")
    assert "微网格长" not in private.bot_said[-1]


def test_who_would_report_something_is_asked_what_and_where(chat: Scene) -> None:
    private = chat.at("2026-03-02 15:30").direct("过客")
    private.writes("我要反映问题")
    assert private.bot_said[-1].startswith("好的，请说一下是什么事、在哪里")
    assert (chat.alerts(), chat.tickets()) == ([], [])
    private.writes("反映一个问题，柳岸花园3幢楼道灯坏了好几天")
    assert len(chat.tickets()) == 1


def test_who_is_in_charge_is_not_said_in_the_group(chat: Scene) -> None:
    group = chat.at("2026-03-02 15:30").group("柳岸花园南区")
    group.says("春芽", "@邻声 我们的网格员是谁")

    assert group.bot_said == []
    assert chat.told("春芽") == ["这里的网格员：网格员小顾；微网格长：秀英姐。"]


def test_who_is_in_charge_of_her_in_a_wider_group(chat: Scene) -> None:
    group = chat.at("2026-03-02 15:30").group("桂花社区居民群")
    group.says("丝丝入扣", "@邻声 我们这里的网格员是谁")

    # She lives in 丝厂公寓: the secretary of the whole community is not her gridworker.
    assert chat.told("丝丝入扣") == ["这里的网格员：网格员小闻；微网格长：丝厂玉兰。"]


def test_a_question_among_neighbours_is_theirs(chat: Scene) -> None:
    group = chat.at("2026-03-02 15:30").group("桂花社区居民群")
    group.says("丝丝入扣", "周末有人一起去爬山吗")
    group.says("东区晴天", "谁家有多余的纸箱")

    assert chat.lines() == []
