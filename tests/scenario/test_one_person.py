"""One person on two channels (绑定): what that is good for, and what nobody gets by guessing."""

import re

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from handlers.desk import Desk
from handlers.workdays import WorkCalendar
from models.binding import BindCode
from models.person import Identity, Origin, Person
from models.privacy import Linkage
from tests.scenario.chat import ZONE, Scene
from tests.scenario.phone import Make, Phone

CODE = re.compile(r"\d{4} \d{4}")


def code_of(phone: Phone) -> str:
    """She asks for a code."""
    (answer,) = phone.says("绑定")
    found = CODE.search(answer)
    assert found is not None
    return found[0]


def linked(phone: Phone, other: Phone) -> None:
    """The two are made one person's."""
    assert "确认绑定" in other.says(f"绑定 {code_of(phone)}")[-1]
    assert "绑定好了" in other.says("确认绑定")[-1]


def people(chat: Scene) -> dict[tuple[str, str], str]:
    rows = chat.db.tx(lambda session: list(session.scalars(sa.select(Identity))))
    return {(row.channel, row.user): row.person for row in rows}


def told_of(chat: Scene) -> int:
    """How many people the ticket has, as the bot counts them."""

    def count(session: Session) -> int:
        calendar = WorkCalendar.configured(ZONE)
        return Desk(session, chat.town, chat.clock(), calendar, "test").supporters(chat.ticket().row)

    return chat.db.tx(count)


def test_two_strangers_become_one_without_a_name(chat: Scene, phone: Make) -> None:
    one, two = phone("o-1"), phone("w-1", "wecom_bot")
    linked(one, two)

    found = people(chat)
    assert found["wechat_mp", "o-1"] == found["wecom_bot", "w-1"]
    person = chat.db.tx(lambda s: s.scalars(sa.select(Person).where(Person.origin == Origin.SELF)).one())  # type: ignore[arg-type]
    assert (person.name, person.home) == ("", None)
    assert "企业微信机器人" in one.heard[-1], "the chat that asked for the code hears of it"
    assert chat.db.tx(lambda s: s.scalars(sa.select(BindCode)).all()) == []


def test_who_is_in_the_register_has_her_home_on_the_other_channel(chat: Scene, phone: Make) -> None:
    web, wechat = phone("u05", "web"), phone("o-1")
    linked(web, wechat)
    wechat.says("楼道灯坏了好几天 晚上摸黑上楼")

    assert chat.ticket().place == "柳岸花园6幢"
    assert people(chat)["wechat_mp", "o-1"] == "U05"


def test_told_in_the_group_and_asked_after_on_the_other_channel(chat: Scene, phone: Make) -> None:
    group = chat.group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    wechat = phone("o-1")
    linked(phone("u05", "web"), wechat)
    chat.presses("网格员小顾", "accept")

    assert "网格员正在处理" in wechat.says("修得怎么样了")[-1]
    chat.presses("网格员小顾", "done")
    assert "已结案" in wechat.says("满意")[-1]
    assert (chat.ticket().status, told_of(chat)) == ("closed", 1)


def test_who_tells_it_on_both_channels_counts_once(chat: Scene, phone: Make) -> None:
    wechat = phone("o-1")
    linked(phone("u05", "web"), wechat)
    chat.group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    assert "已记到 LS00001" in wechat.says("6幢楼道灯不亮了")[-1]

    assert told_of(chat) == 1
    assert len(chat.ticket().reporters) == 2, "she hears of it wherever she told it"


def test_a_link_can_be_undone_from_either_chat(chat: Scene, phone: Make) -> None:
    web, wechat = phone("u05", "web"), phone("o-1")
    linked(web, wechat)
    assert "已解除绑定" in web.says("解除绑定")[-1]

    assert ("wechat_mp", "o-1") not in people(chat)
    assert people(chat)["web", "u05"] == "U05", "the register's own link stays"
    assert "没有可以解除" in web.says("解除绑定")[-1]


# --- foes ----------------------------------------------------------------------------------------------------------


def test_guessing_is_stopped(chat: Scene, phone: Make) -> None:
    code = code_of(phone("u05", "web"))
    foe = phone("o-foe")
    wrong = [n for n in ("00000000", "11111111", "22222222", "33333333", "44444444", "55555555") if n != code][:5]
    assert all("不对" in foe.says(f"绑定 {guess}")[-1] for guess in wrong)

    assert "次数太多" in foe.says(f"绑定 {code}")[-1], "even the right one, now"
    assert foe.says("确认绑定") == []
    assert ("wechat_mp", "o-foe") not in people(chat)
    chat.wait("70 minutes")
    assert "不对" in foe.says(f"绑定 {code}")[-1], "and later it is over"


