"""What staff put right, told as it happens: the kind, the place, how urgent, how private; and what is learned."""

from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from models.alias import AliasProposal
from models.deadline import Deadline
from models.ticket import Ticket
from tests.scenario.chat import ZONE, Scene
from tests.scenario.corrections import SOUTH, STAFF, WORKER, a_dark_stair, kept, press, rows


def test_another_kind_has_another_deadline_and_the_group_hears_nothing(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    said = chat.bot_said(group)
    assert ticket.due == [datetime(2026, 3, 3, 0, 0, tzinfo=ZONE)]
    chat.at("10:00")
    answer = press(chat, STAFF, "category:1:facility.building")

    row = ticket.row
    assert (row.category, row.tier) == ("facility.building", 3)
    assert ticket.due == [datetime(2026, 3, 10, 0, 0, tzinfo=ZONE)]  # five working days after Monday
    assert answer == "LS00001 的类别已改为房屋本体，3月9日 24:00前办结。"
    assert chat.alerts(WORKER)[-1].text == "【更正】LS00001 房屋本体 柳岸花园6幢，请在3月9日 24:00前办结。"
    assert ticket.events[-2:] == ["set_category", "recounted"]
    assert chat.bot_said(group) == said

    (correction,) = kept(chat)
    assert (correction.kind, correction.by, correction.ticket) == ("category", "C01", 1)
    assert (correction.before["category"], correction.after["category"]) == ("facility.lighting", "facility.building")
    assert [words["text"] for words in correction.words] == ["6幢楼道灯不亮了"]
    assert correction.engine.startswith("embedded:")
    assert correction.said["categories"][0][0] == "facility.lighting"
    assert correction.said["intents"]["report"] > 0.5
    assert correction.context == row.reading["context"]


def test_a_shorter_limit_is_never_in_the_past(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").group(SOUTH).says("春芽", "6幢外墙的墙皮掉下来一大块")
    ticket = chat.ticket()
    assert ticket.row.tier == 3
    chat.at("2026-03-04 10:00")
    press(chat, WORKER, "category:1:facility.lighting")  # tier 1: the end of Monday is over

    assert ticket.due == [datetime(2026, 3, 4, 11, 0, tzinfo=ZONE)]
    assert "escalated" not in ticket.events


def test_an_urgent_matter_keeps_its_minutes_whatever_its_kind(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    press(chat, STAFF, "urgent:1:on")
    due = ticket.due
    chat.wait("30 minutes")
    press(chat, STAFF, "category:1:facility.building")
    assert (ticket.due, ticket.row.tier) == (due, 3)


def test_a_kind_that_is_urgent_by_its_nature(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    press(chat, STAFF, "category:1:safety.gas")
    assert ticket.urgent
    assert ticket.due[0] < datetime(2026, 3, 2, 10, 40, tzinfo=ZONE)
    assert chat.alerts(WORKER)[-1].text.startswith("【紧急】LS00001 燃气泄漏")


def test_a_private_kind_is_private_from_then_on(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    press(chat, STAFF, "category:1:dispute.family")
    said = chat.bot_said(group)
    chat.presses(WORKER, "accept")

    assert ticket.sensitive
    assert chat.bot_said(group) == said


def test_another_grid_is_another_gridworkers(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    answer = press(chat, STAFF, "place:1:P-JX-B02")

    assert (ticket.place, ticket.grid, ticket.worker) == ("机械厂新村2幢", "QX-01-02-02", "网格员小裴")
    assert chat.alerts("网格员小裴")[-1].text.startswith("【新任务】LS00001 照明 机械厂新村2幢")
    assert chat.alerts(WORKER)[-1].text == "【已转走】LS00001 已由其他同事办理，不用再处理。"
    assert chat.bot_said(group)[-1] == "LS00001 的地点已更正为 机械厂新村2幢，不对的话请说一声。"
    assert answer == "LS00001 的地点已改为机械厂新村2幢，由网格员小裴负责。"
    (correction,) = kept(chat)
    assert correction.before == {"place": "P-LA-B06", "grid": "QX-01-01-01"}
    assert correction.after == {"place": "P-JX-B02", "grid": "QX-01-02-02"}


def test_the_next_building_stays_in_the_same_hands(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    chat.presses(WORKER, "accept")
    press(chat, STAFF, "place:1:P-LA-B08")

    assert (ticket.grid, ticket.worker, ticket.status) == ("QX-01-01-02", WORKER, "accepted")
    assert chat.alerts(WORKER)[-1].text.startswith("【更正】LS00001 照明 柳岸花园8幢")


def test_urgent_after_all_and_not_after_all(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    group = chat.room
    said = chat.bot_said(group)
    chat.at("09:00")
    press(chat, WORKER, "urgent:1:on")

    assert ticket.urgent
    assert ticket.due[0] <= datetime(2026, 3, 2, 11, 1, tzinfo=ZONE)
    assert chat.alerts(STAFF)[-1].text.startswith("【紧急】LS00001")
    chat.at("09:30")
    press(chat, STAFF, "urgent:1:off")
    assert not ticket.urgent
    assert ticket.due == [datetime(2026, 3, 3, 0, 0, tzinfo=ZONE)]
    assert [row.kind for row in kept(chat)] == ["urgent", "urgent"]
    assert chat.bot_said(group) == said


def test_sensitive_and_not(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    assert press(chat, STAFF, "sensitive:1:on") == "LS00001 已标为敏感，群里不再提起。"
    assert ticket.sensitive
    assert press(chat, STAFF, "sensitive:1:on") == "LS00001 已经是这样，没有改动。"
    assert press(chat, STAFF, "sensitive:1:off") == "LS00001 不再标为敏感。"
    assert not ticket.sensitive


def test_no_report_is_kept_to_learn_from(chat: Scene) -> None:
    a_dark_stair(chat)
    chat.direct(WORKER).writes("非诉求 物业在换灯")

    (correction,) = kept(chat)
    assert (correction.kind, correction.by) == ("dismissed", "W01")
    assert correction.after == {"status": "dismissed", "note": "非诉求 物业在换灯"}


@pytest.mark.parametrize("name", ["路过的人", "春芽", "秀英姐", "柳岸物业段经理", "网格员小裴", "桂花社区小邵"])
@pytest.mark.parametrize(
    "key", ["category:1:city.noise", "place:1:P-LA-B01", "urgent:1:on", "sensitive:1:on", "split:1:1::"]
)
def test_who_has_no_duty_there_corrects_nothing(chat: Scene, name: str, key: str) -> None:
    ticket = a_dark_stair(chat)
    before = ticket.row.model_dump()
    assert press(chat, name, key) == "这张单不在您的职责范围内，没有改动。"

    assert ticket.row.model_dump() == before
    assert ticket.history[-1].what == "refused"
    assert kept(chat) == []


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("category:1:facility", "没有这个类别，没有改动。"),
        ("category:1:no.such", "没有这个类别，没有改动。"),
        ("category:1:facility.lighting", "LS00001 已经是这样，没有改动。"),
        ("place:1:P-NO", "没有这个地点，没有改动。"),
        ("place:1:", "没有这个地点，没有改动。"),
        ("place:1:P-LA-B06", "LS00001 已经是这样，没有改动。"),
        ("urgent:1:perhaps", "没有看懂这次操作，没有改动。"),
        ("same:1:7", "没有看懂这次操作，没有改动。"),
        ("apart:1:x", "没有看懂这次操作，没有改动。"),
        ("split:1:", "请勾选要拆出去的话。"),
        ("split:1:99::", "请勾选要拆出去的话。"),
        ("split:1:1::", "不能全部拆出，至少给 LS00001 留一条。"),
        ("category:99:city.noise", "这张单不在您的职责范围内，没有改动。"),
        ("category:1e9:city.noise", "这张单不在您的职责范围内，没有改动。"),
    ],
)
def test_what_cannot_be_corrected_like_this(chat: Scene, key: str, answer: str) -> None:
    ticket = a_dark_stair(chat)
    before = ticket.row.model_dump()
    assert press(chat, STAFF, key) == answer
    assert ticket.row.model_dump() == before
    assert kept(chat) == []


# --- what is taken back, what is learned ------------------------------------------------------------------------------


def test_words_taken_back_are_gone_from_the_corrections(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").group(SOUTH)
    told = chat.says("春芽", "6幢楼道灯不亮了")
    press(chat, STAFF, "category:1:facility.access")
    chat.group(SOUTH).recalls("春芽", told)

    assert [words["text"] for words in kept(chat)[0].words] == [""]
    assert kept(chat)[0].after["category"] == "facility.access"


def test_a_nickname_is_proposed_and_counted(chat: Scene) -> None:
    group = chat.at("2026-03-02 08:30").group(SOUTH)
    group.says("春芽", "6幢楼道灯不亮了 就在老槐树旁边")
    press(chat, STAFF, "place:1:P-LA-SQ")
    press(chat, STAFF, "place:1:P-LA-B06")
    press(chat, STAFF, "place:1:P-LA-SQ")

    def proposals(session: Session) -> list[tuple[str, str, int]]:
        found = session.scalars(sa.select(AliasProposal).order_by(AliasProposal.place))
        return [(row.words, row.place, row.seen) for row in found]

    assert chat.db.tx(proposals) == [("老槐树", "P-LA-B06", 1), ("老槐树", "P-LA-SQ", 2)]


def test_opening_keeps_what_the_engine_made_of_it(chat: Scene) -> None:
    ticket = a_dark_stair(chat)
    reading = ticket.row.reading
    assert set(reading) >= {"engine", "context", "intents", "categories", "urgent", "sensitive", "flags"}
    assert "6幢" not in str(reading)  # what was made of the words, not the words
    assert len(reading["intents"]) == 3
    deadlines: list[Deadline] = rows(chat, Deadline, ticket.id)
    tickets = chat.db.tx(lambda session: session.scalars(sa.select(Ticket)).all())
    assert (len(deadlines), len(tickets)) == (2, 1)
