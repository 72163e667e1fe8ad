"""What is meant by a bare number: a worker's ticket, and one of the places that the bot had asked about."""

import pytest

from tests.scenario.chat import Scene


def two_dark_stairs(chat: Scene) -> None:
    """Two tickets of 网格员小顾's that her words cannot tell apart."""
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    chat.at("2026-03-02 08:40").says("风吹柳", "5幢楼道灯也坏了 一直闪")
    assert len(chat.tickets()) == 2


@pytest.mark.parametrize(
    "words", ["接单 2", "接单2", "2 接单", "2接单", "接单：2", "接单#2", "接单2号", "接单 2 号单", "接单２"]
)
def test_a_worker_names_the_ticket_by_its_number(chat: Scene, words: str) -> None:
    two_dark_stairs(chat)
    worker = chat.wait("5 minutes").direct("网格员小顾")
    worker.writes(words)

    assert [ticket.status for ticket in chat.tickets()] == ["assigned", "accepted"]
    assert worker.bot_said[-1].startswith("已接单：LS00002")


@pytest.mark.parametrize(
    "words", ["接单 7", "接单", "接单 1 2", "接单 2幢", "接单 2单元", "2小时后接单", "周二接单", "到场，2号门进不去"]
)
def test_a_number_that_is_none_of_hers_names_nothing(chat: Scene, words: str) -> None:
    two_dark_stairs(chat)
    worker = chat.wait("5 minutes").direct("网格员小顾")
    worker.writes(words)

    assert [ticket.status for ticket in chat.tickets()] == ["assigned", "assigned"]
    assert worker.bot_said[-1] == "请带上单号，您手上的有：LS00001、LS00002"


@pytest.mark.parametrize("words", ["转给2号网格员", "转派2号网格"])
def test_a_grid_is_no_ticket(chat: Scene, words: str) -> None:
    two_dark_stairs(chat)
    before = [ticket.worker for ticket in chat.tickets()]
    worker = chat.wait("5 minutes").direct("网格员小顾")
    worker.writes(words)

    assert [ticket.worker for ticket in chat.tickets()] == before
    assert worker.bot_said[-1] == "请带上单号，您手上的有：LS00001、LS00002"


@pytest.mark.parametrize("words", ["接单 2", "到场，2号门进不去", "接单，2号网格那边"])
def test_what_she_quotes_is_meant_whatever_number_stands_beside_it(chat: Scene, words: str) -> None:
    two_dark_stairs(chat)
    worker = chat.wait("5 minutes").direct("网格员小顾")
    worker.writes(words, quote=chat.alerts("网格员小顾")[0])

    assert [ticket.status == "assigned" for ticket in chat.tickets()] == [False, True]


def asked_which(chat: Scene) -> None:
    """A ticket at one of three committees; nobody the town knows, so that her home cannot say which one is meant."""
    chat.at("2026-03-02 19:00").group("清溪街道工作群").says("新来的租客", "@邻声 居委会门口的路灯不亮了")
    assert "柳岸社区居委会、桂花社区居委会、白石社区居委会" in chat.bot_said()[-1]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("第一个", "柳岸社区居委会"), ("1", "柳岸社区居委会"), ("一", "柳岸社区居委会"), ("第1个", "柳岸社区居委会"),
        ("第二个吧", "桂花社区居委会"), ("选2", "桂花社区居委会"), ("２", "桂花社区居委会"),
        ("@邻声 2", "桂花社区居委会"), ("第三处。", "白石社区居委会"), ("三", "白石社区居委会"),
    ],
)  # fmt: skip
def test_one_of_the_places_is_picked_by_its_number(chat: Scene, words: str, place: str) -> None:
    asked_which(chat)
    chat.says("新来的租客", words)

    (ticket,) = chat.tickets()
    assert ticket.place == place
    assert chat.bot_said()[-1] == f"好的，LS00001 的地点已记为 {place}。"


def asked_which_building(chat: Scene) -> None:
    """Two buildings, and no number before either name."""
    chat.at("2026-03-02 19:00").group("柳岸花园南区").says("新来的租客", "@邻声 3幢或者2幢楼道灯坏了")
    assert "柳岸花园2幢、柳岸花园3幢" in chat.bot_said()[-1]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("2", "柳岸花园2幢"), ("3", "柳岸花园3幢"), ("三", "柳岸花园3幢"), ("应该是3吧", "柳岸花园3幢"),
        ("1", "柳岸花园2幢"), ("第2个", "柳岸花园3幢"), ("第二", "柳岸花园3幢"), ("2处", "柳岸花园3幢"),
    ],
)  # fmt: skip
def test_a_buildings_own_number_comes_before_its_turn(chat: Scene, words: str, place: str) -> None:
    asked_which_building(chat)
    chat.says("新来的租客", words)

    assert chat.ticket().place == place