def test_bare_digits_are_guesses_too(chat: Scene, phone: Make) -> None:
    code = code_of(phone("u05", "web"))
    foe = phone("o-foe")
    for n in range(5):
        foe.says(f"1000000{n}")
    assert not [line for line in foe.says(code) if "确认绑定" in line]


def test_a_code_lives_ten_minutes_and_once(chat: Scene, phone: Make) -> None:
    one, two, three = phone("o-1"), phone("o-2", "wecom_bot"), phone("o-3", "wecom_bot")
    code = code_of(one)
    chat.wait("11 minutes")
    assert "过期" in two.says(f"绑定 {code}")[-1]
    code = code_of(one)
    linked_to = two.says(f"绑定{code}")
    assert "确认绑定" in linked_to[-1]
    assert "不对" in three.says(f"绑定{code}")[-1], "claimed by the first who said it"
    two.says("确认绑定")
    assert three.says("确认绑定") == []
    assert ("wecom_bot", "o-3") not in people(chat)


def test_a_new_code_voids_the_old_one(phone: Make) -> None:
    one, two = phone("o-1"), phone("o-2", "wecom_bot")
    old, _ = code_of(one), code_of(one)
    assert "不对" in two.says(f"绑定 {old}")[-1]


def test_said_where_it_was_given_it_does_nothing(chat: Scene, phone: Make) -> None:
    one = phone("o-1")
    assert "在这里说不管用" in one.says(f"绑定 {code_of(one)}")[-1]
    assert one.says("确认绑定") == []
    assert ("wechat_mp", "o-1") not in people(chat)


def test_a_victim_who_is_sent_a_code_is_told_whose_it_is_and_need_do_nothing(chat: Scene, phone: Make) -> None:
    """领红包请对机器人说“绑定 …”: the code is the foe's, and the victim's data would be his."""
    foe, victim = phone("o-foe"), phone("u05", "web")
    (answer,) = victim.says(f"绑定 {code_of(foe)}")
    assert "公众号" in answer
    assert "不用理会" in answer
    assert ("wechat_mp", "o-foe") not in people(chat)


@pytest.mark.parametrize("text", ["绑定", "绑定 12345678"])
def test_never_in_a_group(chat: Scene, phone: Make, text: str) -> None:
    group = chat.group("柳岸花园南区")
    group.says("春芽", f"@邻声 {text}")
    assert group.bot_said == ["这件事请在私信里跟我说，群里不方便。"]


def test_a_code_said_in_a_group_is_void(chat: Scene, phone: Make) -> None:
    wechat = phone("o-1")
    code = code_of(wechat)
    chat.group("柳岸花园南区").says("春芽", f"@邻声 绑定 {code}")
    assert "不对" in phone("o-2", "wecom_bot").says(f"绑定 {code}")[-1]


def test_a_code_moves_no_powers(chat: Scene, phone: Make) -> None:
    worker, foe = phone("w01", "web"), phone("o-foe")
    assert not CODE.search(worker.says("绑定")[-1])
    foes = code_of(foe)
    assert "社区工作人员" in worker.says(f"绑定 {foes}")[-1]
    assert worker.says("确认绑定") != ["绑定好了，两边都能查进度、评价。绑错了就回复“解除绑定”。"]
    assert ("wechat_mp", "o-foe") not in people(chat)


def test_two_of_the_register_are_merged_by_staff_only(chat: Scene, phone: Make) -> None:
    code = code_of(phone("u05", "web"))
    assert "社区工作人员" in phone("u01", "web").says(f"绑定 {code}")[-1]
    assert people(chat)["web", "u01"] == "U01"
    assert [line.to for line in chat.alerts()][-1] == "柳岸社区余书记"


def test_neither_codes_nor_user_ids_stand_in_the_record(chat: Scene, phone: Make) -> None:
    linked(phone("o-1"), phone("w-1", "wecom_bot"))
    rows = chat.db.tx(lambda s: list(s.scalars(sa.select(Linkage))))
    assert {row.what for row in rows} == {"enrolled", "linked"}
    assert not [row for row in rows if "o-1" in row.model_dump_json() or "w-1" in row.model_dump_json()]
