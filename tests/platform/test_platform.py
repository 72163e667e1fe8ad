"""The platform itself: tokens, faults, repeated callbacks, the settings it hands out, its page, and missing peers."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.platform.archive import RECORDS
from bot.platform.handed import callback, environment
from bot.platform.limits import Rate, Window
from bot.platform.server import Platform
from config.settings import load_settings
from tests.platform import conftest
from tests.platform.harness import StoppedClock, TestPlatform
from tests.platform.peers import NoPeer
from tests.platform.peers import environment as packages

ME = {"X-Platform": "1"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def stable(p: TestPlatform, session: aiohttp.ClientSession, *, force: bool = False) -> dict[str, Any]:
    body = {"grant_type": "client_credential", "appid": p.mp.app_id, "secret": p.mp.secret, "force_refresh": force}
    async with session.post(f"{p.base}/cgi-bin/stable_token", json=body) as response:
        return dict(await response.json())


async def menu(p: TestPlatform, session: aiohttp.ClientSession, token: str) -> int:
    async with session.get(f"{p.base}/cgi-bin/menu/get", params={"access_token": token}) as response:
        return int((await response.json()).get("errcode", 0))


async def test_a_stable_token_stays_and_is_forced_seldom(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    first = await stable(p, session)
    p.clock.forward(minutes=30)
    again = await stable(p, session)
    assert (again["access_token"], again["expires_in"]) == (first["access_token"], 7200 - 1800)
    forced = await stable(p, session, force=True)
    assert forced["access_token"] != first["access_token"]
    assert (await stable(p, session, force=True))["errcode"] == 45009  # within 30 s
    assert await menu(p, session, first["access_token"]) == 0  # the old one stays good for five minutes
    p.clock.forward(minutes=5)
    assert await menu(p, session, first["access_token"]) == 42001
    assert await menu(p, session, forced["access_token"]) == 0
    assert await menu(p, session, "nonsense") == 40014
    assert await menu(p, session, "") == 41001
    for _ in range(19):
        p.clock.forward(minutes=1)
        assert "access_token" in await stable(p, session, force=True)
    p.clock.forward(minutes=1)
    assert (await stable(p, session, force=True))["errcode"] == 45009  # 20 a day
    p.faults.untrusted = True
    assert (await stable(p, session))["errcode"] == 40164


async def test_faults_are_used_up_in_order(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    token = (await stable(p, session))["access_token"]
    p.faults.fail("/cgi-bin/menu", code=-1)
    p.faults.fail("/cgi-bin/menu", status=500)
    assert await menu(p, session, token) == -1
    address = f"{p.base}/cgi-bin/menu/get?access_token={token}"
    async with session.get(address) as response:
        assert response.status == 500
    p.faults.fail("/cgi-bin/menu", hang=True)
    with pytest.raises(TimeoutError):
        await session.get(address, timeout=aiohttp.ClientTimeout(total=0.1))
    p.faults.fail("/cgi-bin/menu", cut=True)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await session.post(f"{p.base}/cgi-bin/menu/create?access_token={token}", json={})
    assert await menu(p, session, token) == 0


async def test_the_very_same_callback_comes_again(p: TestPlatform) -> None:
    heard: list[tuple[str, bytes]] = []

    async def callback(request: web.Request) -> web.Response:
        heard.append((request.query_string, await request.read()))
        return web.Response(text="success")

    app = web.Application()
    app.router.add_post("/", callback)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    p.mp.callback = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await p.mp.say("o1", "在吗")
    await p.again(p.pushes[0])
    assert heard[0] == heard[1]
    assert (p.seen("o1"), p.complaints) == ([], [])
    p.pusher.holding = True
    for text in ("一", "二"):
        await p.mp.say("o1", text)
    assert len(heard) == 2
    late = await p.pusher.release(backwards=True)
    assert [push.statuses for push in late] == [[200], [200]]
    assert [push.data for push in late] == [body for _, body in heard[2:]] == [push.data for push in p.pushes[:1:-1]]
    await runner.cleanup()


def test_windows_and_rates() -> None:
    clock = StoppedClock()
    window, rate = Window(late=45015, used=45047), Rate(2, clock.forward(seconds=0) - clock.forward(seconds=-60))
    assert window.left("o1", clock()) == 0
    window.heard("o1", clock())
    window.spend("o1", clock())
    assert window.left("o1", clock()) == 4
    assert [rate.allows("a", clock()) for _ in range(3)] == [True, True, False]
    assert rate.allows("b", clock())
    clock.forward(seconds=60)
    assert rate.allows("a", clock())


async def test_a_clock_moved_by_hand_wakes_who_waits() -> None:
    clock = StoppedClock()
    waiting = asyncio.ensure_future(clock.wait(5))
    await asyncio.sleep(0)
    clock.forward(seconds=4.9)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.forward(seconds=0.1)
    await waiting


def test_what_is_handed_out_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is a field that exists, and switches the channels on."""
    first, second = Platform(seed="a"), Platform(seed="a")
    first.base = second.base = "http://127.0.0.1:9080"
    handed = environment(first)
    assert handed == environment(second)
    assert handed != environment(Platform(seed="b"))
    for name, value in handed.items():
        monkeypatch.setenv(name, value)
    found = load_settings()
    assert (found.wechat_mp.enabled, found.wecom_bot.enabled) == (True, True)
    for name in handed:
        channel, field = name.removeprefix("LINSHENG_").lower().split("__")
        assert field in type(getattr(found, channel)).model_fields, name


