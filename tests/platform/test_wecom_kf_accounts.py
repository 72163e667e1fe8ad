"""微信客服 with two accounts (客服账号): an answer goes where she asked, news where she may still be told, on both
databases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.channels.wecom_kf import ledger
from bot.platform.kf import CustomerService
from models import quota
from models.database import Database
from models.outbox import SENT, WAITS
from tests.platform.harness import TestPlatform
from tests.platform.kf import App, serving

USER = "wm-lihua"


@pytest.fixture
async def app(p: TestPlatform, db: Database, tmp_path: Path) -> AsyncIterator[App]:
    p.kf.beside()
    async with serving(p, db, tmp_path / "media") as made:
        yield made


async def wrote(app: App, account: CustomerService, text: str) -> str:
    """She writes there, a second after the last time, and it is kept; returns the message's id."""
    app.p.clock.forward(seconds=1)
    said = await account.say(USER, text)
    await app.look()
    return said.id


async def entered(app: App, account: CustomerService) -> str:
    """She opens the chat, a second later; returns the event's id."""
    app.p.clock.forward(seconds=1)
    await account.enter(USER)
    await app.look()
    return app.heard()[-1].id


def seen(app: App) -> list[tuple[str, str]]:
    """What she sees of ours: by which account ("" for a greeting, which names none), and the words."""
    names = {"": ""} | {one.open_kfid: name for name, one in zip("AB", app.p.kf.accounts, strict=True)}
    return [(names[bubble.body.get("open_kfid", "")], bubble.text) for bubble in app.p.seen(USER)]


def left(app: App, account: CustomerService) -> int:
    key = ledger.key(account.open_kfid, USER)
    return app.db.tx(lambda session: quota.left(session, key, app.p.clock()))


async def test_an_answer_goes_to_the_account_that_was_asked(app: App) -> None:
    a, b = app.p.kf.accounts
    first = await wrote(app, a, "灯坏了")
    second = await wrote(app, b, "我要投诉")
    await app.send(USER, "灯的事已登记", trigger=first)
    await app.send(USER, "投诉已登记", trigger=second)
    assert seen(app) == [("A", "灯的事已登记"), ("B", "投诉已登记")]


async def test_to_open_another_chat_is_not_to_write_there(app: App) -> None:
    a, b = app.p.kf.accounts
    said = await wrote(app, a, "灯坏了")
    await entered(app, b)
    await app.send(USER, "已登记", trigger=said)
    await app.send(USER, "LS00001 网格员已接单")
    assert seen(app) == [("A", "已登记"), ("A", "LS00001 网格员已接单")]
    assert set(app.sent("send_msg")) == {0}, "the platform never had to refuse"


async def test_news_go_where_something_is_left(app: App) -> None:
    a, b = app.p.kf.accounts
    await wrote(app, b, "我要投诉")
    await wrote(app, a, "灯坏了")
    await app.send(USER, *"123456")
    assert seen(app) == [*(("A", word) for word in "12345"), ("B", "6")]
    assert (left(app, a), left(app, b)) == (0, 4)


async def test_an_answer_that_its_account_takes_no_more_goes_by_another(app: App) -> None:
    a, b = app.p.kf.accounts
    said = await wrote(app, a, "灯坏了")
    app.p.clock.forward(hours=49)
    await app.send(USER, "已办结", trigger=said)
    assert (seen(app), app.rows()[0].outcome) == ([], WAITS)
    await wrote(app, b, "修得怎么样了")
    await app.leave()
    assert (seen(app), app.rows()[0].outcome) == ([("B", "已办结")], SENT)


async def test_a_greeting_goes_by_its_code_and_a_late_one_where_she_wrote(app: App) -> None:
    a, b = app.p.kf.accounts
    await wrote(app, a, "灯坏了")
    opened = await entered(app, b)
    await app.send(USER, "您好，我是邻声。", trigger=opened)
    app.p.clock.forward(seconds=21)
    await app.send(USER, "请问您住哪一栋？", trigger=opened)
    assert seen(app) == [("", "您好，我是邻声。"), ("A", "请问您住哪一栋？")]


# ---- what the platform says is over, and what she has done since


async def test_what_did_not_arrive_long_ago_takes_nothing_from_her_new_word(app: App) -> None:
    a, _ = app.p.kf.accounts
    await wrote(app, a, "灯坏了")
    await app.send(USER, "已登记")
    (row,) = app.rows()
    app.p.clock.forward(hours=49)
    await wrote(app, a, "修得怎么样了")
    app.p.clock.forward(seconds=2)
    for _ in range(2):  # the platform tells it twice
        await a.fail(USER, f"{row.platform_id}_0", 4)
        await app.look()
    assert left(app, a) == 5
    await app.send(USER, "师傅正在路上")
    assert [text for _, text in seen(app)] == ["已登记", "师傅正在路上"]


async def test_what_did_not_arrive_just_now_says_that_nothing_is_left(app: App) -> None:
    a, _ = app.p.kf.accounts
    await wrote(app, a, "灯坏了")
    await app.send(USER, "已登记")
    await a.fail(USER, f"{app.rows()[0].platform_id}_0", 4)
    await app.look()
    assert left(app, a) == 0


async def test_she_writes_while_the_platform_refuses_an_older_answer(app: App) -> None:
    a, _ = app.p.kf.accounts
    said = await wrote(app, a, "灯坏了")
    api = app.channel._api

    async def call(path: str, body: dict[str, object], **more: Any) -> object:
        app.p.faults.fail("/cgi-bin/kf/send_msg", code=95001)
        try:
            return await type(api).call(api, path, body, **more)
        finally:
            del api.call
            await wrote(app, a, "还有，门坏了")

    api.call = call  # type: ignore[method-assign,assignment]
    await app.send(USER, "已登记", trigger=said)
    assert left(app, a) == 5
    app.p.clock.forward(minutes=5)
    await app.leave()
    assert (seen(app), app.rows()[0].outcome) == ([("A", "已登记")], SENT)
