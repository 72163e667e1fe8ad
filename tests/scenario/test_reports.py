"""A resident tells of something: one ticket at once, one alert to the right worker, one short answer."""

from tests.scenario.chat import Scene


def test_a_report_becomes_a_ticket_at_once(chat: Scene) -> None:
    chat.at("2026-03-02 19:46").group("柳岸花园南区").says("风吹柳", "3幢2单元楼道灯坏了 晚上黑漆漆的")

    ticket = chat.ticket()
    assert (ticket.number, ticket.category, ticket.row.tier) == ("LS00001", "facility.lighting", 1)
    assert (ticket.place, ticket.row.spot, ticket.grid) == ("柳岸花园3幢", "2单元", "QX-01-01-01")
    assert (ticket.status, ticket.worker, ticket.urgent) == ("assigned", "网格员小顾", False)
    assert ticket.reporters == ["风吹柳"]


def test_the_gridworker_gets_a_card(chat: Scene) -> None:
    chat.at("2026-03-02 19:46").group("柳岸花园南区").says("风吹柳", "3幢2单元楼道灯坏了 晚上黑漆漆的")

    (alert,) = chat.alerts()
    assert (alert.to, alert.why) == ("网格员小顾", "gridworker QX-01-01")
    assert alert.card is not None
    assert dict(alert.card.facts) == {
        "地点": "柳岸花园3幢2单元", "网格": "柳岸花园南区", "类别": "公共设施/照明", "时限": "3月2日 24:00",
    }  # fmt: skip
    assert alert.card.words == "3幢2单元楼道灯坏了 晚上黑漆漆的"
    assert [button.action for button in alert.card.buttons] == ["accept:1", "transfer:1", "done:1"]


def test_the_group_gets_one_short_answer(chat: Scene) -> None:
    chat.at("2026-03-02 19:46").group("柳岸花园南区").says("风吹柳", "3幢2单元楼道灯坏了 晚上黑漆漆的")

    (answer,) = chat.bot_said()
    assert "LS00001" in answer
    assert len(answer) < 60
    # The rest of what a group may not hear is checked after every scenario.
    assert not [word for word in ("风吹柳", "小顾", "2单元") if word in answer]


