"""Robots of duty groups: what the group hears, how often, and that the key stands nowhere."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.base import SendFailed, Uncertain
from bot.channels.group_robot import NAME, GroupRobot
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

KEY, ZONE = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", ZoneInfo("Asia/Shanghai")


class Robots:
    """The platform's side, as 91770 tells it: 20 a minute for each key, then 45009."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.heard: list[dict[str, Any]] = []
        self.times: list[datetime] = []
        self.answers: list[web.Response | dict[str, object]] = []

    async def send(self, request: web.Request) -> web.Response:
        """POST /cgi-bin/webhook/send."""
        letter = await request.json()
        if request.query.get("key") != KEY or set(request.query) != {"key"}:
            return web.json_response({"errcode": 93000, "errmsg": f"invalid webhook url {request.query_string}"})
        if self.answers:
            answer = self.answers.pop(0)
            return answer if isinstance(answer, web.Response) else web.json_response(answer)
        lately = [at for at in self.times if at > self.clock() - timedelta(minutes=1)]
        if len(lately) >= 20:
            return web.json_response({"errcode": 45009, "errmsg": "api freq out of limit"})
        self.times.append(self.clock())
        self.heard.append(letter)
        return web.json_response({"errcode": 0, "errmsg": "ok"})


@pytest.fixture
def robots(clock: HandClock) -> Robots:
    return Robots(clock)


@pytest.fixture
async def base(robots: Robots) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/cgi-bin/webhook/send", robots.send)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def settings(base: str, **more: object) -> GroupRobotSettings:
    told: dict[str, object] = {"keys": {"duty": KEY}, "api_base": base, "poll_seconds": 60}
    return GroupRobotSettings.model_validate(told | more)


@pytest.fixture
async def robot(base: str, sqlite_db: Database, clock: HandClock) -> AsyncIterator[GroupRobot]:
    """For single messages."""
    channel = GroupRobot(settings(base), sqlite_db, clock, zone=ZONE)
    await channel.start()
    yield channel
    await channel.stop()


@pytest.fixture
async def duty(base: str, town_db: Database, clock: HandClock) -> AsyncIterator[GroupRobot]:
    """In the demo town, on both databases."""
    channel = GroupRobot(settings(base), town_db, clock, zone=ZONE)
    await channel.start()
    assert channel._watch is not None
    channel._watch.cancel()  # before its first look: the tests look, and count what is new
    yield channel
    await channel.stop()


def out(text: str = "【紧急】LS00001 电梯", **more: object) -> Outgoing:
    told: dict[str, object] = {"channel": NAME, "chat": "duty", "text": text, "purpose": Purpose.ALERT}
    return Outgoing.model_validate(told | more)


# ---- one message


async def test_markdown_by_default(robot: GroupRobot, robots: Robots) -> None:
    assert await robot.send(out("【紧急】LS00001 电梯 <@all> [领奖](http://x) 13800001111 302室"), "k") == ""
    content = robots.heard[0]["markdown"]["content"]
    assert robots.heard[0]["msgtype"] == "markdown"
    assert content.startswith("【紧急】LS00001 电梯")
    for bad in ("<@", "](", "13800001111", "302室"):
        assert bad not in content


async def test_text_when_it_is_set(base: str, town_db: Database, clock: HandClock, robots: Robots) -> None:
    channel = GroupRobot(settings(base, style="text"), town_db, clock, zone=ZONE)
    await channel.start()
    await channel.send(out("水" * 3_000), "k")
    await channel.stop()
    content = robots.heard[0]["text"]["content"]
    assert len(content.encode()) <= 2_048
    assert content.endswith("…")


@pytest.mark.parametrize(("code", "final"), [(93000, True), (45009, False), (45002, True), (40008, False)])
async def test_a_refusal(robot: GroupRobot, robots: Robots, code: int, final: bool) -> None:
    robots.answers = [{"errcode": code, "errmsg": f"no, for key={KEY}"}]
    with pytest.raises(SendFailed) as failed:
        await robot.send(out(), "k")
    assert failed.value.final is final
    assert KEY not in str(failed.value)


