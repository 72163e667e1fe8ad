"""What is not for everybody. Names, phones and rooms in groups are checked after every scenario of this folder."""

from tests.scenario.chat import Room, Scene

HELD_BACK = "6幢楼上那户又在打老婆 孩子一直哭 别说是我讲的"


def test_begun_in_a_group_and_answered_in_private(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("春芽", HELD_BACK)

    assert (chat.ticket().sensitive, chat.ticket().urgent) == (True, True)
    assert group.bot_said == []
    (answer,) = chat.told("春芽")
    assert "LS00001" in answer
    assert "保密" in answer


def test_every_later_step_stays_private(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("春芽", HELD_BACK)
    chat.presses("网格员小顾", "accept")
    chat.wait("3 hours")
    chat.presses("网格员小顾", "done")

    assert group.bot_said == []
    assert [line.split(" ", 1)[1][:5] for line in chat.told("春芽")[1:]] == ["网格员已接", "还没有办结", "柳岸花园6"]


def test_a_stranger_in_the_group_is_asked_to_write_in_private(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("新来的租客", HELD_BACK)

    (answer,) = group.bot_said
    assert "私信" in answer
    assert not [word for word in ("LS", "6幢", "婚姻", "打") if word in answer]


def test_asked_after_in_the_group_it_is_answered_in_private(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("春芽", HELD_BACK)
    before = len(chat.told("春芽"))
    chat.at("22:40")
    group.says("春芽", "@邻声 LS00001 处理得怎么样了")

    assert group.bot_said == []
    assert "LS00001" in chat.told("春芽")[before]


def test_a_stranger_who_asks_after_it_in_the_group_is_asked_to_come_there(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("新来的租客", HELD_BACK)
    chat.at("22:40")
    group.says("新来的租客", "@邻声 LS00001 处理得怎么样了")

    assert group.bot_said[-1] == "这件事请在私信里跟我说，群里不方便。"


def test_an_illness_told_to_the_bot_alone_is_private(chat: Scene) -> None:
    chat.at("2026-03-02 10:18").direct("丝丝入扣").writes("胰岛素 社区卫生站开不出来 家庭医生也联系不上")

    assert (chat.ticket().category, chat.ticket().sensitive) == ("welfare.medical", True)


def test_told_in_private(chat: Scene) -> None:
    chat.at("2026-03-02 22:18").direct("丝丝入扣").writes("我得了癌症 没钱看病了 想申请低保 别告诉别人")

    assert (chat.ticket().category, chat.ticket().sensitive) == ("welfare.aid", True)
    assert "保密" in chat.told("丝丝入扣")[-1]
    assert chat.bot_said("丝厂公寓") == []


def test_a_matter_of_the_family_needs_no_asking_for_silence(chat: Scene) -> None:
    group = chat.at("2026-03-02 22:18").group("柳岸花园南区")
    group.says("春芽", "老公又动手打人了 6幢2单元 楼上那户 哭到半夜")

    assert chat.ticket().category == "dispute.family"
    assert group.bot_said == [], "婚姻家庭 with a building is not to be read out"


def test_a_worker_asks_for_her_list_in_a_group(chat: Scene) -> None:
    chat.at("2026-03-02 22:18").direct("春芽").writes("有个事别在群里说 我楼上那户男的又动手打老婆了")
    group = chat.group("柳岸花园南区")
    group.says("网格员小顾", "@邻声 我手上有哪些待办")

    assert not [line for line in group.bot_said if "婚姻家庭" in line]


def test_phone_and_room_reach_the_worker_only(chat: Scene) -> None:
    group = chat.at("2026-03-02 19:46").group("柳岸花园南区")
    group.says("春芽", "6幢2单元501楼道灯不亮了 我电话13812345678")
    chat.presses("网格员小顾", "accept")
    group.says("春芽", "@邻声 处理到哪一步了")
    chat.presses("网格员小顾", "done")

    assert len(group.bot_said) >= 3
    assert not [line for line in group.bot_said if "501" in line or "138" in line]
    card = chat.alerts("网格员小顾")[0].card
    assert card is not None
    assert "13812345678" in card.words


def test_a_group_that_nobody_has_listed_hears_no_news_of_it(chat: Scene) -> None:
    """A bot can be taken into any group; one that chats.csv does not name is no less a group."""
    unlisted = Room(chat, "wecom_bot", "wrk-unlisted", direct=False)
    unlisted.says("外面的人", HELD_BACK)
    assert chat.ticket().sensitive
    before = unlisted.bot_said
    chat.presses("网格员小顾", "accept", chat.ticket())
    chat.presses("网格员小顾", "done", chat.ticket())

    assert chat.ticket().status == "resolved"
    assert unlisted.bot_said == before
    assert not [line for line in before if "LS" in line]


def test_news_of_it_reach_a_direct_chat_that_nobody_has_listed(chat: Scene) -> None:
    own = Room(chat, "wecom_bot", "x-外面的人", direct=True)
    own.says("外面的人", HELD_BACK)
    before = len(own.bot_said)
    chat.presses("网格员小顾", "accept", chat.ticket())

    assert chat.ticket().sensitive
    assert len(own.bot_said) == before + 1
