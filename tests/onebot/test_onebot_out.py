"""What is said by way of OneBot, and how a refusal or a silence is read."""

import asyncio
import json

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.channels.base import SendFailed, Uncertain
from bot.channels.onebot import PATH, OneBot
from bot.ingest import Ingest
from config.side_channels import OneBotSettings
from models.database import Database
from models.message import Button, Card, Purpose
from tests.conftest import HandClock
from tests.onebot.conftest import GROUP, TOKEN, out
from tests.onebot.fake import FakeQQ, so


async def test_an_answer_quotes_what_it_answers(known_group: Database, clock: HandClock) -> None:
    settings = OneBotSettings.model_validate({"token": TOKEN})
    channel = OneBot(settings, Ingest(known_group, clock=clock), known_group, clock)
    await channel.start()
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server, FakeQQ(str(server.make_url(PATH)), TOKEN) as qq:
        number = await qq.say(GROUP, 20001, "灯坏了")
        rows = sa.text("SELECT count(*) FROM inbox")
        await so(lambda: bool(known_group.tx(lambda session: session.connection().execute(rows).scalar_one())))
        first = await channel.send(out(trigger=str(number)), "k1")
        await channel.send(out("已派", trigger="999"), "k2")
        await channel.send(out("私下", chat="20001", trigger=str(number)), "k3")
        await channel.send(out("警", trigger=str(number), purpose=Purpose.ALERT), "k4")
        assert [(one.chat, one.text, one.quotes) for one in qq.shown] == [
            ("g-777", "收到", number), ("g-777", "已派", None), ("20001", "私下", None), ("g-777", "警", None),
        ]  # fmt: skip
        assert first == str(qq.shown[0].id)
    await channel.stop()


async def test_a_card_becomes_lines_and_no_word_becomes_a_code(qq: FakeQQ, channel: OneBot) -> None:
    card = Card(
        title="LS00042 电梯", facts=(("地点", "6幢"),), words="[CQ:at,qq=all]坏了",
        buttons=(Button(text="接单", action="accept:42"),),
    )  # fmt: skip
    await channel.send(out("请处理", card=card, ticket=42, purpose=Purpose.ALERT, chat="30001"), "k")
    (shown,) = qq.seen(30001)
    assert shown.text.splitlines() == ["请处理", "LS00042 电梯", "地点：6幢", "[CQ:at,qq=all]坏了", "回复“接单 42”"]
    assert [one["type"] for one in shown.message] == ["text"]


@pytest.mark.parametrize(("code", "final"), [(100, False), (1400, True), (1401, False), (1404, True), (1200, False)])
async def test_a_refusal_says_whether_another_try_can_help(qq: FakeQQ, channel: OneBot, code: int, final: bool) -> None:
    qq.refuse = [code]
    with pytest.raises(SendFailed) as failed:
        await channel.send(out(), "k")
    assert failed.value.final is final
    assert "秘密" not in str(failed.value)
    await channel.send(out(), "k")
    assert len(qq.shown) == 1


async def test_no_answer_is_uncertain(qq: FakeQQ, channel: OneBot) -> None:
    assert channel._link is not None
    channel._link._seconds = 0.1
    qq.silent = True
    with pytest.raises(Uncertain):
        await channel.send(out(), "k")


async def test_a_break_before_the_answer_is_uncertain(qq: FakeQQ, channel: OneBot) -> None:
    qq.silent = True
    sending = asyncio.create_task(channel.send(out(), "k"))
    await qq.until(lambda: bool(qq.actions))
    await qq.drop()
    with pytest.raises(Uncertain, match="broke"):
        await sending
    with pytest.raises(SendFailed, match="nobody"):
        await channel.send(out(), "k")


async def test_answers_find_their_questions_in_any_order(qq: FakeQQ, channel: OneBot) -> None:
    qq.silent = True
    one = asyncio.create_task(channel.send(out("一"), "k1"))
    two = asyncio.create_task(channel.send(out("二"), "k2"))
    await qq.until(lambda: len(qq.actions) == 2)
    echoes = {action["params"]["message"][0]["data"]["text"]: action["echo"] for action in qq.actions}
    for echo, number in (("strange", 7), (echoes["二"], 2), (echoes["一"], 1), (echoes["一"], 9)):
        await qq.raw(json.dumps({"status": "ok", "retcode": 0, "data": {"message_id": number}, "echo": echo}))
    assert (await one, await two) == ("1", "2")


@pytest.mark.parametrize("chat", ["g-", "g-x", "", "x", "g-g-7", "７", "1" * 30])
async def test_what_is_no_chat_is_given_up(qq: FakeQQ, channel: OneBot, chat: str) -> None:
    with pytest.raises(SendFailed) as failed:
        await channel.send(out(chat=chat), "k")
    assert failed.value.final
    assert qq.actions == []
