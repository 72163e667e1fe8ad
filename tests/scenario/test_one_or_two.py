"""Two tickets that are one matter, and one ticket that is two."""

from datetime import datetime

from sqlmodel import Session

from models.message import Incoming
from models.suggestion import Suggestion
from models.ticket import Attachment, TicketMessage
from tests.scenario.chat import ZONE, Scene
from tests.scenario.corrections import SOUTH, STAFF, WORKER, a_dark_stair, kept, press, rows, two_stairs
from tests.scenario.seen import TicketView

# --- two that are one -----------------------------------------------------------------------------------------------


def suggested(chat: Scene, ticket: int, other: int) -> int:
    """Keep a suggestion, as the linker does; its number."""

    def write(session: Session) -> int:
        row = Suggestion(ticket=ticket, other=other, points=1.9, at=chat.clock())
        session.add(row)
        session.flush()
        return row.id or 0

    return chat.db.tx(write)


def test_merged_and_whoever_asks_hears_of_the_other(chat: Scene) -> None:
    first, second = two_stairs(chat)
    group = chat.group(SOUTH)
    number = suggested(chat, second.id, first.id)
    answer = press(chat, STAFF, f"same:2:{number}")

    assert answer == "LS00002 已并入 LS00001。"
    assert (first.status, second.status, second.row.merged_into) == ("assigned", "merged", first.id)
    assert first.messages == ["6幢楼道灯不亮了", "垃圾亭满出来了 三天没人来收"]
    assert (first.roles, second.roles) == (["report", "join"], ["report"])
    assert first.reporters == ["春芽", "风吹柳"]
    assert first.photos == second.photos == ["IMG_full.jpg"]
    assert (second.history[-1].what, second.history[-1].note) == ("merged", "LS00001")
    assert ("took_over", "LS00002") in [(event.what, event.note) for event in first.history]
    assert second.due == []
    assert len(first.due) == 1
    assert chat.bot_said(group)[-1] == "LS00002 和 LS00001 是同一件事，已并到 LS00001 一起办理，进展按 LS00001 告诉您。"
    assert chat.alerts(WORKER)[-1].text.startswith("【合并】LS00002 并入 LS00001")
    (correction,) = kept(chat)
    assert (correction.kind, correction.ticket, correction.before["points"]) == ("merge", 2, 1.9)

    chat.wait("2 hours").group(SOUTH).says("风吹柳", "@邻声 LS00002 修得怎么样了 什么时候来收")
    assert chat.bot_said()[-1].startswith("LS00001 ")
    chat.presses(WORKER, "done", first)
    done = [line for line in chat.bot_said(group) if "已办结" in line]
    assert len(done) == 1
    chat.group(SOUTH).says("风吹柳", "满意")
    assert first.status == "closed"


def test_a_merged_ticket_is_merged_once(chat: Scene) -> None:
    first, second = two_stairs(chat)
    number = suggested(chat, second.id, first.id)
    press(chat, STAFF, f"same:2:{number}")
    events = (len(first.history), len(second.history))

    assert press(chat, STAFF, f"same:2:{number}") == "LS00002 已并入 LS00001，请更正 LS00001。"
    assert press(chat, STAFF, f"apart:1:{number}") == "LS00002 已并入 LS00001，请更正 LS00001。"
    assert press(chat, STAFF, "category:2:city.noise") == "LS00002 已并入 LS00001，请更正 LS00001。"
    assert (len(first.history), len(second.history)) == events
    assert len(kept(chat)) == 1
    chat.presses(WORKER, "accept", second)
    assert second.status == "merged"


def test_merged_with_what_it_had(chat: Scene) -> None:
    first, second = two_stairs(chat)
    press(chat, STAFF, "urgent:2:on")
    press(chat, STAFF, "sensitive:2:on")
    group = chat.group(SOUTH)
    said = chat.bot_said(group)
    press(chat, STAFF, f"same:2:{suggested(chat, second.id, first.id)}")

    assert (first.urgent, first.sensitive) == (True, True)
    assert chat.bot_said(group) == said  # private: told to its reporter alone
    assert chat.told("风吹柳")[-1].startswith("LS00002 和 LS00001 是同一件事")


