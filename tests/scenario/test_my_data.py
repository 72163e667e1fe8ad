"""查询我的信息, 删除我的信息, and the notice at the first contact: what is said, what goes, what stays, who cannot."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.scheduler import Sweeper
from bot.worker import Worker
from handlers.workdays import WorkCalendar
from models import fetching, inbox
from models.database import Database
from models.inbox import Inbox
from models.message import Incoming, Kind, Media
from models.outbox import WAITS, Outbox
from models.person import Identity, Person
from models.privacy import Erasure, Notice, Owed, Remnant
from models.tables import metadata
from models.ticket import Attachment, Status, Ticket, TicketEvent, TicketMessage
from models.townimport import import_pack
from models.townpack import Pack
from tests.scenario.chat import ZONE, Scene
from tests.scenario.elsewhere import sent
from tests.scenario.phone import Make, Phone

PHONE_NUMBER = "13812345678"


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def traces(db: Database, *needles: str) -> list[str]:
    """table.column of everything in the database that holds one of these words."""

    def look(session: Session) -> list[str]:
        found = []
        for table in metadata.sorted_tables:
            for row in session.execute(sa.select(table)).mappings():
                found += [
                    f"{table.name}.{name}"
                    for name, value in row.items()
                    if any(needle in str(value) for needle in needles)
                ]
        return sorted(set(found))

    return db.tx(look)


def sweep(chat: Scene, media: Path, *, waiting: bool = False) -> None:
    """A day later the rest is done. waiting: whatever was said waits for a word, hers or a worker's."""
    told = {"visible_at": chat.clock() + timedelta(days=2), "outcome": WAITS} if waiting else {
        "finished_at": chat.clock(), "outcome": "sent"
    }  # fmt: skip
    chat.db.tx(lambda s: s.execute(sa.update(Outbox).values(**told)))
    chat.wait("25 hours")
    Sweeper(chat.db, WorkCalendar.configured(ZONE), clock=chat.clock, media=media).finish_erasures()


def deleted(phone: Phone) -> str:
    assert "确认删除" in phone.says("删除我的信息")[-1]
    return phone.says("确认删除")[-1]


def settled(chat: Scene, worker: str = "网格员小顾") -> None:
    """The matter is done, and nobody rates it."""
    chat.presses(worker, "accept")
    chat.presses(worker, "done")
    chat.wait("30 days")


# --- the notice -----------------------------------------------------------------------------------------------------


@pytest.fixture
def noticing(chat: Scene, phone: Make) -> Scene:
    """A deployment that tells people: everywhere but in replays."""
    chat.worker = Worker(chat.db, chat.worker._engine, WorkCalendar.configured(ZONE), clock=chat.clock, notices=True)
    return chat


def notices(chat: Scene) -> list[Notice]:
    return chat.db.tx(lambda session: list(session.scalars(sa.select(Notice))))


def test_the_first_contact_hears_it_once_at_the_end_of_the_answer(noticing: Scene, phone: Make) -> None:
    one = phone("o-1")
    (answer,) = one.says("柳岸花园6幢楼道灯不亮了")
    assert answer.startswith("收到，已登记 LS00001")
    assert "【隐私告知】" in answer
    assert "删除我的信息" in answer
    (put,) = [out for out in sent(noticing.db, "wechat_mp") if "【隐私告知】" in out.text]
    assert put.informs == ("wechat_mp", "o-1")
    (row,) = notices(noticing)
    assert (row.channel, row.user, row.version, row.person) == ("wechat_mp", "o-1", "2026-03", None)
    assert timedelta() <= noticing.clock() - row.at < timedelta(minutes=1)
    assert not [line for line in one.says("你好") if "隐私" in line]


def test_talk_that_gets_no_answer_gets_the_notice(noticing: Scene, phone: Make) -> None:
    (answer,) = phone("o-1").says("哈哈哈今天天气真好")
    assert answer.startswith("【隐私告知】")


def test_not_again_on_the_other_channel_of_the_same_person(noticing: Scene, phone: Make) -> None:
    one, two = phone("o-1"), phone("w-1", "wecom_bot")
    one.says("你好")
    code = one.says("绑定")[-1][4:13]
    assert "隐私" in two.says("你好")[-1], "nobody knew yet that it is her"
    two.says(f"绑定 {code}")
    two.says("确认绑定")
    noticing.db.tx(lambda s: s.execute(sa.delete(Notice).where(Notice.channel == "wecom_bot")))  # type: ignore[arg-type]
    assert not [line for line in two.says("你好") if "隐私" in line]