@pytest.mark.parametrize(
    "words", ["3幢", "在3幢", "就是3幢那里", "我们3幢的", "柳岸花园3幢。", "三幢吧", "３幢", "柳岸花園3幢"]
)
def test_a_place_alone_is_the_answer(chat: Scene, words: str) -> None:
    """However much it may look like a matter of its own: she was asked where it is. It is no vote on the kind."""
    asked_which_building(chat)
    votes = chat.ticket().row.reading["votes"]
    chat.says("新来的租客", words)

    assert chat.ticket().place == "柳岸花园3幢"
    assert chat.ticket().row.reading["votes"] == votes


def test_a_place_far_from_the_chats_is_the_answer_too(chat: Scene) -> None:
    chat.at("2026-03-02 19:00").group("柳岸花园南区").says("新来的租客", "@邻声 楼道灯不亮了 黑漆漆的")
    assert "请问具体在哪里" in chat.bot_said()[-1]
    chat.says("新来的租客", "@邻声 白石新苑5幢")

    assert chat.ticket().place == "白石新苑5幢"
    assert "白石新苑5幢" in chat.bot_said()[-1]


@pytest.mark.parametrize("words", ["3幢呢", "3幢？", "@东区晴天 3幢", "6幢", "柳岸花园南区", "不是3幢"])
def test_what_is_no_answer_moves_nothing(chat: Scene, words: str) -> None:
    """Asked of a neighbour, said to one, none of those shown, no finer than what is known."""
    asked_which_building(chat)
    before = chat.tickets()[0].place
    chat.says("新来的租客", words)

    assert chat.tickets()[0].place == before


def test_somebody_elses_place_answers_nothing(chat: Scene) -> None:
    asked_which_building(chat)
    before = chat.tickets()[0].place
    chat.says("东区晴天", "3幢")

    assert chat.tickets()[0].place == before


def test_words_to_what_another_wrote_are_about_that(chat: Scene) -> None:
    """With her own question open she points the bot to a neighbour's message: its place is not her answer."""
    group = chat.at("2026-03-02 18:50").group("柳岸花园南区")
    theirs = group.says("东区晴天", "6幢垃圾桶满出来了 没人收")
    chat.at("19:00").group("柳岸花园南区").says("新来的租客", "@邻声 3幢或者2幢楼道灯坏了")
    mine = next(ticket for ticket in chat.tickets() if "楼道灯" in ticket.row.summary)
    group.says("新来的租客", "@邻声 那里", quote=theirs)

    assert next(ticket for ticket in chat.tickets() if ticket.number == mine.number).place == mine.place


def test_more_than_a_place_is_read_like_any_message(chat: Scene) -> None:
    asked_which_building(chat)
    chat.says("新来的租客", "@邻声 6幢的垃圾桶满出来了 没人收")

    assert [ticket.place for ticket in chat.tickets()][1:] == ["柳岸花园6幢"]


def test_the_worker_reads_which_place_was_picked(chat: Scene) -> None:
    asked_which(chat)
    chat.says("新来的租客", "第三个")

    assert chat.alerts()[-1].text.startswith("【")
    assert any("白石社区居委会" in alert.text for alert in chat.alerts()[1:])


def test_what_was_answered_is_not_asked_any_more(chat: Scene) -> None:
    asked_which(chat)
    chat.says("新来的租客", "第二个")
    said = len(chat.bot_said())
    chat.says("新来的租客", "第一个")

    assert chat.ticket().place == "桂花社区居委会"
    assert len(chat.bot_said()) == said


@pytest.mark.parametrize("words", ["第四个", "4", "1234", "11", "第一次来", "三楼", "二"])
def test_what_picks_none_of_two_places_says_nothing(chat: Scene, words: str) -> None:
    """Of somebody else, or of nothing that was shown."""
    asked_which(chat)
    before = chat.ticket().place
    chat.says("东区晴天" if words == "二" else "新来的租客", words)

    assert chat.ticket().place == before
    assert "地点已记为" not in chat.bot_said()[-1]


def test_once_it_is_done_a_number_picks_no_place(chat: Scene) -> None:
    """Then it is a rating, or nothing."""
    asked_which(chat)
    chat.presses(chat.ticket().worker, "done")
    before = chat.ticket().place
    chat.says("新来的租客", "3")

    assert chat.ticket().place == before
    assert "地点已记为" not in chat.bot_said()[-1]
