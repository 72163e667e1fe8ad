"""Robots of duty groups: what the group hears, how often, and that the key stands nowhere."""

from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.base import Halted, SendFailed, Uncertain
from bot.channels.group_robot import NAME, GroupRobot
from bot.channels.group_robot.channel import _still_so
from bot.platform import codes
from bot.platform.group_robot import SEND
from bot.sender import Sender
from config.side_channels import GroupRobotSettings
from handlers.workflow import record
from models import outbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing, Purpose
from models.outbox import SENT, Outbox
from models.ticket import Status, Ticket
from tests.conftest import HandClock
from tests.platform.harness import StoppedClock, TestPlatform, platform

KEY, ZONE = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", ZoneInfo("Asia/Shanghai")


@pytest.fixture
def clock() -> StoppedClock:
    """The platform's, too."""
    return StoppedClock()


@pytest.fixture
async def p(clock: StoppedClock) -> AsyncIterator[TestPlatform]:
    """Where the duty group's robot is: 20 a minute, then 45009 (91770)."""
    async with platform(clock=clock) as made:
        yield made


def settings(p: TestPlatform, **more: object) -> GroupRobotSettings:
    told: dict[str, object] = {"keys": {"duty": p.robot.key}, "api_base": p.base, "poll_seconds": 60}
    return GroupRobotSettings.model_validate(told | more)


def heard(p: TestPlatform) -> list[str]:
    """What stands in the group."""
    return [bubble.text for bubble in p.seen(p.robot.chat)]


@pytest.fixture
async def robot(p: TestPlatform, sqlite_db: Database, clock: HandClock) -> AsyncIterator[GroupRobot]:
    """For single messages."""
    channel = GroupRobot(settings(p), sqlite_db, clock, zone=ZONE)
    await channel.start()
    yield channel
    await channel.stop()


@pytest.fixture
async def duty(p: TestPlatform, town_db: Database, clock: HandClock) -> AsyncIterator[GroupRobot]:
    """In the demo town, on both databases."""
    channel = GroupRobot(settings(p), town_db, clock, zone=ZONE)
    await channel.start()
    assert channel._watch is not None
    channel._watch.cancel()  # before its first look: the tests look, and count what is new
    yield channel
    await channel.stop()


def out(text: str = "【紧急】LS00001 电梯", **more: object) -> Outgoing:
    told: dict[str, object] = {"channel": NAME, "chat": "duty", "text": text, "purpose": Purpose.ALERT}
    return Outgoing.model_validate(told | more)


# ---- one message


async def test_markdown_by_default(robot: GroupRobot, p: TestPlatform) -> None:
    assert await robot.send(out("【紧急】LS00001 电梯 <@all> [领奖](http://x) 13800001111 302室"), "k") == ""
    (shown,) = p.seen(p.robot.chat)
    content = shown.text
    assert shown.kind == "markdown"
    assert content.startswith("【紧急】LS00001 电梯")
    for bad in ("<@", "](", "13800001111", "302室"):
        assert bad not in content


async def test_text_when_it_is_set(p: TestPlatform, town_db: Database, clock: HandClock) -> None:
    channel = GroupRobot(settings(p, style="text"), town_db, clock, zone=ZONE)
    await channel.start()
    await channel.send(out("水" * 3_000), "k")
    await channel.stop()
    (shown,) = p.seen(p.robot.chat)
    content = shown.text
    assert shown.kind == "text"
    assert len(content.encode()) <= 2_048
    assert content.endswith("…")


