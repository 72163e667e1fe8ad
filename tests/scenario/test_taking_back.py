"""What is taken back by the one who said it is withdrawn, and the worker is told."""

from tests.scenario.chat import Scene


def test_a_recalled_report_is_withdrawn(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    said = group.says("豆豆妈", "1幢停水了 一滴都没有")
    group.recalls("豆豆妈", said)

    assert chat.ticket().status == "withdrawn"
    assert (chat.ticket().row.summary, chat.ticket().messages) == ("", ["", ""])
    assert chat.alerts("网格员小顾")[-1].text == "【已撤销】LS00001 居民说不用处理了。"
    assert chat.ticket().due == []


def test_not_needed_any_more(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    group.says("豆豆妈", "1幢停水了 一滴都没有")
    chat.at("09:21").says("豆豆妈", "不用了不用了 已经好了 是总阀关了")

    assert chat.ticket().status == "withdrawn"
    assert chat.bot_said()[-1] == "好的，LS00001 已撤销。有需要随时再说。"
    assert [alert.to for alert in chat.alerts()] == ["网格员小顾", "网格员小顾"]
    chat.wait("5 days")
    assert len(chat.alerts()) == 2


def test_somebody_else_takes_nothing_back(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    said = group.says("豆豆妈", "1幢停水了 一滴都没有")
    group.says("春芽", "不用了不用了 已经好了")
    group.recalls("春芽", said)

    assert chat.ticket().status == "assigned"
    assert chat.ticket().messages == ["1幢停水了 一滴都没有"]
    assert len(chat.bot_said()) == 1


def test_who_only_joined_takes_only_herself_out(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    group.says("豆豆妈", "1幢停水了 一滴都没有")
    group.says("老陈不钓鱼", "3幢也停了")
    group.says("老陈不钓鱼", "不用了不用了 已经好了")

    assert chat.ticket().status == "assigned", "1幢 is dry still"


def test_the_matter_of_the_others_stays(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    group.says("豆豆妈", "1幢停水了 一滴都没有")
    group.says("老陈不钓鱼", "3幢也停了")
    group.says("豆豆妈", "不用了不用了 已经好了")

    assert chat.ticket().status == "assigned", "3幢 is dry still"


def test_recalled_words_are_not_kept(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    group.says("春芽", "楼道灯又不亮了")
    said = group.says("春芽", "6幢的")
    group.recalls("春芽", said)

    assert "6幢的" not in chat.ticket().messages
    assert "6幢的" not in chat.ticket().row.summary


def test_recalled_words_for_a_place_are_no_evidence(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    said = group.says("春芽", "@邻声 鸭子塘边上的路灯不亮了")
    assert any("鸭子塘" in line for line in chat.ticket().row.evidence)
    group.recalls("春芽", said)

    assert not any("鸭子塘" in line for line in chat.ticket().row.evidence)


def test_a_recalled_picture_is_not_used(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    photo = group.says("春芽", photo="selfie.jpg")
    group.recalls("春芽", photo)
    group.says("春芽", "6幢楼道灯不亮了")

    assert chat.ticket().photos == []


def test_what_is_said_after_a_withdrawal_is_not_lost(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢停水了 一滴都没有")
    group.says("春芽", "不用了 好了 来水了")
    assert chat.ticket().status == "withdrawn"
    chat.wait("20 minutes")
    group.says("春芽", "6幢又停水了 一滴都没有")

    assert [ticket.status for ticket in chat.tickets()] == ["withdrawn", "assigned"]


def test_an_emergency_on_a_finished_matter_is_not_lost(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group("柳岸花园南区")
    group.says("春芽", "6幢电梯坏了 停在一楼不动")
    chat.presses("网格员小顾", "done")
    chat.wait("30 minutes")
    group.says("春芽", "电梯又停了 有人困在里面")

    assert any(ticket.row.urgent and ticket.row.is_open for ticket in chat.tickets())
    assert [alert for alert in chat.alerts() if "紧急" in alert.text or "退回重办" in alert.text]
