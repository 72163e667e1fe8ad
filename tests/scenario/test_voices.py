"""Voices in a group that nobody heard: who spoke is asked to type, in private, if nothing follows."""

from tests.scenario.chat import Room, Scene

ASKED = "您在群里发的语音我听不了"


def test_who_spoke_and_typed_nothing_is_asked_in_private_once(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", voice=True)
    assert chat.at("09:02").told("风吹柳") == []

    (asked,) = chat.at("09:04").told("风吹柳")
    assert asked.startswith(ASKED)
    assert len(chat.at("09:05").at("09:20").told("风吹柳")) == 1
    assert group.bot_said == []


def test_who_types_by_herself_is_left_alone(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", voice=True)
    chat.at("09:01")
    group.says("风吹柳", "按错了 不好意思")

    assert chat.at("09:10").told("风吹柳") == []


def test_what_was_taken_back_is_not_asked_about(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    said = group.says("风吹柳", voice=True)
    group.recalls("风吹柳", said)

    assert chat.at("09:10").told("风吹柳") == []


def test_one_word_a_day_is_enough(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", voice=True)
    chat.at("09:05")
    group.says("风吹柳", voice=True)

    assert len(chat.at("09:15").told("风吹柳")) == 1


def test_in_a_direct_chat_that_nobody_has_listed_she_is_asked_once(chat: Scene) -> None:
    chat.at("2026-03-02 09:00")
    alone = Room(chat, "wechat_mp", "o-unlisted", direct=True)
    alone.says("风吹柳", voice=True)
    assert len(alone.bot_said) == 1

    chat.at("09:10")
    assert len(alone.bot_said) == 1
    assert chat.told("风吹柳") == []
