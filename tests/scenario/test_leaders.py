"""Leaders (微网格长) pass on what others told them; and who is alerted when it burns, or when somebody is away."""

from tests.scenario.chat import Scene


def test_in_her_own_words(chat: Scene) -> None:
    chat.at("2026-03-02 10:47").group("粮站宿舍").says("粮站桂芬", "刚碰到3幢的阿婆 她不会打字 说她家屋顶漏水")

    ticket = chat.ticket()
    assert (ticket.category, ticket.place, ticket.worker) == ("facility.building", "粮站宿舍3幢", "网格员小裴")
    assert ticket.reporters == ["粮站桂芬"]


def test_by_quoting_a_resident(chat: Scene) -> None:
    group = chat.at("2026-03-02 10:47").group("柳岸花园南区")
    said = group.says("春芽", "6幢单元门好像又弹不出来了")
    group.says("秀英姐", "@邻声 居民反映的 请登记", quote=said)

    assert chat.ticket().roles == ["report", "relay"]
    assert chat.ticket().reporters == ["春芽", "秀英姐"]


def test_by_quoting_what_the_bot_kept_silent_about(chat: Scene) -> None:
    group = chat.at("2026-03-02 10:47").group("柳岸花园南区")
    said = group.says("春芽", "昨晚回来那个门 手一碰它自己就开了")
    assert chat.tickets() == [], "choose other words: the bot was meant to miss this"
    group.says("秀英姐", "@邻声 这个麻烦处理一下", quote=said)

    # The quoted words are the matter; handing "this" to a human tells nobody anything.
    assert "手一碰它自己就开了" in chat.ticket().row.summary


def test_by_a_forwarded_record(chat: Scene) -> None:
    chat.at("2026-03-02 10:47").direct("秀英姐").says(
        "秀英姐", forwards=(("王阿姨", "6幢楼道灯不亮了 晚上摸黑"), ("李叔", "是啊 好几天了"))
    )
    ticket = chat.ticket()
    assert (ticket.category, ticket.place) == ("facility.lighting", "柳岸花园6幢")
    (alert,) = chat.alerts("网格员小顾")
    assert alert.card is not None
    assert alert.card.words == "6幢楼道灯不亮了 晚上摸黑\n是啊 好几天了"


def test_urgent_goes_to_the_communitys_staff_too(chat: Scene) -> None:
    chat.at("2026-03-02 07:20").group("桂雨名苑西区").says("西区何姐", "3幢的阿姨打电话给我 说楼道里好大的煤气味")
    assert (chat.ticket().category, chat.ticket().urgent) == ("safety.gas", True)
    assert [alert.to for alert in chat.alerts()] == ["网格员小岑", "桂花社区温书记", "桂花社区小邵"]
    assert all(alert.text.startswith("【紧急】LS00001") for alert in chat.alerts())


def test_what_becomes_urgent_goes_to_the_communitys_staff_too(chat: Scene) -> None:
    group = chat.at("2026-03-02 07:20").group("桂雨名苑西区")
    group.says("Kevin不加班", "4幢电梯坏了 停在三楼不动")
    assert not chat.ticket().urgent
    chat.at("07:23").says("Kevin不加班", "有人被困在电梯里面出不来")

    assert chat.ticket().urgent
    assert f"{chat.ticket().due[0]:%H:%M}" == "09:20"
    assert chat.alerts("网格员小岑")[-1].text.startswith("【紧急】LS00001")
    assert len(chat.alerts("桂花社区温书记")) == 1


def test_on_leave_the_deputy_is_alerted(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").on_leave("网格员小顾", days=3, deputy="网格员小裴")
    chat.group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")

    (alert,) = chat.alerts()
    assert (alert.to, alert.why, chat.ticket().worker) == ("网格员小裴", "deputy of W01", "网格员小裴")
    chat.presses("网格员小裴", "accept")
    assert chat.ticket().status == "accepted"


def test_back_from_leave(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").on_leave("网格员小顾", days=3, deputy="网格员小裴")
    chat.wait("4 days").group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")

    assert chat.ticket().worker == "网格员小顾"
