"""公众号: a foreign server (co-wechat on koa) hears the platform, a foreign client (co-wechat-api) calls it."""

import asyncio
import base64

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.platform.official import UNSERVED
from tests.platform.conftest import StartPeer
from tests.platform.harness import TestPlatform
from tests.platform.peers import Peer, PeerError


@pytest.fixture
async def server(p: TestPlatform, node: StartPeer) -> Peer:
    peer = await node("official", TOKEN=p.mp.token, APP_ID=p.mp.app_id, AES_KEY=p.mp.aes_key)
    p.mp.callback = f"http://127.0.0.1:{await peer.ask('listen')}/callback/wechat_mp"
    return peer


@pytest.fixture
async def client(p: TestPlatform, node: StartPeer) -> Peer:
    return await node("official_api", BASE=p.base, APP_ID=p.mp.app_id, APP_SECRET=p.mp.secret)


async def test_the_foreign_server_is_checked_hears_and_answers(p: TestPlatform, server: Peer) -> None:
    assert await p.mp.verify()
    said = await p.mp.say("o-lihua", "3幢楼道灯坏了 ]]> <b>")
    heard = (await server.event("letter"))["letter"]
    assert heard == {
        "ToUserName": p.mp.name, "FromUserName": "o-lihua", "CreateTime": str(p.mp.seconds), "MsgType": "text",
        "Content": "3幢楼道灯坏了 ]]> <b>", "MsgId": said.id,
    }  # fmt: skip
    # The library does not split `]]>`, so what it answers to that is cut there.
    assert p.complaints != [] or p.seen("o-lihua")
    p.complaints.clear()
    await p.mp.say("o-lihua", "在吗")
    assert p.seen("o-lihua")[-1].text == "收到：在吗"
    assert p.complaints == []


async def test_every_kind_and_event_is_understood(p: TestPlatform, server: Peer) -> None:
    await p.mp.photo("o1")
    await p.mp.voice("o1", "楼道灯坏了")
    await p.mp.video("o1", b"....mp4....", short=True)
    await p.mp.location("o1", 30.25, 120.16, "水岸华庭")
    await p.mp.link("o1", "通知", "https://e.example/1")
    await p.mp.follow("o2", "G-LJ-01")
    await p.mp.scan("o2", "B-SA-3")
    await p.mp.unfollow("o2")
    letters = [found["letter"] for found in server.events]
    assert [letter["MsgType"] for letter in letters[:5]] == ["image", "voice", "shortvideo", "location", "link"]
    assert letters[1]["Recognition"] == "楼道灯坏了"
    assert (letters[3]["Location_X"], letters[3]["Label"]) == ("30.25", "水岸华庭")
    assert [(letter["Event"], letter["EventKey"]) for letter in letters[5:]] == [
        ("subscribe", "qrscene_G-LJ-01"), ("SCAN", "B-SA-3"), ("unsubscribe", ""),
    ]  # fmt: skip


async def test_a_wrong_signature_is_refused_three_times(p: TestPlatform, server: Peer) -> None:
    p.mp.token = p.mp.secret
    await p.mp.say("o1", "在吗")
    assert p.pushes[-1].statuses == [401, 401, 401]
    assert not await p.mp.verify()


async def test_a_silent_server_gets_three_tries_of_five_seconds(p: TestPlatform) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the platform hangs up
        writer.close()

    hung = await asyncio.start_server(silent, "127.0.0.1", 0)
    p.mp.callback = f"http://127.0.0.1:{hung.sockets[0].getsockname()[1]}/"
    saying = asyncio.create_task(p.mp.say("o1", "在吗"))
    for tries in (1, 2, 3):
        await p.until(lambda: p.pushes)
        while p.pushes[0].tries < tries:
            p.clock.forward(seconds=5)
            await asyncio.sleep(0.01)
    await saying
    assert p.pushes[0].statuses == [0, 0, 0]
    hung.close()
    await hung.wait_closed()


