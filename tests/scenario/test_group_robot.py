"""Whole matters, and what a duty group's robot says of them: the urgent one at once, the slow one when overdue."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlmodel import Session

from bot.channels.group_robot import NAME, GroupRobot
from config.side_channels import GroupRobotSettings
from models import outbox
from models.chat import Chat, ChatKind
from models.mark import TOWN, bump
from models.message import Outgoing, Purpose
from tests.platform.harness import StoppedClock, TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.elsewhere import work


@dataclass
class Story:
    """The scene, the duty group's robot, and the platform it posts to."""

    chat: Scene
    robot: GroupRobot
    p: TestPlatform

    async def heard(self) -> list[str]:
        """What stands in the duty group, when everything has left."""
        await self.robot.look()
        await work(self.chat, self.robot)
        return [bubble.text for bubble in self.p.seen(self.p.robot.chat)]


@pytest.fixture
async def story(chat: Scene) -> AsyncIterator[Story]:
    chat.at("2026-03-02 08:30")

    def write(session: Session) -> None:
        session.add(Chat(channel=NAME, code="duty", kind=ChatKind.GROUP, grid="QX-01", name="柳岸社区值班群"))
        bump(session, TOWN)

    chat.db.tx(write)
    async with platform(clock=StoppedClock(chat.clock())) as p:
        told = {"keys": {"duty": p.robot.url}, "api_base": p.base, "poll_seconds": 60}
        robot = GroupRobot(GroupRobotSettings.model_validate(told), chat.db, chat.clock, zone=ZONE)
        await robot.start()
        yield Story(chat, robot, p)
        await robot.stop()


async def test_an_urgent_matter_from_report_to_rating(story: Story) -> None:
    chat = story.chat
    group = chat.group("柳岸花园南区")
    group.says("春芽", "6幢楼下闻到很浓的煤气味 谁来看看啊", photo="gas.jpg")
    ticket = chat.ticket()
    assert ticket.urgent
    (words,) = await story.heard()
    assert words.startswith("【紧急】LS00001")
    assert "柳岸花园6幢" in words
    assert "春芽" not in words

    # A click by somebody else, then the worker's; a neighbour who joins: the duty group hears of none of it.
    pressed = chat.presses("网格员小裴", "accept", ticket)
    assert chat.outcome(pressed) == "refused"
    chat.presses("网格员小顾", "accept")
    group.says("风吹柳", "我也闻到了 6幢")
    chat.presses("网格员小顾", "done")
    group.says("春芽", "满意")
    assert (ticket.status, ticket.row.rating) == ("closed", 5)
    assert await story.heard() == [words]


async def test_a_slow_one_when_it_is_overdue(story: Story) -> None:
    chat = story.chat
    group = chat.group("柳岸花园南区")
    group.says("春芽", "楼道灯不亮了 黑漆漆的")
    group.says("春芽", "6幢")
    assert await story.heard() == []
    (due,) = chat.ticket().due
    chat.at(f"{due:%Y-%m-%d %H:%M}").wait("5 minutes")
    story.p.clock.set(chat.clock())
    (words,) = await story.heard()
    assert words.startswith("【超期】LS00001 照明 柳岸花园6幢 已过 ")
    chat.wait("1 days")
    assert await story.heard() == [words]


async def test_a_private_matter_is_named_by_its_number_only(story: Story) -> None:
    chat = story.chat
    chat.direct("春芽").writes("我老公又打我了 在砸东西 快来人救救我")
    ticket = chat.ticket()
    assert (ticket.urgent, ticket.sensitive) == (True, True)
    assert await story.heard() == ["LS00001 需要马上关注，内容不便在群里说，请值班人员在工单里查看。"]


async def test_a_flood_keeps_to_twenty_a_minute(story: Story) -> None:
    chat = story.chat
    told = [Outgoing(channel=NAME, chat="duty", text=f"第{n:02}条", purpose=Purpose.ALERT) for n in range(45)]
    numbered = [(f"flood{n:02}", out) for n, out in enumerate(told)]
    chat.db.tx(lambda session: outbox.put(session, numbered, chat.clock()))
    words = await story.heard()
    assert len(words) == 20
    for _ in range(40):
        story.p.clock.set(chat.clock.forward(seconds=5))
        words = await story.heard()
    assert words == [out.text for out in told]