def test_a_new_version_is_told_once_more(noticing: Scene, phone: Make) -> None:
    one = phone("o-1")
    one.says("你好")
    noticing.db.tx(lambda s: s.execute(sa.update(Notice).values(version="2025-01")))
    assert "隐私" in one.says("你好")[-1]
    assert "隐私" not in one.says("你好")[-1]


def test_a_group_is_told_nothing_and_served_all_the_same(noticing: Scene, phone: Make) -> None:
    stranger = phone("o-new", "wecom_bot")
    stranger.says("柳岸花园6幢楼道灯不亮了", chat="g-77", sender_name="新来的")
    assert noticing.ticket().place == "柳岸花园6幢"
    assert not [line for line in stranger.lines("g-77") if "隐私" in line]
    assert notices(noticing) == []


def test_a_stranger_in_a_group_hears_a_new_version_in_private(noticing: Scene, phone: Make) -> None:
    stranger = phone("o-new", "wecom_bot")
    stranger.says("你好")
    noticing.db.tx(lambda s: s.execute(sa.update(Notice).values(version="2025-01")))
    heard = stranger.says("柳岸花园6幢楼道灯不亮了", chat="g-77", sender_name="新来的")
    assert [line[:6] for line in heard] == ["【隐私告知】"]
    stranger.says("7幢电梯坏了 关人了", chat="g-77", sender_name="新来的")
    assert (len(stranger.heard), [row.version for row in notices(noticing)]) == (2, ["2025-01", "2026-03"])
    assert not [line for line in stranger.lines("g-77") if "隐私" in line or "新来的" in line]


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_what_is_kept_is_shown_masked(chat: Scene, phone: Make) -> None:
    chat.group("柳岸花园南区").says("春芽", f"6幢2单元501楼道灯不亮了 我电话{PHONE_NUMBER}")
    (answer,) = phone("u05", "web").says("查询我的信息")
    for part in ("春**", "柳岸花园6幢", "138****5678", "LS00001", "1 件事"):
        assert part in answer
    assert "春芽" not in answer
    assert PHONE_NUMBER not in answer


def test_a_stranger_is_told_that_nothing_is_kept(chat: Scene, phone: Make) -> None:
    chat.group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    (answer,) = phone("o-1").says("查询我的信息")
    assert "0 件事：无" in answer
    assert "LS" not in answer


# --- deletion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [False, True])
def test_everything_goes_and_the_facts_stay(chat: Scene, phone: Make, media: Path, waiting: bool) -> None:
    (media / "a.jpg").write_bytes(b"x")
    one = phone("o-secret1")
    one.says(f"柳岸花园6幢2单元501楼道灯不亮了 我叫张伟 {PHONE_NUMBER}", sender_name="张伟",
             media=(Media(name="家门口.jpg", path="a.jpg"),))  # fmt: skip
    settled(chat)
    before = chat.ticket().row
    chat.db.tx(lambda s: s.execute(sa.update(Ticket).values(rating=4)))
    assert deleted(one).startswith("已删除您的信息")
    sweep(chat, media, waiting=waiting)

    assert traces(chat.db, "o-secret1", "张伟", PHONE_NUMBER, "501", "家门口", "a.jpg", "摸黑") == []
    assert not (media / "a.jpg").exists()
    after = chat.ticket().row
    for name in ("id", "category", "place", "grid", "opened_at", "resolved_at", "closed_at", "worker", "status"):
        assert getattr(after, name) == getattr(before, name)
    assert after.rating == 4
    assert [event.what for event in chat.ticket().history][:2] == ["opened", "assigned"]
    (record,) = chat.db.tx(lambda s: list(s.scalars(sa.select(Erasure))))
    assert (record.tickets, record.held) == (1, 0)
    assert record.done_at is not None


def test_an_open_matter_keeps_what_its_worker_needs_until_it_ends(chat: Scene, phone: Make, media: Path) -> None:
    one = phone("o-secret2")
    one.says(f"柳岸花园6幢2单元501楼道灯不亮了 {PHONE_NUMBER}")
    asked = one.says("删除我的信息")[-1]
    assert "LS00001" in asked
    assert "LS00001 还在办" in one.says("确认删除")[-1]
    sweep(chat, media)

    ticket = chat.ticket().row
    assert PHONE_NUMBER in ticket.summary
    assert ticket.place == "P-LA-B06"
    assert chat.db.tx(lambda s: s.scalars(sa.select(Erasure)).one()).done_at is None
    chat.presses("网格员小顾", "accept")
    chat.presses("网格员小顾", "done")
    assert "请评价" in one.heard[-1], "she is told, and may rate"
    assert "已结案" in one.says("满意")[-1]
    sweep(chat, media)
    sweep(chat, media)

    assert traces(chat.db, "o-secret2", PHONE_NUMBER, "501") == []
    assert (chat.ticket().status, chat.ticket().row.rating) == ("closed", 5)
    assert chat.db.tx(lambda s: s.scalars(sa.select(Erasure)).one()).done_at is not None