async def test_no_answer_is_uncertain_and_tells_no_key(robot: GroupRobot, robots: Robots) -> None:
    robots.answers = [web.Response(status=504)]
    with capture_logs() as logs, pytest.raises(Uncertain) as failed:
        await robot.send(out(), "k")
    assert KEY not in f"{failed.value!r}{logs}"


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
    duty: GroupRobot, robots: Robots, town_db: Database, clock: HandClock
) -> None:
    numbered = [(f"k{i:02}", out(f"第{i:02}条")) for i in range(45)]
    town_db.tx(lambda session: outbox.put(session, numbered, clock()))
    sender = Sender(town_db, {NAME: duty}, clock)
    seconds = 0
    while len(robots.heard) < 45 and seconds < 600:
        while await sender.step():
            pass
        clock.forward(seconds=1)
        seconds += 1
    words = [letter["markdown"]["content"] for letter in robots.heard]
    assert words == [f"第{i:02}条" for i in range(45)]
    assert 120 <= seconds <= 160
    rows = town_db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert {row.outcome for row in rows} == {SENT}
    assert max(row.attempts for row in rows) <= 4


async def test_processes_share_the_minute(
    duty: GroupRobot, base: str, robots: Robots, town_db: Database, clock: HandClock
) -> None:
    other = GroupRobot(settings(base), town_db, clock, zone=ZONE)
    await other.start()
    for number in range(20):
        await (duty, other)[number % 2].send(out(), f"k{number}")
    for one in (duty, other):
        with pytest.raises(SendFailed, match="used up") as failed:
            await one.send(out(), "k")
        assert failed.value.after is not None
        assert 1 <= failed.value.after <= 66
    assert len(robots.heard) == 20
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


def told(db: Database) -> list[tuple[str, str]]:
    """(group, words) of what waits for the robots."""
    rows = db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(Outbox.id)).all())  # type: ignore[arg-type]
    return [(out.chat, out.text) for out in map(outbox.read, rows)]


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
    assert not any(secret in words for _, words in told(town_db) for secret in ("王阿姨", "302"))


async def test_a_second_process_tells_nothing_twice(
    duty: GroupRobot, base: str, town_db: Database, clock: HandClock
) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True)
    other = GroupRobot(settings(base), town_db, clock, zone=ZONE)
    await other.start()  # it may have looked already
    await other.look()
    await duty.look()
    assert len(told(town_db)) == 1
    await other.stop()


async def test_only_groups_of_the_grid_or_above_that_have_a_robot(
    base: str, town_db: Database, clock: HandClock
) -> None:
    for code, grid in (("here", "QX-01-01-01"), ("above", "QX"), ("beside", "QX-02"), ("mute", "QX-01")):
        name_group(town_db, code, grid)
    keys = dict.fromkeys(("here", "above", "beside"), KEY)
    channel = GroupRobot(settings(base, keys=keys), town_db, clock, zone=ZONE)
    await channel.start()
    a_ticket(town_db, clock, "opened", urgent=True)
    a_ticket(town_db, clock, "opened", urgent=True, grid=None)
    await channel.look()
    await channel.stop()
    assert sorted((chat, words[4:11]) for chat, words in told(town_db)) == [
        ("above", "LS00001"), ("above", "LS00002"), ("here", "LS00001"),
    ]  # fmt: skip


async def test_of_a_sensitive_matter_only_its_number(duty: GroupRobot, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", None)
    a_ticket(town_db, clock, "opened", urgent=True, sensitive=True, place="P-LA-B06")
    await duty.look()
    ((_, words),) = told(town_db)
    assert words == "LS00001 需要马上关注，内容不便在群里说，请值班人员在工单里查看。"


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


async def test_the_settings_say_what_is_told(base: str, town_db: Database, clock: HandClock) -> None:
    name_group(town_db, "duty", None)
    channel = GroupRobot(settings(base, alerts=["reminder", "unreachable", "reopened"]), town_db, clock, zone=ZONE)
    await channel.start()
    a_ticket(town_db, clock, "opened", "urgent", "escalated", "reminded", "unreachable", "reopened", urgent=True)
    await channel.look()
    await channel.stop()
    assert [words[: words.index("】") + 1] for _, words in told(town_db)] == [
        "【临期】",
        "【未通知到】",
        "【退回重办】",
    ]
