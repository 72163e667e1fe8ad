"""Whatever comes twice or breaks down in between: one ticket, one answer, one alert."""

import pytest

import handlers.root
from handlers.context import Context
from models.message import Incoming
from tests.scenario.chat import Scene


class PowerCut(BaseException):
    """The process is gone: nothing catches it."""


def water(chat: Scene) -> Incoming:
    """A message at the door, not yet handled."""
    room = chat.at("2026-03-02 09:10").group("柳岸花园南区")
    message = chat.letter(room, "豆豆妈", text="1幢停水了 一滴都没有")
    chat.arrives(message)
    return message


def breaks(monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int) -> list[str]:
    """From now on the decision fails at its very end, `times` times; gives the outcomes that were lost."""
    real = handlers.root.handle
    lost: list[str] = []

    def handle(ctx: Context) -> str:
        outcome = real(ctx)
        if len(lost) < times:
            lost.append(outcome)
            raise error
        return outcome

    monkeypatch.setattr("bot.worker.handle", handle)
    return lost


def one_of_each(chat: Scene) -> None:
    assert chat.ticket().messages == ["1幢停水了 一滴都没有"]
    assert chat.ticket().events == ["opened", "assigned"]
    assert len(chat.bot_said()) == 1
    assert [alert.to for alert in chat.alerts()] == ["网格员小顾"]


def test_delivered_twice_before_it_is_handled(chat: Scene) -> None:
    message = water(chat)
    assert chat.arrives(message) == 0
    chat.work()
    one_of_each(chat)


def test_delivered_again_later(chat: Scene) -> None:
    message = water(chat)
    chat.work()
    chat.wait("30 minutes")
    assert chat.arrives(message) == 0
    chat.work()
    one_of_each(chat)


def test_a_decision_that_fails_once(chat: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    water(chat)
    lost = breaks(monkeypatch, RuntimeError("out of luck"), times=1)
    chat.work()  # the batch fails, then the message on its own succeeds

    assert lost == ["report"]
    one_of_each(chat)


def test_a_decision_that_fails_and_is_tried_again(chat: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    water(chat)
    lost = breaks(monkeypatch, RuntimeError("out of luck"), times=2)
    chat.work()
    assert (lost, chat.tickets(), chat.lines()) == (["report", "report"], [], [])
    chat.wait("1 minutes").work()
    one_of_each(chat)


def test_a_worker_that_dies_before_the_commit(chat: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    water(chat)
    breaks(monkeypatch, PowerCut(), times=1)
    with pytest.raises(PowerCut):
        chat.work()
    assert (chat.tickets(), chat.lines()) == ([], [])

    chat.work()
    assert chat.tickets() == [], "the dead worker's lease still runs"
    chat.wait("5 minutes").work()
    one_of_each(chat)


def test_a_button_pressed_twice_on_a_bad_line(chat: Scene) -> None:
    water(chat)
    chat.work()
    pressed = chat.presses("网格员小顾", "done")
    assert chat.arrives(pressed) == 0
    chat.work()

    assert chat.ticket().events == ["opened", "assigned", "resolved"]
    assert len([line for line in chat.lines() if "请评价" in line.text]) == 1