def test_one_answer_for_a_burst(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("风吹柳", "5幢楼下下水道堵了 污水冒出来了 臭死了")
    group.says("风吹柳", "臭得要命 走都走不过去")
    group.says("风吹柳", photo="IMG_1.jpg")

    assert chat.ticket().roles == ["report", "detail", "detail"]
    assert len(chat.bot_said()) == 1
    assert len(chat.alerts()) == 1


def test_a_photo_before_and_a_photo_after(chat: Scene) -> None:
    group = chat.at("2026-03-02 07:41").group("柳岸花园南区")
    group.says("风吹柳", photo="before.jpg")
    assert chat.tickets() == []
    chat.at("07:43").says("风吹柳", "垃圾亭满出来了 三天没人来收")
    chat.at("07:45").says("风吹柳", photo="after.jpg")
    chat.at("07:46").says("春芽", photo="lunch.jpg")

    assert chat.ticket().place == "柳岸花园南区垃圾亭"
    assert chat.ticket().photos == ["before.jpg", "after.jpg"]
    assert len(chat.bot_said()) == 1


def test_a_pin_before_the_words_says_where(chat: Scene) -> None:
    group = chat.at("2026-03-02 12:20").group("桂花社区居民群")
    group.says("东区晴天", pin=(118.9155, 28.95925))
    group.says("东区晴天", "路上塌了个坑 脸盆那么大 电瓶车差点栽进去")

    assert (chat.ticket().category, chat.ticket().place) == ("city.road", "桂花糕店")
    assert chat.ticket().worker == "网格员小岑"


def test_a_report_without_a_place_is_asked_about_once(chat: Scene) -> None:
    chat.at("2026-03-02 19:00").group("柳岸花园南区").says("春芽", "楼道灯又不亮了")

    # The question holds nothing back: the worker knows already, the deadline runs. Her home is a guess, not said here.
    ticket = chat.ticket()
    assert (ticket.status, ticket.place, ticket.worker, len(ticket.due)) == ("assigned", "柳岸花园6幢", "网格员小顾", 1)
    assert "6幢" not in chat.bot_said()[-1]
    assert len(chat.alerts("网格员小顾")) == 1
    assert "请问具体在哪里" in chat.bot_said()[-1]

    chat.wait("10 minutes").says("春芽", "楼道灯还是不亮啊")
    assert len(chat.bot_said()) == 1


def test_the_answer_refines_the_ticket(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:00").group("柳岸花园南区")
    group.says("春芽", "楼道灯又不亮了")
    group.says("春芽", "6幢的")

    assert chat.ticket().place == "柳岸花园6幢"
    assert chat.bot_said()[-1] == "好的，LS00001 的地点已记为 柳岸花园6幢。"
    assert chat.alerts("网格员小顾")[-1].text == "【补充】LS00001：6幢的"


def test_the_answer_may_be_the_first_choice(chat: Scene) -> None:
    # Nobody the town knows: her home cannot say which one is meant.
    group = chat.at("2026-03-02 19:00").group("清溪街道工作群")
    group.says("新来的租客", "@邻声 居委会门口的路灯不亮了")
    assert "柳岸社区居委会、桂花社区居委会、白石社区居委会" in chat.bot_said()[-1]
    group.says("新来的租客", "柳岸居委会")

    assert chat.ticket().place == "柳岸社区居委会"
    assert chat.bot_said()[-1] == "好的，LS00001 的地点已记为 柳岸社区居委会。"


def test_a_wrong_place_is_corrected(chat: Scene) -> None:
    group = chat.at("2026-03-02 16:48").group("柳岸花园南区")
    group.says("风吹柳", "5幢单元门锁坏了 关不上")
    group.says("风吹柳", "打错了 是6幢")

    assert (chat.ticket().category, chat.ticket().place) == ("facility.access", "柳岸花园6幢")
    assert chat.bot_said()[-1] == "好的，LS00001 已更正为 柳岸花园6幢。"
    assert len(chat.alerts("网格员小顾")) == 2


def test_not_this_building_but_that_one(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", "4幢门口下水道堵了 污水都冒出来了")
    group.says("风吹柳", "不是4幢 是5幢")

    assert chat.ticket().place == "柳岸花园5幢"


def test_a_neighbour_who_knows_better_corrects_the_place(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", "4幢门口下水道堵了 污水都冒出来了")
    chat.at("09:04").says("小满要早睡", "不是4幢 是5幢门口 我刚从那走过 污水流了一地")

    (ticket,) = chat.tickets()
    assert ticket.place == "柳岸花园5幢"


def test_a_correction_into_anothers_area_moves_the_work(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸社区居民群")
    group.says("小满要早睡", "柳岸花园3幢门口下水道堵了 污水冒出来了")
    assert chat.ticket().worker == "网格员小顾"
    group.says("小满要早睡", "打错了 是机械厂新村3幢")

    assert (chat.ticket().place, chat.ticket().worker) == ("机械厂新村3幢", "网格员小裴")
    assert len(chat.alerts("网格员小裴")) == 1


def test_two_matters_in_one_message(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says(
        "小满要早睡", "3幢楼道灯不亮了，另外南门口垃圾堆了好几天没人收"
    )
    assert [(ticket.category, ticket.place) for ticket in chat.tickets()] == [
        ("facility.lighting", "柳岸花园3幢"),
        ("sanitation.garbage", "柳岸花园南门"),
    ]
    assert len(chat.alerts("网格员小顾")) == 2
    # One answer, and it names both.
    (answer,) = chat.bot_said()
    assert "LS00001" in answer
    assert "LS00002" in answer


def test_pictures_after_two_matters_show_them_in_turn(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了，另外南门口垃圾堆了好几天没人收")
    for photo in ("lamp.jpg", "rubbish.jpg", "more.jpg"):
        group.says("小满要早睡", photo=photo)

    assert [ticket.photos for ticket in chat.tickets()] == [["lamp.jpg"], ["rubbish.jpg", "more.jpg"]]


def test_a_picture_after_words_about_one_of_two_matters_shows_that_one(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了，另外南门口垃圾堆了好几天没人收")
    group.says("小满要早睡", "垃圾桶边上都下不去脚了")
    group.says("小满要早睡", photo="rubbish.jpg")

    assert [ticket.photos for ticket in chat.tickets()] == [[], ["rubbish.jpg"]]


def test_who_speaks_to_the_bot_is_answered_each_time(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("风吹柳", "5幢楼下下水道堵了 污水冒出来了 臭死了")
    group.says("风吹柳", "@邻声 南门口垃圾也没人收 堆成山了")

    assert len(chat.tickets()) == 2
    assert "LS00002" in chat.bot_said()[-1]


def test_a_stranger_without_a_place_is_not_lost(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").direct("新来的租客").writes("楼道灯坏了好几天 没人修")

    assert chat.ticket().grid is None
    assert chat.alerts() != [], "somebody has to know of it, whoever that is"
