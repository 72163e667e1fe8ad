"""Notices of the Official Account that the platform took and then did not deliver, on both databases."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.channels.wechat_mp import delivered
from models.database import Database
from models.message import Card, Purpose
from models.ticket import Status, Ticket
from tests.models.letters import open_ticket
from tests.platform.harness import TestPlatform
from tests.platform.mp import serving
from tests.platform.test_wechat_mp import NOTICE, SUBSCRIPTION
from tests.scenario.matters import everybody_to


@pytest.mark.parametrize("more", [NOTICE, SUBSCRIPTION], ids=["template", "subscription"])
async def test_an_alert_whose_notice_did_not_arrive_goes_on_once(
    p: TestPlatform, town_db: Database, tmp_path: Path, more: dict[str, Any]
) -> None:
    everybody_to(town_db, "wechat_mp")
    told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
    ticket = town_db.tx(lambda session: open_ticket(session, p.clock(), **told).id)
    p.mp.templates |= {"TPL": "任务提醒", "SUB": "任务提醒"}
    async with serving(p, town_db, tmp_path, **more) as app:
        await p.mp.say("w01", "在")
        await p.mp.agree("w01", "SUB")
        p.clock.forward(seconds=1)
        await p.mp.agree("w01", "SUB")
        p.clock.forward(hours=49)
        for user in ("c01", "c02"):
            await p.mp.say(user, "在")
        alert = {"purpose": Purpose.ALERT, "card": Card(title="任务"), "ticket": ticket, "to_person": "W01"}
        await app.send("w01", "【一】", **alert)
        await p.until(lambda: not p.mp.jobs)
        p.mp.undelivered["w01"] = "user block"
        await app.send("w01", "【二】", **alert)
        await p.until(lambda: not p.mp.jobs)
        for push in list(p.pushes):  # the platform comes again with all it told
            await p.again(push)
        await app.leave()
        assert [(row.outcome, row.error) for row in app.rows()[:2]] == [("sent", ""), ("dead", f"notice {why(more)}")]
        assert town_db.tx(lambda session: session.get_one(Ticket, ticket).worker) == "C01"
        assert [len(p.seen(user)) for user in ("w01", "c01", "c02")] == [1, 1, 1]


def why(more: dict[str, Any]) -> str:
    return "failed:user block" if more is NOTICE else "user block"


async def test_a_report_without_an_id_is_about_nothing(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path) as app:
        await p.mp.say("o1", "在")
        await app.send("o1", "已登记")
        await p.mp.event("o1", "TEMPLATESENDJOBFINISH", Status="failed:user block")
        assert [row.outcome for row in app.rows()] == ["sent"]


async def test_the_platform_tells_before_the_sender_has_noted_what_it_sent(
    p: TestPlatform, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    p.mp.templates["TPL"] = "任务提醒"
    p.mp.undelivered["o1"] = "user block"
    async with serving(p, db, tmp_path, **NOTICE) as app:
        await p.mp.say("o1", "在")
        p.clock.forward(hours=49)
        notice = app.channel._pushing._notice

        async def told_first(*what: Any) -> str:
            message = await notice(*what)
            await asyncio.wait_for(looked.wait(), 5)
            return message

        looked, settle = asyncio.Event(), delivered.settle
        loop = asyncio.get_running_loop()

        def looks(*what: Any) -> bool:
            found = settle(*what)
            loop.call_soon_threadsafe(looked.set)
            return found

        monkeypatch.setattr("bot.channels.wechat_mp.happened.settle", looks)
        app.channel._pushing._notice = told_first  # type: ignore[method-assign,assignment]
        await app.send("o1", "已办结")
        await p.until(lambda: not p.mp.jobs)
        await app.leave()
        assert ([row.outcome for row in app.rows()], p.pushes[-1].statuses) == (["dead"], [200])