@pytest.mark.parametrize(("code", "final"), [(93000, True), (45009, False), (45002, True), (40008, False)])
async def test_a_refusal(
    robot: GroupRobot, p: TestPlatform, code: int, final: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(codes.TEXTS, code, f"no, for key={p.robot.key}")  # the platform's words may repeat the address
    p.faults.fail(SEND, code=code)
    with pytest.raises(SendFailed) as failed:
        await robot.send(out(), "k")
    assert failed.value.final is final
    assert isinstance(failed.value, Halted) is (code == 45009), "that is said of the robot: it waits"
    assert p.robot.key not in str(failed.value)


async def test_no_answer_is_uncertain_and_tells_no_key(robot: GroupRobot, p: TestPlatform) -> None:
    p.faults.fail(SEND, status=504)
    with capture_logs() as logs, pytest.raises(Uncertain) as failed:
        await robot.send(out(), "k")
    assert p.robot.key not in f"{failed.value!r}{logs}"


@pytest.mark.parametrize("status", [500, 502])
async def test_an_alert_that_may_have_arrived_comes_once_more_and_says_so(
    duty: GroupRobot, p: TestPlatform, town_db: Database, clock: HandClock, status: int
) -> None:
    p.faults.fail(SEND, status=status, taken=True)
    town_db.tx(lambda session: outbox.put(session, [("k", out())], clock()))
    sender = Sender(town_db, {NAME: duty}, clock)
    await sender.step()
    assert heard(p) == ["【紧急】LS00001 电梯"]
    clock.forward(minutes=1)
    await sender.step()
    assert heard(p) == ["【紧急】LS00001 电梯", "【重复提醒】【紧急】LS00001 电梯"]


async def test_a_platform_that_took_nothing_is_asked_again_at_once(robot: GroupRobot, p: TestPlatform) -> None:
    robot._apis["duty"]._backoff = (0, 0)
    p.faults.fail(SEND, status=503, times=2)
    await robot.send(out(), "k")
    assert heard(p) == ["【紧急】LS00001 电梯"]


async def test_a_group_without_a_robot(robot: GroupRobot) -> None:
    with pytest.raises(SendFailed, match="no robot") as failed:
        await robot.send(out(chat="elsewhere"), "k")
    assert failed.value.final


async def test_an_empty_message_is_given_up(robot: GroupRobot) -> None:
    with pytest.raises(SendFailed, match="empty"):
        await robot.send(out(""), "k")


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (KEY, KEY),
        (f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}", KEY),
    ],
)
def test_the_key_or_the_whole_address(told: str, key: str) -> None:
    found = GroupRobotSettings.model_validate({"keys": {"duty": told}})
    assert found.keys["duty"].get_secret_value() == key
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "keys", [{"duty": "x"}, {"duty": "https://qyapi.weixin.qq.com/send"}, {"": KEY}, {"d": "a b c d e f g"}]
)
def test_what_is_no_key(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        GroupRobotSettings.model_validate({"keys": keys})


# ---- twenty a minute


async def test_never_more_than_twenty_in_a_minute_and_none_lost(
    duty: GroupRobot, p: TestPlatform, town_db: Database, clock: HandClock
) -> None:
    numbered = [(f"k{i:02}", out(f"第{i:02}条")) for i in range(45)]
    town_db.tx(lambda session: outbox.put(session, numbered, clock()))
    sender = Sender(town_db, {NAME: duty}, clock)
    seconds = 0
    while len(heard(p)) < 45 and seconds < 600:
        while await sender.step():
            pass
        clock.forward(seconds=1)
        seconds += 1
    assert heard(p) == [f"第{i:02}条" for i in range(45)]
    assert 120 <= seconds <= 160
    rows = town_db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert {row.outcome for row in rows} == {SENT}
    assert max(row.attempts for row in rows) <= 4


async def test_processes_share_the_minute(
    duty: GroupRobot, p: TestPlatform, town_db: Database, clock: HandClock
) -> None:
    other = GroupRobot(settings(p), town_db, clock, zone=ZONE)
    await other.start()
    for number in range(20):
        await (duty, other)[number % 2].send(out(), f"k{number}")
    for one in (duty, other):
        with pytest.raises(SendFailed, match="used up") as failed:
            await one.send(out(), "k")
        assert failed.value.after is not None
        assert 1 <= failed.value.after <= 66
    assert len(heard(p)) == 20
    await other.stop()


# ---- what the groups hear


def a_ticket(db: Database, clock: HandClock, *events: str, grid: str | None = "QX-01-01-01", **more: Any) -> int:
    """A ticket with a history."""

    def write(session: Session) -> int:
        told: dict[str, Any] = {
            "status": Status.ASSIGNED, "category": "facility.elevator", "tier": 1, "grid": grid, "channel": "web",
            "chat": "g", "reporter": "u", "opened_at": clock(), "last_message_at": clock(), "summary": "王阿姨 302室",
        }  # fmt: skip
        ticket = Ticket(**(told | more))
        session.add(ticket)
        session.flush()
        for what in events:
            record(session, ticket, what, "system", clock())
        return ticket.id or 0

    return db.tx(write)


def name_group(db: Database, code: str, grid: str | None) -> None:
    """A duty group in chats.csv."""

    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code=code, kind=ChatKind.GROUP, grid=grid, name="值班"))
        bump(session, TOWN)

    db.tx(write)


def waiting(db: Database) -> list[Outgoing]:
    """What waits for the robots."""
    rows = db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(Outbox.id)).all())  # type: ignore[arg-type]
    return [outbox.read(row) for row in rows]


def told(db: Database) -> list[tuple[str, str]]:
    """(group, words) of it."""
    return [(out.chat, out.text) for out in waiting(db)]


