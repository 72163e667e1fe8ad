"""A whole matter by way of the Official Account: the platform opposite, the real process on either database."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session, col

from bot.app import PROCESS, build
from bot.channels.wechat_mp import NAME, PATH, OfficialAccount
from bot.channels.wechat_mp.events import SAYS
from bot.channels.wechat_mp.menu import words
from bot.platform.world import Bubble
from config.settings import Settings
from models.database import Database
from models.outbox import TOLD, Outbox
from models.ticket import Status
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.matters import events, everybody_to, photo, photos, status, ticket, told

RESIDENT, WORKER, STRANGER = "o-new", "w01", "w07"  # nobody the town knows, 网格员小顾, 网格员大山


def settings_for(p: TestPlatform, db_url: str, home: Path, **more: Any) -> Settings:
    """A deployment whose only platform is `p`. more: further settings of the channel."""
    told = {
        "token": p.mp.token, "aes_key": p.mp.aes_key, "app_id": p.mp.app_id, "app_secret": p.mp.secret,
        "api_base": p.base,
    }  # fmt: skip
    return Settings.model_validate(
        {"home": home, "database_url": db_url, "secret_key": "of-the-tests", "wechat_mp": told | more}
    )


async def served(app: web.Application, p: TestPlatform) -> TestServer:
    server = TestServer(app)
    await server.start_server()
    p.mp.callback = str(server.make_url(PATH))
    return server


def menus(p: TestPlatform, who: str, item: str) -> list[Bubble]:
    """Menus of hers that offer something which begins like this."""
    return [bubble for bubble in p.seen(who) if any(one.startswith(item) for one, _ in items(bubble))]


def items(menu: Bubble) -> list[tuple[str, str]]:
    return [(one["id"], one["content"]) for one in menu.body.get("msgmenu", {}).get("list", [])]


@pytest.mark.timeout(120)
async def test_from_a_line_to_a_rating(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    everybody_to(town_db, NAME)
    async with platform() as p:
        server = await served(build(settings_for(p, db_url, tmp_path), clock=p.clock, engine=engine), p)
        try:
            await the_matter(p, town_db, tmp_path)
        finally:
            await server.close()


async def the_matter(p: TestPlatform, db: Database, home: Path) -> None:
    mp = p.mp
    for worker in (WORKER, STRANGER):  # who never writes cannot be written to
        await mp.say(worker, "我手上有什么")
        await p.until(partial(told, p, worker))

    await mp.say(RESIDENT, "楼道灯坏了好几天，晚上看不见，没人修")
    await p.until(lambda: "请问" in told(p, RESIDENT))
    await mp.say(RESIDENT, "柳岸花园3幢")
    await p.until(lambda: "3幢" in told(p, RESIDENT))
    await mp.photo(RESIDENT, photo())
    await p.until(lambda: photos(db))
    assert (home / "media" / photos(db)[0]).is_file()

    await p.until(lambda: "【新任务】" in told(p, WORKER))
    number = ticket(db)
    assert number is not None
    # The alert is a menu; another one's press on the same key changes nothing.
    (alert,) = menus(p, WORKER, "accept:1")
    assert [content for _, content in items(alert)] == ["接单", "转派", "办结"]
    await mp.say(STRANGER, "接单", menu="accept:1")
    await p.until(lambda: "不在您的职责范围内" in told(p, STRANGER))
    assert (status(db), "refused" in events(db)) == (Status.ASSIGNED, True)

    p.clock.forward(minutes=5)
    await mp.choose(alert, WORKER, "accept:1")
    await p.until(lambda: status(db) == Status.ACCEPTED)
    p.clock.forward(minutes=30)
    await mp.say(RESIDENT, "修得怎么样了")
    await p.until(lambda: "LS00001 柳岸花园3幢照明：" in told(p, RESIDENT))
    await mp.choose(alert, WORKER, "done:1")
    await p.until(lambda: "已办结" in told(p, RESIDENT))

    # 满意 is a press too, and it names the matter.
    (rating,) = menus(p, RESIDENT, "LS")
    assert [content for _, content in items(rating)] == ["满意", "不满意"]
    await mp.choose(rating, RESIDENT, items(rating)[0][0])
    await p.until(lambda: status(db) == Status.CLOSED)
    await p.until(lambda: "谢谢您的评价" in told(p, RESIDENT))
    assert (events(db).count("accepted"), ticket(db).rating) == (1, 5)  # type: ignore[union-attr]
    assert all(push.tries == 1 for push in p.pushes)
    # Staff who never wrote to the account cannot be reached on it; everything else arrived.
    assert {call.code for call in p.calls} <= {0, 40003}


@pytest.mark.timeout(120)
async def test_done_when_the_48_hours_are_over(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """She is told by a notice, which is too short for it; her next word brings all of it, with the request to rate."""
    everybody_to(town_db, NAME)
    notice = {"template_id": "TPL", "template_fields": {"thing1": "{text}", "character_string2": "{number}"}}
    async with platform() as p:
        p.mp.templates["TPL"] = "办件进度提醒"
        server = await served(build(settings_for(p, db_url, tmp_path, **notice), clock=p.clock, engine=engine), p)
        try:
            await done_late(p, town_db)
        finally:
            await server.close()


def behind_a_notice(session: Session) -> int:
    """How many messages wait for a word, and are known to."""
    return (
        session.scalar(sa.select(sa.func.count()).where(col(Outbox.notice) == TOLD, col(Outbox.lease).is_(None))) or 0
    )


async def done_late(p: TestPlatform, db: Database) -> None:
    mp = p.mp
    await mp.say(WORKER, "我手上有什么")
    await p.until(partial(told, p, WORKER))
    await mp.say(RESIDENT, "柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修")
    await p.until(lambda: "LS00001" in told(p, RESIDENT))
    await p.until(lambda: menus(p, WORKER, "accept:1"))
    p.clock.forward(minutes=5)
    await mp.choose(menus(p, WORKER, "accept:1")[0], WORKER, "accept:1")
    await p.until(lambda: status(db) == Status.ACCEPTED)
    # The news of it, too, leaves while the window is open.
    await p.until(lambda: "已接单" in told(p, RESIDENT))

    p.clock.forward(hours=49)
    await mp.say(WORKER, "办结 1")
    await p.until(lambda: any(bubble.kind == "template" for bubble in p.seen(RESIDENT)))
    lines = p.seen(RESIDENT)[-1].text.splitlines()
    assert (lines[1][-1], lines[2]) == ("…", "LS00001")
    assert not menus(p, RESIDENT, "LS"), "there is nothing to press below a notice"
    await p.until(lambda: db.tx(behind_a_notice))

    await mp.say(RESIDENT, "什么事")
    await p.until(lambda: menus(p, RESIDENT, "LS"))
    rating = menus(p, RESIDENT, "LS")[0]  # what waited comes before the answer to her word
    assert "已办结。请评价" in rating.text
    await mp.choose(rating, RESIDENT, items(rating)[0][0])
    await p.until(lambda: status(db) == Status.CLOSED)


# What each button of the shipped menu brings somebody whom nobody knows yet; the first three in their order.
PRESSED = {
    "我要反映问题": "请说一下是什么事、在哪里",
    "我反映的事办得怎么样了": "没有找到您反映过的事",
    "我们这里的网格员是谁": "请问您住在哪个小区、几幢？",
    "查询我的信息": "我们保存着",
    "删除我的信息": "确认删除",
}


@pytest.mark.timeout(120)
async def test_every_button_of_the_menu(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """Each says something that helps, and no member of staff hears of it."""
    assert words() == set(PRESSED)
    everybody_to(town_db, NAME)
    async with platform() as p:
        app = build(settings_for(p, db_url, tmp_path), clock=p.clock, engine=engine)
        server = await served(app, p)
        try:
            channel = app[PROCESS].channels[NAME]
            assert isinstance(channel, OfficialAccount)
            await channel.publish_menu()
            await p.mp.follow(RESIDENT)
            await p.until(partial(told, p, RESIDENT))
            for text, answer in PRESSED.items():
                p.clock.forward(minutes=2)
                before = len(p.seen(RESIDENT))
                await p.mp.press(RESIDENT, SAYS + text)
                await p.until(lambda before=before: len(p.seen(RESIDENT)) > before)  # type: ignore[misc]
                assert answer in p.seen(RESIDENT)[before].text
        finally:
            await server.close()
        rows = town_db.tx(lambda session: list(session.scalars(sa.select(col(Outbox.conversation)).distinct())))
        assert rows == [f"{NAME}:{RESIDENT}"]
