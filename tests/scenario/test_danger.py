"""How bad it is comes out over several messages: each alone leaves it open."""

from dataclasses import replace

import pytest

from bot.sender import Sender
from nlu.embedded import EmbeddedEngine
from nlu.types import Names, Understanding, Utterance
from tests.bot.test_sender import Recorder
from tests.scenario.chat import Scene
from tests.scenario.corrections import STAFF, press


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine is asked to read as one; there is danger in it, when it speaks of a tingling hand."""
    asked: list[str] = []

    def again(engine: EmbeddedEngine, words: Utterance, names: Names) -> Understanding:
        asked.append(words.text)
        return replace(engine.parse([words], names)[0], urgent=0.9 if "发麻" in words.text else 0.0)

    monkeypatch.setattr(EmbeddedEngine, "again", again)
    return asked


def test_what_the_first_messages_say_together(chat: Scene, together: list[str]) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    ticket = chat.ticket()
    assert (ticket.urgent, together) == (False, [])
    group.says("老陈不钓鱼", "我也是3幢的 二楼三楼都不亮")
    assert not ticket.urgent
    before = ticket.due
    group.says("小满要早睡", "3幢那个灯的开关 摸上去发麻")

    assert ticket.urgent
    assert together[-1] == "3幢楼道灯不亮了 我也是3幢的 二楼三楼都不亮 3幢那个灯的开关 摸上去发麻"
    assert chat.alerts("网格员小顾")[-1].text.startswith("【紧急】LS00001")
    assert ticket.due < before


def test_a_long_thread_is_not_asked_about_for_ever(chat: Scene, together: list[str]) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    for story in "二三四五六":
        group.says("小满要早睡", f"3幢{story}楼的灯也不亮")
    assert len(chat.ticket().messages) == 6
    assert len(together) == 3


def test_what_staff_have_calmed_stays_calm(chat: Scene, together: list[str]) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    group.says("小满要早睡", "3幢那个灯的开关 摸上去发麻")
    ticket = chat.ticket()
    assert ticket.urgent
    press(chat, STAFF, f"urgent:{ticket.id}:off")
    assert not ticket.urgent
    asked = len(together)
    group.says("老陈不钓鱼", "我也是3幢的 二楼三楼都不亮")
    assert (ticket.urgent, len(together)) == (False, asked)


def test_lines_of_one_message_are_one_message(chat: Scene, together: list[str]) -> None:
    chat.at("2026-03-02 19:46").direct("小满要早睡").writes("您好\n\n3幢楼道灯不亮了\n麻烦看看\n谢谢")
    chat.direct("小满要早睡").writes("3幢那个灯的开关 摸上去发麻")
    assert chat.ticket().urgent


def test_a_picture_says_nothing(chat: Scene, together: list[str]) -> None:
    chat.at("2026-03-02 19:46").group("柳岸花园南区").says("小满要早睡", "3幢楼道灯不亮了")
    chat.room.says("小满要早睡", photo="IMG_1.jpg")  # type: ignore[union-attr]
    assert (chat.ticket().urgent, together) == (False, [])


@pytest.mark.parametrize("text", ["里面还有一个老人 快点来", "里面还有另一个老人 快点来", "里面有人在哭"])
def test_what_a_neighbour_of_another_building_adds_is_kept(chat: Scene, text: str) -> None:
    chat.at("2026-03-02 19:46").group("柳岸花园南区").says("春芽", "@邻声 6幢电梯停了 有人困在里面")
    chat.wait("1 minute").says("风吹柳", text)

    (ticket,) = chat.tickets()
    assert (ticket.urgent, ticket.messages[-1]) == (True, text)


async def test_danger_does_not_stand_behind_what_waits(chat: Scene) -> None:
    """Her platform was away for a while; what has piled up leaves one by one."""
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    chat.wait("5 minutes")
    group.says("老陈不钓鱼", "救命 5幢着火了 有人困在里面")
    lamp, fire = chat.tickets()
    assert (lamp.urgent, fire.urgent, lamp.worker == fire.worker) == (False, True, True)

    web = Recorder("web")
    sender = Sender(chat.db, {"web": web}, chat.clock)
    while await sender.step():
        pass
    assert [out.ticket for out in web.heard if out.to_person == lamp.row.worker] == [fire.id, lamp.id]
