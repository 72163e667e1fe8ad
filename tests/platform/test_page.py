"""The page's controls: what each act does on the platform, and what the page is told to show."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from bot.platform.aibot import CHANNEL as BOT
from bot.platform.reports import IN_HAND, SOLVED
from bot.platform.world import Bubble
from tests.platform.harness import TestPlatform

ME = {"X-Platform": "1"}
JPEG = b"\xff\xd8\xff jpg"

Act = Callable[..., Awaitable[int]]
Look = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture
async def session(p: TestPlatform) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(p.base) as made:
        yield made


@pytest.fixture
def act(session: aiohttp.ClientSession) -> Act:
    """Does something on the page; gives the status."""

    async def do(**body: Any) -> int:
        async with session.post("/page/act", json=body, headers=ME) as response:
            return response.status

    return do


@pytest.fixture
def look(session: aiohttp.ClientSession) -> Look:
    """What the page is told."""

    async def news() -> dict[str, Any]:
        async with session.get("/page/news", headers=ME) as response:
            return dict(await response.json())

    return news


async def orders(p: TestPlatform, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """As a puller reads them."""
    keys = {"corpid": p.app.corp_id, "corpsecret": p.report.secret}
    async with session.get("/cgi-bin/gettoken", params=keys) as response:
        token = (await response.json())["access_token"]
    path = f"/cgi-bin/report/resident/get_order_list?access_token={token}"
    async with session.post(path, json={"limit": 50}) as response:
        return list((await response.json())["order_list"])


async def test_a_resident_reports_and_workers_go_on(
    p: TestPlatform, session: aiohttp.ClientSession, act: Act, look: Look
) -> None:
    picture = base64.b64encode(JPEG).decode()
    told = {"text": "楼道灯不亮了", "where": "3幢2单元", "grid": "QX-01-01-01", "data": picture}
    assert await act(do="order", user="李华", **told) == 200
    (order,) = await orders(p, session)
    assert (order["desc"], order["unionid"], order["reporter_name"]) == ("楼道灯不亮了", "李华", "李华")
    assert (order["location"]["name"], order["grid_id"]) == ("3幢2单元", "QX-01-01-01")
    async with session.get(order["image_urls"][0]) as response:
        assert await response.read() == JPEG

    (shown,) = (await look())["orders"]
    assert (shown["id"], shown["by"], shown["text"]) == (order["order_id"], "李华", "楼道灯不亮了")
    assert shown["steps"] == [["受理", "", ""]]
    assert [words for _, words in shown["next"]] == ["分配", "转交", "办理中", "办结", "不受理"]
    assert await act(do="step", user="GuYi", order=shown["id"], kind=IN_HAND, text="这就去") == 200
    assert await act(do="step", user="GuYi", order=shown["id"], kind=SOLVED, text="换了灯") == 200
    (order,) = await orders(p, session)
    steps = [(one["process_type"], one["solve_userid"], one["process_desc"]) for one in order["process_list"]]
    assert steps[1:] == [(IN_HAND, "GuYi", "这就去"), (SOLVED, "GuYi", "换了灯")]
    assert [one["status"] for one in order["process_list"]] == [1, 1, 1]
    (shown,) = (await look())["orders"]
    assert (shown["steps"][-1], shown["next"]) == (["办结", "GuYi", "换了灯"], [])


async def test_what_is_no_order_and_no_step(p: TestPlatform, act: Act) -> None:
    assert await act(do="order", user="李华", text=" ") == 400
    assert await act(do="order", user="", text="灯坏了") == 400
    assert p.report.orders == {}
    order = p.report.order("灯坏了")
    assert await act(do="step", user="GuYi", order="ORD0", kind=IN_HAND) == 400
    assert await act(do="step", user="GuYi", order=order, kind=1) == 400
    p.report.step(order, SOLVED)
    assert await act(do="step", user="GuYi", order=order, kind=IN_HAND) == 400  # it is over
    assert len(p.report.orders[order].steps) == 2


async def test_a_position_is_sent_where_the_account_hears_one(p: TestPlatform, act: Act, look: Look) -> None:
    pin = {"do": "pin", "user": "李华", "lat": "30.28", "lon": "120.01", "name": "水岸华庭"}
    for channel in ("wechat_mp", "wecom_kf", "wecom_app"):
        assert await act(channel=channel, **pin) == 200
    assert [bubble["text"] for bubble in (await look())["bubbles"]] == ["[位置]水岸华庭"] * 3
    assert await act(channel=BOT, **pin) == 400


async def test_a_quote_goes_with_the_words(p: TestPlatform, act: Act, look: Look) -> None:
    group = p.group("水岸网格群", "李华", "张三")
    assert await act(do="say", user="李华", channel=BOT, chat=group, text="3幢路灯不亮") == 200
    assert await act(do="say", user="张三", channel=BOT, chat=group, text="@邻声 帮看看", quote=0) == 200
    (*_, said) = (await look())["bubbles"]
    assert (said["text"], said["quote"]) == ("@邻声 帮看看", "3幢路灯不亮")


async def test_menus_are_shown_by_their_words(p: TestPlatform, act: Act, look: Look) -> None:
    """And a press carries the ids of what was chosen."""
    options = [{"id": "a", "text": "本人处理"}, {"id": "b", "text": "转派"}]
    card = {
        "card_type": "button_interaction", "task_id": "T1", "main_title": {"title": "一张单"},
        "button_list": [{"text": "确定", "key": "go:1"}],
        "button_selection": {"question_key": "cause", "title": "处置", "option_list": options, "selected_id": "b"},
    }  # fmt: skip
    bubble = Bubble("m1", p.clock(), BOT, "李华", kind="template_card", card=card)
    p.world.show(bubble)
    (shown,) = (await look())["bubbles"]
    assert shown["card"]["menus"] == [
        {
            "key": "cause", "title": "处置", "many": False, "options": [["a", "本人处理"], ["b", "转派"]],
            "chosen": ["b"],
        }
    ]  # fmt: skip
    press = {"do": "click", "user": "李华", "number": 0, "key": "go:1"}
    assert await act(**press, chosen={"cause": ["c"]}) == 400
    assert await act(**press, chosen={"cause": ["a"]}) == 200
    (body,) = p.bot.lost  # nobody is there for it
    items = body["event"]["template_card_event"]["selected_items"]["selected_item"]
    assert items == [{"question_key": "cause", "option_ids": {"option_id": ["a"]}}]


async def test_the_bots_frames_and_what_they_were_answered(
    p: TestPlatform, session: aiohttp.ClientSession, look: Look
) -> None:
    async with session.ws_connect(p.ws_url) as bot:

        async def send(command: str, **body: Any) -> int:
            await bot.send_json({"cmd": command, "headers": {"req_id": command}, "body": body})
            return int((await bot.receive_json())["errcode"])

        assert await send("aibot_subscribe", bot_id=p.bot.id, secret="guess") == 40125  # noqa: S106 - a wrong one
        assert await send("aibot_subscribe", bot_id=p.bot.id, secret=p.bot.secret) == 0
        assert await send("ping") == 0
        assert await send("aibot_send_msg", chatid="李华", msgtype="markdown", markdown={"content": "在"}) == 846604
        for _ in range(2):
            await bot.send_str("[]")
            assert (await bot.receive_json())["errcode"] == 47001
        state = await look()
    shown = [(frame["code"], frame["name"], frame["times"]) for frame in state["frames"]]
    assert shown == [
        (47001, "", 2), (846604, "aibot_send_msg", 1), (0, "aibot_subscribe", 1), (40125, "aibot_subscribe", 1),
    ]  # fmt: skip
    assert p.bot.secret not in str(state["frames"])


async def test_the_ids_of_the_bots_groups_are_shown(p: TestPlatform, act: Act, look: Look) -> None:
    """A town's chats.csv names them; so no group hides behind another of its name."""
    assert await act(do="group", name="水岸网格群", members=["李华"]) == 200
    assert await act(do="group", name="水岸网格群", members=["张三"]) == 400
    (group,) = [group for group in p.world.groups.values() if group.channel == BOT]
    assert (await look())["accounts"][BOT]["chatid 水岸网格群"] == group.id


async def test_it_answers_to_either_name_of_this_machine(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    """And to no name that somebody else points at it."""
    port = p.base.rpartition(":")[2]
    hosts = {
        f"localhost:{port}": 200, f"127.0.0.1:{port}": 200, "localhost": 403, f"localhost.example:{port}": 403,
        f"evil.localhost:{port}": 403, f"localhost:{port}1": 403,
    }  # fmt: skip

    async def ask(host: str) -> int:
        async with session.get("/page/news", headers=ME | {"Host": host}) as response:
            return response.status

    assert await asyncio.gather(*(ask(host) for host in hosts)) == list(hosts.values())
