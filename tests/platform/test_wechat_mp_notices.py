"""Notices of the Official Account that the platform took and then did not deliver, on both databases."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.channels.wechat_mp import delivered
from bot.channels.wechat_mp.pushing import NOTICE_FINAL
from models.database import Database
from models.message import Purpose
from models.ticket import Status, Ticket
from tests.models.letters import TASK, open_ticket
from tests.platform.harness import TestPlatform
from tests.platform.mp import App, serving
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
        alert = {"purpose": Purpose.ALERT, "card": TASK, "ticket": ticket, "to_person": "W01"}
        await app.send("w01", "【一】", **alert)
        await p.until(lambda: not p.mp.jobs)
        p.mp.undelivered["w01"] = "user block"
        await app.send("w01", "【二】", **alert)
        await p.until(lambda: not p.mp.jobs)
        for push in list(p.pushes):  # the platform comes again with all it told
            await p.again(push)
        await app.leave()
        # The first one's card waits behind its notice.
        assert [row.outcome for row in app.rows()[:2]] == ["waits", "dead"]
        assert app.rows()[1].error == f"notice {why(more)}"
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
        notice = app.channel._pushing._told

        async def told_first(*what: Any) -> Any:
            told = await notice(*what)
            await asyncio.wait_for(looked.wait(), 5)
            return told

        looked, settle = asyncio.Event(), delivered.settle
        loop = asyncio.get_running_loop()

        def looks(*what: Any) -> bool:
            found = settle(*what)
            loop.call_soon_threadsafe(looked.set)
            return found

        monkeypatch.setattr("bot.channels.wechat_mp.happened.settle", looks)
        app.channel._pushing._told = told_first  # type: ignore[method-assign,assignment]
        await app.send("o1", "已办结")
        await p.until(lambda: not p.mp.jobs)
        await app.leave()
        assert ([row.outcome for row in app.rows()], p.pushes[-1].statuses) == (["waits"], [200])


# ---- the words behind a notice

WORDS = "LS00001 柳岸花园3幢照明：请问是三楼还是四楼的灯？维修师傅今天下午三点到，请您在家等候。"


async def closed(p: TestPlatform, user: str = "o1") -> None:
    """She wrote once, and the 48 hours are over."""
    p.mp.templates |= {"TPL": "任务提醒", "SUB": "任务提醒"}
    await p.mp.say(user, "在")
    p.clock.forward(hours=49)


def texts(p: TestPlatform, user: str = "o1") -> list[tuple[str, str]]:
    """What she sees of ours: the kind, and the last line."""
    return [(bubble.kind, bubble.text.splitlines()[-1]) for bubble in p.seen(user)]


@pytest.mark.parametrize("more", [{"template_id": "TPL", "template_fields": {"thing1": "{text}"}}, SUBSCRIPTION])
async def test_what_a_notice_had_to_cut_is_read_after_her_next_word(
    p: TestPlatform, db: Database, tmp_path: Path, more: dict[str, Any]
) -> None:
    async with serving(p, db, tmp_path, **more) as app:
        await p.mp.agree("o1", "SUB", 5)
        await closed(p)
        await app.send("o1", WORDS)
        await p.until(lambda: not p.mp.jobs)
        ((_, short),) = texts(p)
        assert (len(short), short[-1]) == (20, "…")
        p.clock.forward(hours=7)  # tried in vain, and not told again
        await app.leave()
        assert (len(texts(p)), app.rows()[0].outcome) == (1, "waits")
        await p.mp.say("o1", "什么事？")
        await app.leave()
        assert (texts(p)[1:], app.rows()[0].outcome) == ([("text", WORDS)], "sent")


async def test_who_never_asks_has_been_told_all_the_same(p: TestPlatform, town_db: Database, tmp_path: Path) -> None:
    """The words, and an alert's card, wait for 60 hours; the notice was all that could be said, and nothing is dead."""
    everybody_to(town_db, "wechat_mp")
    told = {"status": Status.ASSIGNED, "grid": "QX-01-01-01", "worker": "W01"}
    ticket = town_db.tx(lambda session: open_ticket(session, p.clock(), **told).id)
    async with serving(p, town_db, tmp_path, **NOTICE) as app:
        await closed(p, "w01")
        await app.send("w01", WORDS)
        alert = {"purpose": Purpose.ALERT, "card": TASK, "ticket": ticket, "to_person": "W01"}
        await app.send("w01", "【急】", **alert)
        await p.until(lambda: not p.mp.jobs)
        for _ in range(12):
            p.clock.forward(hours=7)
            await app.leave()
        assert [row.outcome for row in app.rows()] == ["sent", "sent"]
        assert [kind for kind, _ in texts(p, "w01")] == ["template", "template"]
        assert town_db.tx(lambda session: session.get_one(Ticket, ticket).worker) == "W01", "nobody else had to be told"


async def test_what_a_notice_says_to_the_last_word_is_said(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path, **NOTICE) as app:
        await closed(p)
        await app.send("o1", "LS00001 网格员已接单")
        assert [row.outcome for row in app.rows()] == ["sent"]


@pytest.mark.parametrize("code", sorted(NOTICE_FINAL))
async def test_a_reply_whose_notice_is_refused_waits_for_her(
    p: TestPlatform, db: Database, tmp_path: Path, code: int
) -> None:
    async with serving(p, db, tmp_path, **NOTICE) as app:
        await closed(p)
        p.faults.fail("/cgi-bin/message/template/send", code=code)
        with capture_logs() as logs:
            await app.send("o1", "已办结，请评价")
        assert [line["code"] for line in logs if line["event"] == "notice.refused"] == [code], "an operator must look"
        assert [row.outcome for row in app.rows()] == ["waits"]
        await answered(app)
        assert texts(p) == [("text", "已办结，请评价")]


@pytest.mark.parametrize("more", [NOTICE, SUBSCRIPTION], ids=["template", "subscription"])
@pytest.mark.parametrize("words", ["已办结", WORDS], ids=["whole", "cut"])
async def test_a_reply_whose_notice_did_not_arrive_waits_for_her(
    p: TestPlatform, db: Database, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    p.mp.undelivered["o1"] = "system failed"
    async with serving(p, db, tmp_path, **more) as app:
        await p.mp.agree("o1", "SUB", 5)
        await closed(p)
        await app.send("o1", words)
        await p.until(lambda: not p.mp.jobs)
        for push in list(p.pushes):  # the platform comes again with all it told
            await p.again(push)
        await app.leave()
        assert [(row.outcome, row.notice) for row in app.rows()] == [("waits", "untold")]
        await answered(app)
        assert (texts(p), app.rows()[0].outcome) == ([("text", words)], "sent")


async def answered(app: App) -> None:
    """She writes, and what waited for that leaves."""
    await app.p.mp.say("o1", "修好了吗")
    await app.leave()


async def test_the_days_templates_are_counted(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with serving(p, db, tmp_path, **NOTICE, templates_a_day=2) as app:
        await closed(p)
        await app.send("o1", "一", "二", "三")
        assert [row.outcome for row in app.rows()] == ["sent", "sent", "waits"]
        assert len([call for call in p.calls if "template" in call.path]) == 2, "nothing is sent in vain"
        p.clock.forward(hours=27)
        await app.leave()
        assert [row.outcome for row in app.rows()] == ["sent"] * 3