def test_in_a_merged_ticket_the_traces_follow(chat: Scene, phone: Make, media: Path) -> None:
    one = phone("o-secret3")
    one.says(f"柳岸花园6幢楼道灯不亮了 {PHONE_NUMBER}")
    deleted(one)

    def merged(session: Session) -> None:
        first = session.get_one(Ticket, 1)
        other = Ticket(**first.model_dump(exclude={"id", "version"}))
        session.add(other)
        session.flush()
        other.status, other.closed_at = "closed", chat.clock()  # type: ignore[assignment]
        first.status, first.merged_into = "merged", other.id  # type: ignore[assignment]
        session.add_all([first, other])

    chat.db.tx(merged)
    sweep(chat, media)
    sweep(chat, media)
    assert traces(chat.db, "o-secret3", PHONE_NUMBER) == []
    assert chat.db.tx(lambda s: s.scalars(sa.select(Owed)).all()) == []


def test_what_others_said_in_the_same_ticket_stays(chat: Scene, phone: Make, media: Path) -> None:
    group = chat.group("柳岸花园南区")
    group.says("春芽", f"6幢楼道灯不亮了 我电话{PHONE_NUMBER}")
    group.says("小满要早睡", "6幢的灯我也看到了 一闪一闪的 昨天就坏了 可以打她138.1234.5678")
    settled(chat)
    deleted(phone("u05", "web"))
    sweep(chat, media)

    ticket = chat.ticket()
    stays = chat.db.tx(lambda s: [row.text for row in s.scalars(sa.select(TicketMessage))])
    assert not any("1234" in text for text in stays)
    assert len(ticket.reporters) == 2, "how many told of it stays"
    assert "一闪一闪" in ticket.row.summary
    assert PHONE_NUMBER not in ticket.row.summary
    assert traces(chat.db, PHONE_NUMBER, "春芽") == []


def test_what_she_said_of_an_answer_about_anothers_matter_goes_too(chat: Scene, phone: Make, media: Path) -> None:
    phone("o-other").says("柳岸花园6幢楼道灯不亮了")
    settled(chat)
    number = chat.ticket().row.id or 0
    opinion = TicketEvent(
        ticket=number, at=chat.clock(), actor="wechat_mp:o-secret1", what="disliked", status=Status.CLOSED,
        note="内容不完整；我是张伟",
    )  # fmt: skip
    chat.db.tx(lambda session: session.add(opinion))
    one = phone("o-secret1")
    assert "1 件事" in one.says("查询我的信息")[-1]
    deleted(one)
    sweep(chat, media)
    assert traces(chat.db, "o-secret1", "张伟") == []
    assert "disliked" in [event.what for event in chat.ticket().history]


def test_the_register_does_not_bring_her_back(chat: Scene, phone: Make, demo_pack: Pack) -> None:
    assert deleted(phone("u05", "web"))
    chat.db.tx(lambda session: import_pack(session, demo_pack))
    person = chat.db.tx(lambda s: s.scalars(sa.select(Person).where(Person.code == "U05")).one())  # type: ignore[arg-type]
    assert (person.name, person.home) == ("", None)
    assert chat.db.tx(lambda s: s.scalars(sa.select(Identity).where(Identity.person == "U05")).all()) == []  # type: ignore[arg-type]


def test_a_photo_that_waits_to_be_handled_goes_too(chat: Scene, phone: Make, media: Path) -> None:
    (media / "c.jpg").write_bytes(b"x")
    waits = Incoming(
        id="late", channel="wechat_mp", chat="g-1", sender="o-1", sent_at=chat.clock(), kind=Kind.IMAGE,
        media=(Media(name="家门口.jpg", path="c.jpg"), Media(platform_id="at-the-platform")),
    )  # fmt: skip
    one = phone("o-1")

    def write(session: Session) -> None:
        fetching.put(session, [waits], chat.clock())
        inbox.receive(session, [waits], chat.clock())
        session.execute(sa.update(Inbox).values(visible_at=chat.clock() + timedelta(hours=1)))

    chat.db.tx(write)
    deleted(one)
    chat.db.tx(lambda s: s.execute(sa.update(Inbox).values(finished_at=chat.clock(), outcome="held")))
    sweep(chat, media)
    assert not (media / "c.jpg").exists()
    assert traces(chat.db, "c.jpg", "at-the-platform") == []