async def test_the_page_shows_and_does(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    async def act(**body: Any) -> int:
        async with session.post(f"{p.base}/page/act", json=body, headers=ME) as response:
            return response.status

    async with session.get(f"{p.base}/") as response:
        assert "测试平台" in await response.text()
    assert await act(do="group", name="水岸网格群", members=["lihua", "zhangsan"]) == 200
    chat = next(group.id for group in p.world.groups.values() if group.name == "水岸网格群")
    assert await act(do="say", user="lihua", channel="wecom_bot", chat=chat, text="@邻声 灯坏了") == 200
    assert await act(do="say", user="wangwu", channel="wecom_bot", chat=chat, text="我不在群里") == 400
    picture = base64.b64encode(b"\xff\xd8\xff jpg").decode()
    assert await act(do="photo", user="o1", channel="wechat_mp", data=picture) == 200
    assert await act(do="callback", channel="wechat_mp", url="http://127.0.0.1:9/") == 400  # nobody answers the check
    assert p.mp.callback == ""
    assert await act(do="fault", kind="revoke") == 200
    assert await act(do="dance") == 400
    async with session.get(f"{p.base}/page/news", headers=ME) as response:
        state = await response.json()
    assert [bubble["text"] for bubble in state["bubbles"]] == ["@邻声 灯坏了", "[图片]"]
    assert state["accounts"]["wechat_mp"]["app_id"] == p.mp.app_id


async def test_on_the_page_an_owner_confirms_a_notice(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    async def act(**body: Any) -> int:
        async with session.post(f"{p.base}/page/act", json={"channel": "archive"} | body, headers=ME) as response:
            return response.status

    async def state() -> dict[str, Any]:
        async with session.get(f"{p.base}/page/news", headers=ME) as response:
            return dict(await response.json())

    asking = {"corpid": p.app.corp_id, "corpsecret": p.notices.secret}
    async with session.get(f"{p.base}/cgi-bin/gettoken", params=asking) as response:
        token = (await response.json())["access_token"]
    task = {"chat_type": "group", "sender": "guyi", "chat_id_list": [p.notices.chat], "text": {"content": "今日进展"}}
    address = f"{p.base}/cgi-bin/externalcontact/add_msg_template?access_token={token}"
    async with session.post(address, json=task) as response:
        assert (await response.json())["errcode"] == 0
    (asked,) = (await state())["bubbles"]
    assert (asked["chat"], asked["card"]["quote"]) == ("guyi", "今日进展")
    assert asked["card"]["buttons"] == [["confirm", "确认发送"]]
    assert await act(do="click", user="lihua", number=0, key="confirm") == 400
    assert await act(do="click", user="guyi", number=0, key="confirm") == 200
    asked, posted = (await state())["bubbles"]
    assert (posted["chat"], posted["by"], posted["text"]) == (p.notices.chat, "guyi", "今日进展")
    assert asked["faces"][""]["faded"] == ["确认发送"]
    assert await act(do="say", user="guyi", text="在吗") == 400


async def test_on_the_page_people_write_in_the_groups_that_a_bot_reads(
    p: TestPlatform, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A customer group, whose records a program writes out; a QQ group, once somebody has taken the connection."""

    async def act(**body: Any) -> int:
        async with session.post(
            f"{p.base}/page/act", json={"do": "say", "text": "灯坏了"} | body, headers=ME
        ) as response:
            return response.status

    p.archive.folder = tmp_path
    picture = base64.b64encode(b"\xff\xd8\xff jpg").decode()
    assert await act(user="wm1", channel="archive", chat=p.notices.chat) == 200
    assert await act(do="photo", user="wm1", channel="archive", chat=p.notices.chat, data=picture) == 200
    words, image = [json.loads(line) for line in (tmp_path / RECORDS).read_text(encoding="utf-8").splitlines()]
    assert (words["roomid"], words["from"], words["text"]) == (p.notices.chat, "wm1", {"content": "灯坏了"})
    assert (tmp_path / f"{image['image']['md5sum']}.jpg").read_bytes() == b"\xff\xd8\xff jpg"

    assert await act(user="20001", channel="onebot", chat=p.qq.chat) == 400  # nobody is there to hear it
    assert await act(do="callback", channel="onebot", url="ws://127.0.0.1:9/onebot/v11/ws") == 400
    heard: list[dict[str, Any]] = []  # the latest first

    async def bot(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for frame in socket:
            heard.insert(0, frame.json())
        return socket

    app = web.Application()
    app.router.add_get("/onebot/v11/ws", bot)
    async with TestServer(app) as server:
        assert (
            await act(do="callback", channel="onebot", url=callback(f"http://127.0.0.1:{server.port}", "onebot")) == 200
        )
        assert await act(user="李华", channel="onebot", chat=p.qq.chat) == 400  # people are numbers there
        assert await act(user="20001", channel="onebot", chat=p.qq.chat) == 200
        await p.until(lambda: heard and heard[0]["post_type"] == "message")
        assert (heard[0]["group_id"], heard[0]["message"][0]["data"]) == (777, {"text": "灯坏了"})
        await p.qq.hang_up()


async def test_the_page_waits_for_news(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    async def news() -> dict[str, Any]:
        after = {"after": str(p.world.version)}
        async with session.get(f"{p.base}/page/news", params=after, headers=ME) as response:
            return dict(await response.json())

    asking = asyncio.ensure_future(news())
    await asyncio.sleep(0.05)
    assert not asking.done()
    await p.mp.say("o1", "在吗")
    assert (await asking)["bubbles"][0]["text"] == "在吗"


async def test_another_page_of_the_same_browser_is_refused(p: TestPlatform, session: aiohttp.ClientSession) -> None:
    body = {"do": "fault", "kind": "down"}
    foreign = ME | {"Host": "platform.example"}
    for headers in ({}, foreign):
        async with session.post(f"{p.base}/page/act", json=body, headers=headers) as response:
            assert response.status == 403
        async with session.get(f"{p.base}/page/news", headers=headers) as response:
            assert response.status == 403
    assert not p.faults.down


def test_without_node_it_is_a_skip_and_on_the_build_machine_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoPeer, match="node"):
        packages("node")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="npm"):
        conftest.packages_or_skip("node")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="npm"):
        conftest.packages_or_skip("node")
