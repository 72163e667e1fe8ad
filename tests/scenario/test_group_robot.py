"""Whole matters, and what a duty group's robot says of them: the urgent one at once, the slow one when overdue."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import Session

from bot.channels.group_robot import NAME, GroupRobot
from config.settings import Settings
from config.side_channels import GroupRobotSettings
from models import outbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing, Purpose
from models.ticket import Status
from nlu.types import Engine
from tests.platform.harness import StoppedClock, TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.deployed import accepted, done, refused, the_card
from tests.scenario.elsewhere import work
from tests.scenario.matters import photo, photos, place, status
from tests.scenario.wecom import GROUP, RESIDENT, last, texts
from tests.scenario.wecom_app import at_work, staff_to_the_app, with_app


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


def duty_group(session: Session) -> None:
    """It belongs to the whole community."""
    session.add(Chat(channel=NAME, code="duty", kind=ChatKind.GROUP, grid="QX-01", name="柳岸社区值班群"))
    bump(session, TOWN)


@pytest.fixture
async def story(chat: Scene) -> AsyncIterator[Story]:
    chat.at("2026-03-02 08:30")

    chat.db.tx(duty_group)
    async with platform(clock=StoppedClock(chat.clock())) as p:
        told = {"keys": {"duty": p.robot.url}, "api_base": p.base, "poll_seconds": 60}
        robot = GroupRobot(GroupRobotSettings.model_validate(told), chat.db, chat.clock, zone=ZONE)
        await robot.start()
        yield Story(chat, robot, p)
        await robot.stop()


async def test_a_whole_matter(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """Told to the AI bot in a group, and overdue before its worker takes it: the duty group hears of that. Its robot is
    push only: nobody is asked there, and nobody can answer."""
    staff_to_the_app(town_db)
    town_db.tx(duty_group)
    async with platform() as p:
        group = p.group("柳岸花园南区邻里群", RESIDENT, chat=GROUP)
        robot = {"keys": {"duty": p.robot.url}, "api_base": p.base, "poll_seconds": 0.05}
        settings = with_app(p, db_url, tmp_path).model_dump(exclude_defaults=True) | {NAME: robot}
        async with at_work(p, Settings.model_validate(settings), engine):
            await p.photo(group, RESIDENT, photo(), "@邻声 楼道灯不亮了 黑漆漆的")
            await p.until(lambda: "请问具体在哪里" in last(p, group))
            await p.until(lambda: photos(town_db))
            assert (tmp_path / "media" / photos(town_db)[0]).is_file()
            await p.say(group, RESIDENT, "@邻声 6幢")
            await p.until(lambda: place(town_db) == "P-LA-B06")
            card = await the_card(p)
            await refused(p, town_db, card)
            assert p.seen(p.robot.chat) == []  # nothing yet that nobody on duty may miss

            p.clock.forward(days=1)  # it was to be settled by midnight
            await p.until(lambda: p.seen(p.robot.chat))
            (words,) = texts(p, p.robot.chat)
            assert words.startswith("【超期】LS00001 照明 柳岸花园6幢 已过 ")

            # A worker's presses, and what residents say, are none of its business.
            await accepted(p, town_db, card)
            await done(p, town_db, card)
            await p.until(lambda: "请评价" in last(p, group))
            await p.say(group, RESIDENT, "@邻声 满意")
            await p.until(lambda: status(town_db) == Status.CLOSED)
            assert texts(p, p.robot.chat) == [words]
        assert p.complaints == []


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