async def test_urgent_and_overdue_once_each(duty: GroupRobot, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", "QX-01")
    assert await duty.look() == 0
    a_ticket(town_db, clock, "opened", "assigned", urgent=True, place="P-LA-B06")
    a_ticket(town_db, clock, "opened", "reminded")
    assert await duty.look() == 1
    assert await duty.look() == 0
    a_ticket(town_db, clock, "opened", "urgent", "escalated", "urgent", urgent=True)
    assert await duty.look() == 2
    first, *rest = [words for _, words in told(town_db)]
    assert first.startswith("【紧急】LS00001 电梯 ")
    assert sorted(words[:4] for words in rest) == ["【紧急】", "【超期】"]
    assert all(out.urgent for out in waiting(town_db)), "what is overdue here is an urgent matter, too"
    assert not any(secret in words for _, words in told(town_db) for secret in ("王阿姨", "302"))


async def test_a_second_process_tells_nothing_twice(
    duty: GroupRobot, p: TestPlatform, town_db: Database, clock: HandClock
) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True)
    other = GroupRobot(settings(p), town_db, clock, zone=ZONE)
    await other.start()  # it may have looked already
    await other.look()
    await duty.look()
    assert len(told(town_db)) == 1
    await other.stop()


async def test_only_groups_of_the_grid_or_above_that_have_a_robot(
    p: TestPlatform, town_db: Database, clock: HandClock
) -> None:
    for code, grid in (("here", "QX-01-01-01"), ("above", "QX"), ("beside", "QX-02"), ("mute", "QX-01")):
        name_group(town_db, code, grid)
    keys = dict.fromkeys(("here", "above", "beside"), p.robot.key)
    channel = GroupRobot(settings(p, keys=keys), town_db, clock, zone=ZONE)
    await channel.start()
    a_ticket(town_db, clock, "opened", urgent=True)
    a_ticket(town_db, clock, "opened", urgent=True, grid=None)
    await channel.look()
    await channel.stop()
    assert sorted((chat, words[4:11]) for chat, words in told(town_db)) == [
        ("above", "LS00001"), ("above", "LS00002"), ("here", "LS00001"),
    ]  # fmt: skip


async def test_a_grids_group_hears_of_it_once_the_place_is_known(
    p: TestPlatform, town_db: Database, clock: HandClock
) -> None:
    name_group(town_db, "here", "QX-01-01-01")
    name_group(town_db, "above", "QX")
    channel = GroupRobot(settings(p, keys=dict.fromkeys(("here", "above"), p.robot.key)), town_db, clock, zone=ZONE)
    await channel.start()
    number = a_ticket(town_db, clock, "opened", urgent=True, grid=None)
    await channel.look()
    assert [chat for chat, _ in told(town_db)] == ["above"]

    def placed(session: Session) -> None:
        session.get_one(Ticket, number).grid = "QX-01-01-01"

    town_db.tx(placed)
    await channel.look()
    assert await channel.look() == 0
    await channel.stop()
    assert [chat for chat, _ in told(town_db)] == ["above", "here"]


async def test_of_a_sensitive_matter_only_its_number(duty: GroupRobot, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True, sensitive=True, place="P-LA-B06")
    await duty.look()
    ((_, words),) = told(town_db)
    assert words == "LS00001 需要马上关注，内容不便在群里说，请值班人员在工单里查看。"


async def test_what_became_private_while_it_waited_is_not_said(town_db: Database, clock: HandClock) -> None:
    a_ticket(town_db, clock, "opened", urgent=True, sensitive=True, place="P-LA-B06")
    put = Outgoing(channel=NAME, chat="duty", text="【紧急】LS00001 电梯 柳岸花园6幢", ticket=1)
    assert "6幢" not in town_db.tx(lambda session: _still_so(session, put)).text
    assert town_db.tx(lambda session: _still_so(session, put.model_copy(update={"ticket": None}))).text == put.text


async def test_a_home_that_only_the_register_knows_is_not_told(
    duty: GroupRobot, town_db: Database, clock: HandClock
) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True, from_home=True, place="P-LA-B06")
    await duty.look()
    ((_, words),) = told(town_db)
    assert "6幢" not in words


@pytest.mark.parametrize("status", [Status.WITHDRAWN, Status.RESOLVED, Status.MERGED])
async def test_what_is_over_is_no_alert(duty: GroupRobot, town_db: Database, clock: HandClock, status: Status) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", "escalated", urgent=True, status=status)
    assert await duty.look() == 0


async def test_what_is_a_day_old_is_no_alert(duty: GroupRobot, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True)
    clock.forward(hours=25)
    assert await duty.look() == 0


async def test_the_settings_say_what_is_told(p: TestPlatform, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", None)
    channel = GroupRobot(settings(p, alerts=["reminder", "unreachable", "reopened"]), town_db, clock, zone=ZONE)
    await channel.start()
    a_ticket(town_db, clock, "opened", "urgent", "escalated", "reminded", "unreachable", "reopened", urgent=True)
    await channel.look()
    await channel.stop()
    assert [words[: words.index("】") + 1] for _, words in told(town_db)] == [
        "【临期】",
        "【未通知到】",
        "【退回重办】",
    ]
