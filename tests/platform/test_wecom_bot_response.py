"""The AI bot's one later answer: by which address, once, and never to another's."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from bot.channels.api import ApiError
from bot.channels.base import SendFailed, Uncertain
from bot.channels.sealed import Seal
from bot.channels.wecom_bot.letters import NAME
from bot.channels.wecom_bot.response import Responses, allowed
from models.base import utc_now
from models.message import Purpose
from models.outbox import SENT, UNCERTAIN, WAITS
from tests.platform.wecom_bot import CARD, figure, handled, heard, put, row
from tests.platform.wecom_bot_hook import Scene, post

OURS = "https://qyapi.weixin.qq.com/cgi-bin/aibot/response"


async def test_without_polls_it_goes_by_the_response_url(scene: Scene) -> None:
    p = scene.p
    group = p.group("g", "a")
    said = await p.say(group, "a", "@邻声 3幢灯坏了")
    (key,) = scene.answer(said, "已登记 LS00001")
    assert await scene.sender().step() == 1
    markdown = p.seen(group)[-1]
    assert (markdown.kind, markdown.text, markdown.quote) == ("markdown", "已登记 LS00001", "@邻声 3幢灯坏了")
    assert row(scene.db, key).platform_id.startswith("url:")
    await p.bot.poll()  # comes late: what has left is not said twice
    assert scene.shown(group) == ["收到。", "已登记 LS00001"]


async def test_an_address_is_used_once(scene: Scene) -> None:
    p = scene.p
    said = await p.say(None, "a", "灯坏了")
    scene.answer(said, "一")
    sender = scene.sender()
    await sender.step()
    put(scene.db, p, "a", "二", "k2")
    await sender.step()
    assert scene.shown("a") == ["一"]
    assert row(scene.db, "k2").outcome == WAITS


async def test_an_hour_later_there_is_no_way(scene: Scene) -> None:
    await scene.p.say(None, "a", "灯坏了")
    handled(scene.db, scene.p)
    scene.p.clock.forward(minutes=60)
    with pytest.raises(SendFailed) as failed:
        await scene.bot.send(put(scene.db, scene.p, "a", "二"), "k1")
    assert failed.value.after == 6 * 3600
    assert scene.shown("a") == []


async def test_a_card_goes_by_the_response_url_with_its_buttons(scene: Scene) -> None:
    p = scene.p
    await p.say(None, "w", "在的")
    handled(scene.db, p)
    put(scene.db, p, "w", "请您处理", card=CARD, ticket=7)
    await p.bot.poll()
    assert scene.shown("w") == ["收到。"]
    await scene.sender().step()
    (card,) = [bubble for bubble in p.seen("w") if bubble.card]
    assert card.card is not None
    assert card.card["button_list"][0]["key"] == "accept:7"


async def test_a_spent_address_gives_way_to_the_next(scene: Scene) -> None:
    p = scene.p
    for _ in range(2):
        await p.say(None, "a", "灯坏了")
    handled(scene.db, p)
    p.bot.webhook._responses.pop(next(reversed(p.bot.webhook._responses)))  # the platform has forgotten the newest
    assert (await scene.bot.send(put(scene.db, p, "a", "已登记"), "k1")).startswith("url:")
    assert [bubble.text for bubble in p.seen("a") if bubble.kind == "markdown"] == ["已登记"]


@pytest.mark.parametrize(("fault", "error"), [({"cut": True}, Uncertain), ({"status": 504}, Uncertain)])
async def test_an_answer_that_may_have_arrived_is_uncertain(
    scene: Scene, fault: dict[str, Any], error: type[Exception]
) -> None:
    await scene.p.say(None, "a", "灯坏了")
    handled(scene.db, scene.p)
    scene.p.faults.fail("/cgi-bin/aibot/response", **fault)
    with pytest.raises(error) as failed:
        await scene.bot.send(put(scene.db, scene.p, "a", "已登记"), "k1")
    assert "response_code" not in str(failed.value)


async def test_a_reply_is_not_repeated_when_nobody_knows(scene: Scene) -> None:
    said = await scene.p.say(None, "a", "灯坏了")
    (key,) = scene.answer(said, "已登记")
    scene.p.faults.fail("/cgi-bin/aibot/response", cut=True, taken=True)
    await scene.sender().step()
    assert (row(scene.db, key).outcome, scene.shown("a")) == (UNCERTAIN, ["已登记"])


@pytest.mark.parametrize("status", [500, 502])
async def test_a_reply_that_an_address_did_not_take_goes_by_the_next_word(scene: Scene, status: int) -> None:
    p = scene.p
    said = await p.say(None, "a", "灯坏了")
    (key,) = scene.answer(said, "已登记")
    p.faults.fail("/cgi-bin/aibot/response", status=status)
    await scene.sender().step()
    assert (row(scene.db, key).outcome, scene.shown("a")) == (WAITS, [])
    await p.say(None, "a", "在吗")
    handled(scene.db, p)
    await p.bot.poll()
    assert scene.shown("a").count("已登记") == 1


async def test_a_reply_that_an_address_did_not_take_goes_by_another(scene: Scene) -> None:
    p = scene.p
    for _ in range(2):
        await p.say(None, "a", "灯坏了")
    handled(scene.db, p)
    p.faults.fail("/cgi-bin/aibot/response", status=502)
    assert (await scene.bot.send(put(scene.db, p, "a", "已登记"), "k1")).startswith("url:")
    assert scene.shown("a") == ["已登记"]


async def test_an_address_stays_good_where_nothing_was_taken(scene: Scene) -> None:
    said = await scene.p.say(None, "a", "灯坏了")
    (key,) = scene.answer(said, "已登记")
    scene.p.faults.fail("/cgi-bin/aibot/response", status=503)
    await scene.sender().step()
    assert (row(scene.db, key).outcome, scene.shown("a")) == ("", [])
    scene.p.clock.forward(seconds=10)
    await scene.sender().step()
    assert (row(scene.db, key).outcome, scene.shown("a")) == (SENT, ["已登记"])


async def test_an_alert_that_an_address_may_have_taken_says_so_when_it_comes_again(scene: Scene) -> None:
    p = scene.p
    await p.say(None, "a", "在的")
    handled(scene.db, p)
    put(scene.db, p, "a", "【紧急】", "k1", purpose=Purpose.ALERT)
    p.faults.fail("/cgi-bin/aibot/response", status=500)
    await scene.sender().step()
    p.clock.forward(minutes=1)
    await scene.sender().step()
    assert (row(scene.db).outcome, scene.shown("a")[-1]) == (SENT, "【重复提醒】【紧急】")


@pytest.mark.parametrize(
    "url",
    [
        "http://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com.bad.example/cgi-bin/aibot/response?response_code=x",
        "https://bad.example/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com@bad.example/cgi-bin/aibot/response?response_code=x",
        "https://user:x@qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com:8443/cgi-bin/aibot/response?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/message/send?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response/../../x?response_code=x",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x&response_code=y",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x#y",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=x\r\nHost:bad",
        "https://qyapi.weixin.qq.com/cgi-bin/aibot/response",
        "https://[::1/x",
        "",
    ],
)
def test_only_the_platforms_address_is_posted_to(url: str) -> None:
    assert not allowed(url, OURS)


def test_the_platforms_address() -> None:
    assert allowed(f"{OURS}?response_code=a_B-1", OURS)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_answer_is_not_sent_on_to_another_address(status: int) -> None:
    hits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        hits.append(request.method)
        return web.json_response({"errcode": 0})

    async def away(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": str(other.make_url("/taken"))})

    there, here = web.Application(), web.Application()
    there.router.add_route("*", "/taken", elsewhere)
    here.router.add_post("/cgi-bin/aibot/response", away)
    async with TestServer(there) as other, TestServer(here) as server:
        ours = str(server.make_url("/cgi-bin/aibot/response"))
        responses = Responses(ours, utc_now)
        await responses.start()
        with pytest.raises(ApiError, match=str(status)):
            await responses.post(f"{ours}?response_code=x", {"msgtype": "markdown"})
        await responses.stop()
    assert hits == []


async def test_a_response_url_that_points_elsewhere_costs_no_message(scene: Scene) -> None:
    before = figure("linsheng_callbacks_refused_total", channel=NAME, why="response_url")
    body = scene.p.bot.head("a", "a", "text") | {"text": {"content": "灯坏了"}}
    seal = Seal(scene.p.bot.token, scene.p.bot.aes_key, "")
    with capture_logs() as logs:
        status = await post(scene.p, seal, body | {"response_url": "http://169.254.169.254/x?response_code=s3cret"})
    assert (status, figure("linsheng_callbacks_refused_total", channel=NAME, why="response_url")) == (200, before + 1)
    (kept,) = heard(scene.db)
    assert (kept.text, kept.platform) == ("灯坏了", {})
    assert "s3cret" not in str(logs)
    handled(scene.db, scene.p)
    with pytest.raises(SendFailed):
        await scene.bot.send(put(scene.db, scene.p, "a", "已登记"), "k1")