def test_a_photo_that_somebody_else_sent_too_stays(chat: Scene, phone: Make, media: Path) -> None:
    (media / "b.jpg").write_bytes(b"x")
    photo = (Media(name="b.jpg", path="b.jpg"),)
    one, two = phone("o-1"), phone("o-2")
    one.says("柳岸花园6幢楼道灯不亮了", media=photo)
    two.says("机械厂新村4幢垃圾没人收", media=photo)
    chat.db.tx(lambda s: s.execute(sa.update(Ticket).where(Ticket.id == 1).values(status="closed")))  # type: ignore[arg-type]
    deleted(one)
    sweep(chat, media)
    assert (media / "b.jpg").exists()
    assert chat.db.tx(lambda s: [row.ticket for row in s.scalars(sa.select(Attachment))]) == [2]


def test_all_her_channels_are_meant(chat: Scene, phone: Make, media: Path) -> None:
    one, two = phone("o-both1"), phone("w-both1", "wecom_bot")
    code = one.says("绑定")[-1][4:13]
    two.says(f"绑定 {code}")
    two.says("确认绑定")
    one.says("柳岸花园6幢楼道灯不亮了")
    two.says("查询我的信息")
    settled(chat)
    deleted(two)
    sweep(chat, media)
    assert traces(chat.db, "o-both1", "w-both1") == []


def test_she_may_come_again_as_somebody_new(chat: Scene, phone: Make, media: Path) -> None:
    one = phone("o-1")
    one.says("柳岸花园6幢楼道灯不亮了")
    deleted(one)
    one.says("机械厂新村4幢垃圾没人收")
    sweep(chat, media)
    assert chat.tickets()[-1].row.reporter == "o-1"
    assert "1 件事" in one.says("查询我的信息")[-1] or "2 件事" in one.heard[-1]


# --- foes -----------------------------------------------------------------------------------------------------------


def test_a_deletion_asked_for_in_a_group_changes_nothing(chat: Scene, phone: Make) -> None:
    group = chat.group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    for text in ("@邻声 删除我的信息", "@邻声 确认删除", "确认删除"):
        group.says("春芽", text)
    assert group.bot_said[-1] == "这件事请在私信里跟我说，群里不方便。"
    assert chat.db.tx(lambda s: s.scalars(sa.select(Erasure)).all()) == []
    assert "不亮" in chat.ticket().row.summary


def test_nobody_confirms_for_another(chat: Scene, phone: Make) -> None:
    victim, foe = phone("u05", "web"), phone("u01", "web")
    chat.group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    victim.says("删除我的信息")
    assert "请先回复" in foe.says("确认删除")[-1]
    chat.group("柳岸花园南区").says("小满要早睡", "@邻声 确认删除")
    assert chat.db.tx(lambda s: s.scalars(sa.select(Erasure)).all()) == []


def test_a_wish_does_not_wait_for_ever(chat: Scene, phone: Make) -> None:
    one = phone("o-1")
    one.says("柳岸花园6幢楼道灯不亮了")
    one.says("删除我的信息")
    chat.wait("11 minutes")
    assert "请先回复" in one.says("确认删除")[-1]
    assert "请先回复" in one.says("确认删除")[-1]


@pytest.mark.parametrize("text", ["删除春芽的信息", "删除U05的信息", "删除我的信息 u05 春芽", "把6幢的信息都删掉"])
def test_anothers_data_cannot_be_named(chat: Scene, phone: Make, text: str) -> None:
    chat.group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")
    foe = phone("o-foe")
    foe.says(text)
    foe.says("确认删除")
    assert "不亮" in chat.ticket().row.summary
    assert chat.ticket().reporters == ["春芽"]
    assert "柳岸花园6幢" in phone("u05", "web").says("查询我的信息")[-1]


@pytest.mark.parametrize("user", ["w01", "l01"])
def test_who_has_a_duty_goes_to_staff(chat: Scene, phone: Make, user: str) -> None:
    one = phone(user, "web")
    assert "社区工作人员核实" in one.says("删除我的信息")[-1]
    assert "请先回复" in one.says("确认删除")[-1]
    assert chat.db.tx(lambda s: s.scalars(sa.select(Remnant)).all()) == []
