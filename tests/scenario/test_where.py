"""Where a matter is, once more than one message or more than one matter is about it."""

from tests.scenario.chat import Scene

SOUTH = "柳岸花园南区"


def test_what_is_told_beside_another_matter_is_there(chat: Scene) -> None:
    chat.at("2026-03-02 19:30").group(SOUTH).says("春芽", "@邻声 南门的路灯坏了两个 还有旁边垃圾桶三天没人收了")

    places = {ticket.category: ticket.row.place for ticket in chat.tickets()}
    assert places == {"facility.lighting": "P-LA-GS", "sanitation.garbage": "P-LA-GS"}


def test_who_told_of_it_may_say_that_it_is_far_from_her_home(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 井盖翘起来了 差点绊一跤")
    (ticket,) = chat.tickets()
    before = ticket.row.place
    chat.wait("1 minute").group(SOUTH).says("春芽", "就在桂花糕店门口")

    assert before != "P-GHJ-GG"
    (ticket,) = chat.tickets()
    assert ticket.row.place == "P-GHJ-GG"


def test_a_neighbour_who_says_that_it_is_elsewhere_is_believed(chat: Scene) -> None:
    chat.at("2026-03-02 15:30").group(SOUTH).says("春芽", "@邻声 2幢楼道灯坏了")
    chat.wait("2 minutes").group(SOUTH).says("风吹柳", "是3幢 不是2幢 我刚从那过 楼道灯全黑的")

    assert [ticket.row.place for ticket in chat.tickets()] == ["P-LA-B03"]