async def test_five_answers_in_48_hours(p: TestPlatform, client: Peer) -> None:
    with pytest.raises(PeerError, match="invalid openid"):
        await client.ask("text", user="o1", text="您好")
    await p.mp.say("o1", "在吗")
    for number in range(5):
        assert (await client.ask("text", user="o1", text=f"{number}"))["errcode"] == 0
    with pytest.raises(PeerError, match="out of response count limit"):  # 45047
        await client.ask("text", user="o1", text="6")
    await p.mp.say("o1", "还有")
    await client.ask("text", user="o1", text="5")
    p.clock.forward(hours=48)
    with pytest.raises(PeerError, match="response out of time limit"):  # 45015
        await client.ask("text", user="o1", text="7")
    assert [bubble.text for bubble in p.seen("o1")] == ["0", "1", "2", "3", "4", "5"]
    with pytest.raises(PeerError, match="size out of limit"):
        await client.ask("text", user="o1", text="水" * 683)


async def test_three_answers_a_minute_after_a_follow(p: TestPlatform, client: Peer) -> None:
    await p.mp.follow("o1")
    for number in range(3):
        await client.ask("text", user="o1", text=str(number))
    with pytest.raises(PeerError, match="response out of time limit"):
        await client.ask("text", user="o1", text="4")


async def test_templates_codes_menus_and_files(p: TestPlatform, client: Peer) -> None:
    p.mp.followers.add("o1")
    p.mp.templates["TPL"] = "工单进度"
    data = {"thing1": {"value": "楼道灯"}, "character_string2": {"value": "LS1024"}}
    assert (await client.ask("template", user="o1", template="TPL", data=data))["errcode"] == 0
    assert p.seen("o1")[0].text == "工单进度\n楼道灯\nLS1024"
    with pytest.raises(PeerError, match="argument invalid"):
        await client.ask("template", user="o1", template="TPL", data={"thing1": {"value": "楼" * 21}})
    with pytest.raises(PeerError, match="invalid template_id"):
        await client.ask("template", user="o1", template="OTHER", data=data)
    code = await client.ask("qrcode", scene="G-LJ-01", seconds=600)
    assert code["expire_seconds"] == 600
    assert p.mp.tickets[code["ticket"]] == "G-LJ-01"
    menu = {"button": [{"type": "click", "name": "报修", "key": "report"}]}
    await client.ask("menu", menu=menu)
    assert (await client.ask("getMenu"))["menu"]["button"][0]["key"] == "report"
    up = await client.ask("upload", data=base64.b64encode(b"\xff\xd8\xff jpeg").decode(), type="image", name="灯.jpg")
    assert p.media.get(up["media_id"]).data == b"\xff\xd8\xff jpeg"
    assert base64.b64decode(await client.ask("media", media=up["media_id"])) == b"\xff\xd8\xff jpeg"


async def test_a_revoked_token_is_fetched_anew(p: TestPlatform, client: Peer) -> None:
    await p.mp.say("o1", "在吗")
    await client.ask("text", user="o1", text="1")
    p.tokens.revoke()
    await client.ask("text", user="o1", text="2")  # the library refreshes at 40001
    assert [call.code for call in p.calls] == [0, 0, 40001, 0, 0]
    assert len(p.seen("o1")) == 2


@pytest.mark.parametrize(("status", "body"), [(500, ""), (200, "ok"), (200, "success"), (200, "")])
async def test_an_account_that_does_not_answer_is_seen(p: TestPlatform, status: int, body: str) -> None:
    """As on her phone: 该公众号暂时无法提供服务."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_post("/mp", answer)
    async with TestServer(app) as server:
        p.mp.callback = str(server.make_url("/mp"))
        await p.mp.say("o-lihua", "你好")
    served = body in ("", "success") and status == 200
    assert [bubble.text for bubble in p.seen("o-lihua")] == ([] if served else [UNSERVED])
    assert bool(p.complaints) is not served