def test_two_matters_after_all(chat: Scene) -> None:
    first, second = two_stairs(chat)
    number = suggested(chat, second.id, first.id)

    assert press(chat, WORKER, f"apart:2:{number}") == "这张单不在您的职责范围内，没有改动。"  # staff only
    assert press(chat, STAFF, f"apart:2:{number}") == "好的，LS00002 和 LS00001 按两件事办理。"
    assert press(chat, STAFF, f"apart:2:{number}") == "这条已经有人处理过了。"
    assert (first.status, second.status) == ("assigned", "assigned")
    assert kept(chat) == []


# --- one that is two ------------------------------------------------------------------------------------------------


def one_of_two_things(chat: Scene) -> TicketView:
    """A ticket to which a message about something else was added."""
    ticket = a_dark_stair(chat)
    found = chat.letter(chat.group(SOUTH), "豆豆妈", text="南门的道闸抬不起来了")

    def add(session: Session) -> None:
        session.add(_row(found, ticket.id))
        session.add(
            Attachment(ticket=ticket.id, message=found.id, kind="image", name="gate.jpg", added_at=chat.clock())
        )

    chat.db.tx(add)
    return ticket


def _row(m: Incoming, ticket: int) -> TicketMessage:
    return TicketMessage(
        ticket=ticket, channel=m.channel, chat=m.chat, message=m.id, sender=m.sender, kind="text", role="join",
        text=m.text, sent_at=m.sent_at,
    )  # fmt: skip


def test_split_into_two(chat: Scene) -> None:
    ticket = one_of_two_things(chat)
    _, other = rows(chat, TicketMessage, ticket.id)
    answer = press(chat, STAFF, f"split:1:{other.id}:facility.access:P-LA-GS")

    first, second = chat.tickets()
    assert answer == "已从 LS00001 拆出 LS00002：门禁道闸 柳岸花园南门。"
    assert (first.messages, second.messages) == (["6幢楼道灯不亮了"], ["南门的道闸抬不起来了"])
    assert (second.category, second.place, second.worker) == ("facility.access", "柳岸花园南门", WORKER)
    assert (second.roles, second.reporters, second.photos) == (["report"], ["豆豆妈"], ["gate.jpg"])
    assert (first.row.summary, first.reporters, first.photos) == ("6幢楼道灯不亮了", ["春芽"], [])
    assert first.history[-1].note == "LS00002"
    assert ("split_from", "LS00001") in [(event.what, event.note) for event in second.history]
    assert len(second.due) == 1
    assert "LS00001 里说的另一件事已单独登记为 LS00002：柳岸花园南门门禁道闸" in chat.bot_said(SOUTH)[-1]
    (correction,) = kept(chat)
    assert (correction.kind, correction.ticket) == ("split", 1)
    assert [words["text"] for words in correction.words] == ["南门的道闸抬不起来了"]
    assert correction.engine.startswith("embedded:")


def test_a_split_pressed_twice_splits_once(chat: Scene) -> None:
    ticket = one_of_two_things(chat)
    _, other = rows(chat, TicketMessage, ticket.id)
    press(chat, STAFF, f"split:1:{other.id}::")
    assert press(chat, STAFF, f"split:1:{other.id}::") == "请勾选要拆出去的话。"
    assert len(chat.tickets()) == 2


def test_the_opening_message_may_go(chat: Scene) -> None:
    ticket = one_of_two_things(chat)
    opening, _ = rows(chat, TicketMessage, ticket.id)
    press(chat, STAFF, f"split:1:{opening.id}::")

    first, second = chat.tickets()
    assert (first.messages, first.roles) == (["南门的道闸抬不起来了"], ["report"])
    assert (second.messages, second.reporters) == (["6幢楼道灯不亮了"], ["春芽"])
    assert first.row.reporter == "u03"
    assert (first.row.reading, second.row.reading["categories"][0][0]) == ({}, "facility.lighting")


def test_a_split_long_after_leaves_time(chat: Scene) -> None:
    ticket = one_of_two_things(chat)
    _, other = rows(chat, TicketMessage, ticket.id)
    chat.at("2026-03-05 10:00")
    press(chat, STAFF, f"split:1:{other.id}:facility.access:")
    second = chat.tickets()[1]
    assert second.due == [datetime(2026, 3, 5, 11, 0, tzinfo=ZONE)]
