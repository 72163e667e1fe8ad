"""Faults that no channel is spared, where its own tests do not play them. The whole table: README.md here."""

from pathlib import Path

import pytest

from bot.channels.group_robot import NAME as ROBOT
from bot.channels.group_robot import GroupRobot
from bot.platform.group_robot import SEND
from bot.sender import Sender
from config.side_channels import GroupRobotSettings
from models import outbox
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import SENT, UNCERTAIN
from tests.platform.doors import DOORS, says
from tests.platform.harness import TestPlatform
from tests.platform.mp import ZONE
from tests.platform.wecom_bot import handled, heard, put, row
from tests.platform.wecom_bot_hook import Scene

WORDS = ["一", "二", "三"]


@pytest.mark.parametrize("name", [name for name in DOORS if name != "kf"])  # whose callbacks bring no words
async def test_callbacks_come_late_backwards_and_again(
    p: TestPlatform, db: Database, tmp_path: Path, name: str
) -> None:
    async with DOORS[name](p, db, tmp_path):
        p.pusher.holding = True
        for word in WORDS:
            await says(p, name, word)
            p.clock.forward(seconds=20)
        for push in await p.pusher.release(backwards=True):
            await p.again(push)
        assert {push.status for push in p.pushes} == {200}
    found = heard(db)
    assert [one.text for one in found] == WORDS[::-1]
    if name != "bot":  # whose letters carry no time: they count from when they are heard
        assert [one.text for one in sorted(found, key=lambda one: one.sent_at)] == WORDS


# ---- the platform is away for a minute: its gateway says so, or lines are cut and nobody knows what has arrived

AWAY = pytest.mark.parametrize(("status", "mark"), [(503, ""), (None, "【重复提醒】")], ids=["503", "cut"])


async def a_minute(p: TestPlatform, path: str, status: int | None, sender: Sender) -> None:
    """In which the sender does what it can, and another one, in which it goes on."""
    p.faults.fail(path, status=status, cut=status is None, times=1_000)
    for _ in range(6):
        await sender.step()
        p.clock.forward(seconds=10)
    p.faults.clear()
    p.clock.forward(minutes=1)
    await sender.step()


@AWAY
async def test_the_webhooks_later_answer(scene: Scene, status: int | None, mark: str) -> None:
    """What may have arrived is said again where it is an alert, and is else in the list of what nobody knows."""
    await scene.p.say(None, "w", "在的")
    handled(scene.db, scene.p)
    await scene.p.bot.poll()  # her stream has ended
    put(scene.db, scene.p, "w", "【紧急】", "alert", purpose=Purpose.ALERT)
    said = await scene.p.say(None, "a", "灯坏了")
    (reply,) = scene.answer(said, "已登记")
    await a_minute(scene.p, "/cgi-bin/aibot/response", status, scene.sender())
    assert (row(scene.db, "alert").outcome, scene.shown("w")) == (SENT, ["收到。", f"{mark}【紧急】"])
    assert row(scene.db, reply).outcome == (SENT if status else UNCERTAIN)
    assert scene.shown("a").count("已登记") == (1 if status else 0)


@AWAY
async def test_a_robots_alert(p: TestPlatform, db: Database, status: int | None, mark: str) -> None:
    settings = GroupRobotSettings.model_validate({"keys": {"duty": p.robot.key}, "api_base": p.base})
    robot = GroupRobot(settings, db, p.clock, zone=ZONE)
    await robot.start()
    robot._apis["duty"]._backoff = (0.0, 0.0)
    out = Outgoing(channel=ROBOT, chat="duty", text="【紧急】LS00001", purpose=Purpose.ALERT)
    db.tx(lambda session: outbox.put(session, [("k", out)], p.clock()))
    await a_minute(p, SEND, status, Sender(db, {ROBOT: robot}, p.clock))
    await robot.stop()
    assert (row(db, "k").outcome, [one.text for one in p.seen(p.robot.chat)]) == (SENT, [f"{mark}【紧急】LS00001"])
