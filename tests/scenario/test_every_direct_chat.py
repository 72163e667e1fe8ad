"""What holds in every direct chat there is, by the real channels: the notice once, 查询我的信息, 删除我的信息."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from models.database import Database
from models.privacy import Erasure, Notice
from nlu.types import Engine
from tests.platform.harness import TestPlatform, platform
from tests.scenario.deployed import deployed, of_customer_service, of_the_account
from tests.scenario.matters import told
from tests.scenario.wecom_app import staff_to_the_app

HER = "20009"  # nobody the town knows; QQ wants a number
NOTICE = "【隐私告知】"
Says = Callable[[str], Awaitable[object]]


def settings_of(p: TestPlatform) -> dict[str, dict[str, Any]]:
    """By channel; the app is always there."""
    return {
        "wechat_mp": of_the_account(p),
        "wecom_app": {},
        "wecom_bot": {"bot_id": p.bot.id, "secret": p.bot.secret, "ws_url": p.ws_url},
        "wecom_kf": of_customer_service(p),
        "onebot": {"token": p.qq.token, "rate": 20},
    }


def mouth(p: TestPlatform, channel: str) -> Says:
    """How she writes to the bot there."""
    says: dict[str, Says] = {
        "wechat_mp": partial(p.mp.say, HER),
        "wecom_app": partial(p.app.say, HER),
        "wecom_bot": partial(p.bot.say, None, HER),
        "wecom_kf": partial(p.kf.say, HER),
        "onebot": partial(p.qq.say, None, HER),
    }
    return says[channel]


@pytest.mark.parametrize("channel", ["wechat_mp", "wecom_app", "wecom_bot", "wecom_kf", "onebot"])
async def test_the_notice_once_then_what_is_kept_and_then_nothing(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine, channel: str
) -> None:
    staff_to_the_app(town_db)
    async with platform() as p:
        given = {name: one for name, one in settings_of(p).items() if name == channel and one}
        p.mp.followers.add(HER)
        async with deployed(p, db_url, tmp_path, engine, **given):
            say = mouth(p, channel)

            async def says(words: str, answer: str) -> str:
                p.clock.forward(seconds=20)
                before = len(p.seen(HER))
                await say(words)
                await p.until(lambda: any(answer in one.text for one in p.seen(HER)[before:]))
                return "\n".join(one.text for one in p.seen(HER)[before:])

            await says("柳岸花园3幢楼道灯坏了好几天，晚上看不见，没人修", "LS00001")
            await p.until(lambda: NOTICE in told(p, HER))
            await says("柳岸花园5幢门口垃圾桶满了没人收，臭死了", "LS00002")
            assert "LS00002" in await says("查询我的信息", "LS00001")
            await says("删除我的信息", "确认删除")
            await says("确认删除", "已删除您的信息")
            assert told(p, HER).count(NOTICE) == 1
        assert [push for push in p.pushes if push.tries > 1] == []
    notices = town_db.tx(lambda s: list(s.scalars(sa.select(Notice))))
    erasures = town_db.tx(lambda s: list(s.scalars(sa.select(Erasure))))
    assert [one for one in notices if one.user == HER] == []
    assert [(one.tickets, one.held) for one in erasures] == [(0, 2)], "both are still open: they go when they are done"
