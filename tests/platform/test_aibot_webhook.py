"""The platform's webhook mode, against a Node server with Tencent's crypto (@wecom/crypto)."""

import asyncio
from typing import Any

import aiohttp
import pytest

from bot.platform.aibot import Turn
from bot.platform.codes import PlatformError
from tests.platform.conftest import StartPeer
from tests.platform.harness import TestPlatform
from tests.platform.peers import Peer
from tests.platform.test_aibot_sdk import CARD


@pytest.fixture
async def server(p: TestPlatform, node: StartPeer) -> Peer:
    peer = await node("webhook", AES_KEY=p.bot.aes_key, TOKEN=p.bot.token)
    p.bot.callback = f"http://127.0.0.1:{await peer.ask('listen')}/callback/wecom_bot"
    return peer


def stream(content: str, *, finish: bool, name: str = "s1") -> dict[str, Any]:
    return {"msgtype": "stream", "stream": {"id": name, "finish": finish, "content": content}}


async def test_the_address_is_checked(p: TestPlatform, server: Peer) -> None:
    assert await p.bot.verify()
    p.bot.token = p.bot.secret
    assert not await p.bot.verify()


async def test_a_message_a_stream_and_its_polls(p: TestPlatform, server: Peer) -> None:
    group = p.group("水岸网格群", "lihua")
    await server.ask("answer", **{"with": [stream("正在登记…", finish=False), "", stream("已登记", finish=True)]})
    said = await p.say(group, "lihua", "@邻声 3幢楼道灯坏了", quote=None)
    callback = await server.event("callback")
    assert callback["receiver"] == ""
    body = callback["body"]
    assert body.pop("response_url").startswith(f"{p.base}/cgi-bin/aibot/response?response_code=")
    assert body == {
        "msgid": said.id, "aibotid": p.bot.id, "chatid": group, "chattype": "group", "from": {"userid": "lihua"},
        "msgtype": "text", "text": {"content": "@邻声 3幢楼道灯坏了"},
    }  # fmt: skip
    (seen,) = p.seen(group)
    assert (seen.text, seen.finished) == ("正在登记…", False)
    assert await p.bot.poll() == 1  # answered with nothing: it goes on
    poll = (await server.event("callback"))["body"]
    assert (poll["msgtype"], poll["stream"], "response_url" in poll) == ("stream", {"id": "s1"}, False)
    p.clock.forward(seconds=1)  # the platform polls by itself
    await p.until(lambda: seen.finished)
    assert seen.text == "已登记"
    assert await p.bot.poll() == 0
    assert p.complaints == []


async def test_polls_end_after_six_minutes(p: TestPlatform, server: Peer) -> None:
    await server.ask("answer", **{"with": [stream("…", finish=False)]})
    await p.say(None, "lihua", "在吗")
    p.clock.forward(minutes=6)
    assert await p.bot.poll() == 0
    assert p.seen("lihua")[0].finished is False


async def test_three_tries_and_five_seconds(p: TestPlatform, server: Peer) -> None:
    await server.ask("answer", **{"with": [503, None, stream("在", finish=True)]})
    saying = asyncio.create_task(p.say(None, "lihua", "在吗"))
    for _ in range(2):
        await server.event("callback")
    p.clock.forward(seconds=5)
    await saying
    (push,) = p.pushes
    assert push.statuses == [503, 0, 200]
    assert [bubble.text for bubble in p.seen("lihua")] == ["在"]


async def test_a_click_is_told_once_and_answered_in_time(p: TestPlatform, server: Peer) -> None:
    await server.ask("answer", **{"with": [{"msgtype": "template_card", "template_card": CARD}, 503]})
    await p.say(None, "zhangsan", "你好")
    (card,) = p.seen("zhangsan")
    push = await p.click(card, "zhangsan", "accept:1024")
    assert push is not None
    assert push.statuses == [503]
    done = CARD | {"button_list": [{"text": "已接单", "style": 4, "key": "noop"}]}
    await server.ask("answer", **{"with": [{"response_type": "update_template_card", "template_card": done}]})
    await p.click(card, "zhangsan", "accept:1024")
    assert card.card_for("zhangsan") == done
    assert p.complaints == []


async def test_one_later_answer(p: TestPlatform, server: Peer) -> None:
    group = p.group("水岸网格群", "lihua")
    await p.say(group, "lihua", "@邻声 灯坏了")
    address = (await server.event("callback"))["body"]["response_url"]
    body = {"msgtype": "markdown", "markdown": {"content": "已登记 **#1024**"}}
    async with aiohttp.ClientSession() as session:
        for code in (0, 40058):
            async with session.post(address, json=body) as response:
                assert (await response.json())["errcode"] == code
    (seen,) = p.seen(group)
    assert (seen.kind, seen.quote) == ("markdown", "@邻声 灯坏了")


async def test_an_answer_that_cannot_be_used_is_complained_about(p: TestPlatform, server: Peer) -> None:
    await server.ask("answer", **{"with": [stream("x" * 20_481, finish=True)]})
    await p.say(None, "lihua", "在吗")
    assert "45002" in p.complaints[0]
    p.bot.token = p.bot.secret
    await p.say(None, "lihua", "在吗")
    assert p.pushes[-1].statuses == [400, 400, 400]
    assert p.seen("lihua") == []


async def test_pictures_are_under_the_callbacks_key(p: TestPlatform, server: Peer, node: StartPeer) -> None:
    group = p.group("水岸网格群", "lihua")
    await p.photo(group, "lihua", b"\xff\xd8\xff jpeg", "@邻声 就是这里")
    items = (await server.event("callback"))["body"]["mixed"]["msg_item"]
    assert [item["msgtype"] for item in items] == ["text", "image"]
    assert "aeskey" not in items[1]["image"]
    sdk = await node("aibot", WS_URL=p.ws_url, BOT_ID=p.bot.id, BOT_SECRET=p.bot.secret)
    got = await sdk.ask("download", url=items[1]["image"]["url"], key=p.bot.aes_key)
    assert got["data"] == "/9j/IGpwZWc="


async def test_what_nobody_was_there_for_is_lost(p: TestPlatform) -> None:
    await p.say(None, "lihua", "在吗")
    assert p.bot.lost[0]["text"] == {"content": "在吗"}


@pytest.mark.parametrize("kind", ["text", "markdown"])
async def test_a_webhook_answers_with_streams_and_cards_only(p: TestPlatform, kind: str) -> None:
    """101031: words without a stream are for the long connection and for a response_url."""
    turn = Turn("r1", "message", "u05", "u05", p.clock(), "m1")
    with pytest.raises(PlatformError, match="40008"):
        p.bot.respond(turn, {"msgtype": kind, kind: {"content": "收到"}}, pictures=True)
    assert p.bot.respond(turn, {"msgtype": kind, kind: {"content": "收到"}}, pictures=False).text == "收到"
