"""A matter told in half sentences, none of which says it."""

from collections.abc import Callable

import pytest

from nlu.embedded import EmbeddedEngine
from nlu.types import Names, Understanding, Utterance
from tests.scenario.chat import Scene

FIRST, SECOND = "大家自己来看看吧", "哈哈 真是服了"
Asked = list[str]


@pytest.fixture
def as_one(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the engine is asked to read as one: to it that is a dark staircase, if both halves are there."""
    asked: Asked = []
    plain: Callable[..., list[Understanding]] = EmbeddedEngine.parse

    def again(engine: EmbeddedEngine, words: Utterance, names: Names) -> Understanding:
        asked.append(words.text)
        dark = "3幢楼道灯不亮了 楼梯间黑漆漆的" if FIRST in words.text and SECOND in words.text else "早上好"
        return plain(engine, [Utterance(dark, words.context)], names)[0]

    monkeypatch.setattr(EmbeddedEngine, "again", again)
    return asked


def test_both_halves_are_one_ticket(chat: Scene, as_one: Asked) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", FIRST)
    group.says("老陈不钓鱼", "哈哈")
    assert (chat.tickets(), as_one) == ([], [])
    group.says("小满要早睡", SECOND)

    ticket = chat.ticket()
    assert as_one[0] == f"{FIRST} {SECOND}"
    assert (ticket.messages, ticket.roles) == ([FIRST, SECOND], ["detail", "report"])
    assert (ticket.place, ticket.category) == ("柳岸花园3幢", "facility.lighting")
    assert ticket.reporters == ["小满要早睡"]


def test_a_picture_and_a_recall_between_them(chat: Scene, as_one: Asked) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", FIRST)
    group.says("小满要早睡", photo="IMG_1.jpg")
    group.recalls("小满要早睡", group.says("小满要早睡", "哎呀"))
    group.says("小满要早睡", SECOND)
    ticket = chat.ticket()
    assert as_one[-1] == f"{FIRST} {SECOND}"
    assert [words for words in ticket.messages if words] == [FIRST, SECOND]


def test_a_pause_ends_a_sentence(chat: Scene, as_one: Asked) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", FIRST)
    chat.wait("4 minutes")
    group.says("小满要早睡", SECOND)
    assert (chat.tickets(), as_one) == ([], [])


def test_whom_it_is_not_asked_of(chat: Scene, as_one: Asked) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("小满要早睡", "3幢楼道灯不亮了")
    before = list(as_one)
    group.says("小满要早睡", "收到 谢谢大家")
    group.says("网格员小顾", FIRST)
    group.says("网格员小顾", SECOND)
    assert len(chat.tickets()) == 1
    assert as_one == before, "what was before belongs to a ticket; a worker knows where to write"
