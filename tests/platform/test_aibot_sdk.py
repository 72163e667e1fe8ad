"""Tencent's own client (npm @wecom/aibot-node-sdk) on the platform's long connection."""

import base64
import random
from typing import Any

import pytest

from tests.platform.conftest import StartPeer
from tests.platform.harness import TestPlatform
from tests.platform.peers import Peer, PeerError

CARD: dict[str, Any] = {
    "card_type": "button_interaction",
    "main_title": {"title": "新诉求 #1024", "desc": "3栋2单元 · 楼道灯"},
    "button_list": [
        {"text": "接单", "style": 1, "key": "accept:1024"},
        {"text": "转派", "style": 2, "key": "pass:1024"},
    ],
    "task_id": "T1024-1",
}


async def dial(p: TestPlatform, node: StartPeer, **env: str) -> Peer:
    bot = await node("aibot", WS_URL=p.ws_url, BOT_ID=p.bot.id, BOT_SECRET=p.bot.secret, **env)
    await bot.ask("connect")
    await bot.event("authenticated")
    return bot


async def test_a_group_is_answered_in_a_stream(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    group = p.group("水岸网格群", "lihua", "wangfang")
    await p.say(group, "lihua", "楼道灯坏了")  # nobody is @ed: the bot does not hear it
    said = await p.say(group, "lihua", "@邻声 3幢楼道灯坏了")
    heard = (await bot.event("message"))["body"]
    assert heard == {
        "msgid": said.id, "aibotid": p.bot.id, "chatid": group, "chattype": "group", "from": {"userid": "lihua"},
        "msgtype": "text", "text": {"content": "@邻声 3幢楼道灯坏了"},
    }  # fmt: skip
    await bot.ask("stream", to=said.id, stream="s1", content="正在登记…", finish=False)
    (seen,) = p.seen(group)
    assert (seen.text, seen.finished) == ("正在登记…", False)
    await bot.ask("stream", to=said.id, stream="s1", content="已登记 **#1024**", finish=True)
    assert (seen.text, seen.finished) == ("已登记 **#1024**", True)
    with pytest.raises(PeerError, match="846608"):
        await bot.ask("stream", to=said.id, stream="s1", content="还有", finish=True)
    assert p.seen(group) == [seen]


async def test_a_stream_ends_after_six_minutes(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    said = await p.say(None, "lihua", "在吗")
    await bot.event("message")
    await bot.ask("stream", to=said.id, stream="s1", content="…", finish=False)
    p.clock.forward(minutes=6)
    with pytest.raises(PeerError, match="846608"):
        await bot.ask("stream", to=said.id, stream="s1", content="好了", finish=True)


async def test_a_card_is_pressed_and_changes(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    with pytest.raises(PeerError, match="846604"):  # she has never written
        await bot.ask("send", chat="zhangsan", body={"msgtype": "template_card", "template_card": CARD})
    await p.say(None, "zhangsan", "你好")
    await bot.event("message")
    await bot.ask("send", chat="zhangsan", body={"msgtype": "template_card", "template_card": CARD})
    (card,) = p.seen("zhangsan")
    with pytest.raises(ValueError, match="the card offers"):
        await p.click(card, "zhangsan", "close:1024")
    await p.click(card, "zhangsan", "accept:1024")
    heard = (await bot.event("heard"))["body"]
    assert heard["event"] == {
        "eventtype": "template_card_event",
        "template_card_event": {
            "card_type": "button_interaction", "event_key": "accept:1024", "task_id": "T1024-1",
        },
    }  # fmt: skip
    done = CARD | {"button_list": [{"text": "已接单", "style": 4, "key": "noop"}]}
    await bot.ask("update", to=heard["msgid"], card=done)
    assert card.card_for("zhangsan") == done
    with pytest.raises(PeerError, match="846605"):  # once
        await bot.ask("update", to=heard["msgid"], card=done)
    await p.click(card, "zhangsan", "noop")
    late = (await bot.event("heard"))["body"]["msgid"]
    p.clock.forward(seconds=6)
    with pytest.raises(PeerError, match="846605"):
        await bot.ask("update", to=late, card=CARD)


async def test_the_platform_refuses_wrong_cards(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    await p.say(None, "zhangsan", "你好")
    for wrong, code in (
        ({"card_type": "text_notice", "main_title": {"title": "停水"}}, "42045"),
        (CARD | {"task_id": "工单"}, "40058"),
        (CARD | {"button_list": [{"text": "x", "key": str(n)} for n in range(7)]}, "40058"),
        (CARD | {"button_list": [{"text": "x", "key": "same"}, {"text": "y", "key": "same"}]}, "40058"),
    ):
        with pytest.raises(PeerError, match=code):
            await bot.ask("send", chat="zhangsan", body={"msgtype": "template_card", "template_card": wrong})
    assert p.seen("zhangsan") == []


async def test_a_file_goes_up_in_chunks_and_a_picture_comes_down(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    data = random.Random(7).randbytes(700_000)
    said = await p.photo(None, "lihua", b"\xff\xd8\xff" + data)
    image = (await bot.event("message"))["body"]["image"]
    got = await bot.ask("download", url=image["url"], key=image["aeskey"])
    assert base64.b64decode(got["data"]) == b"\xff\xd8\xff" + data
    assert got["name"] == "picture.jpg"
    up = await bot.ask("upload", data=base64.b64encode(data).decode(), type="file", name="台账.pdf")
    assert p.media.get(up["media_id"]).data == data
    assert len([frame for frame in p.bot.wire.frames if frame["cmd"] == "aibot_upload_media_chunk"]) == 2
    await bot.ask("media", chat="lihua", type="file", media=up["media_id"])
    assert [(bubble.kind, bubble.text) for bubble in p.seen("lihua")] == [("file", "[台账.pdf]")]
    p.clock.forward(minutes=6)
    with pytest.raises(PeerError, match="403"):
        await bot.ask("download", url=image["url"], key=image["aeskey"])
    assert said.kind == "image"


async def test_it_comes_back_after_both_kinds_of_end(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    for clean in (True, False):
        await p.bot.cut(clean=clean)
        await bot.event("disconnected")
        await bot.event("authenticated")
    assert p.bot.wire.subscribed == 3
    assert p.bot.connected


async def test_a_half_open_socket_is_noticed_by_its_silence(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node, HEARTBEAT="80")
    await p.until(lambda: p.bot.wire.current is not None and p.bot.wire.current.pings > 1)
    p.bot.freeze()
    await bot.event("disconnected")
    await bot.event("authenticated")


async def test_a_second_program_kicks_the_first_which_rests(p: TestPlatform, node: StartPeer) -> None:
    first = await dial(p, node)
    second = await dial(p, node)
    kicked = await first.event("heard")
    assert kicked["body"]["event"] == {"eventtype": "disconnected_event"}
    assert p.bot.wire.kicked == 1
    said = await p.say(None, "lihua", "在吗")
    assert (await second.event("message"))["body"]["msgid"] == said.id
    assert first.events == [] or all(found["event"] != "authenticated" for found in first.events)
    assert p.bot.wire.subscribed == 2


async def test_a_wrong_secret_is_told(p: TestPlatform, node: StartPeer) -> None:
    bot = await node("aibot", WS_URL=p.ws_url, BOT_ID=p.bot.id, BOT_SECRET=p.bot.token)
    await bot.ask("connect")
    assert "40125" in (await bot.event("error"))["what"]
    assert not p.bot.connected


async def test_an_answer_on_another_connection_is_refused(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    said = await p.say(None, "lihua", "在吗")
    await bot.event("message")
    await p.bot.cut()
    await bot.event("authenticated")
    with pytest.raises(PeerError, match="846605"):
        await bot.ask("stream", to=said.id, stream="s1", content="在", finish=True)
    await bot.ask("send", chat="lihua", body={"msgtype": "markdown", "markdown": {"content": "在"}})
    assert [bubble.text for bubble in p.seen("lihua")] == ["在"]


async def test_a_welcome_and_a_rate(p: TestPlatform, node: StartPeer) -> None:
    bot = await dial(p, node)
    await p.bot.enter("lihua")
    heard = (await bot.event("heard"))["body"]
    assert heard["event"] == {"eventtype": "enter_chat"}
    await bot.ask("welcome", to=heard["msgid"], body={"msgtype": "text", "text": {"content": "您好"}})
    await p.bot.enter("lihua")  # the same day: not told again
    await p.say(None, "lihua", "1")
    body = {"msgtype": "markdown", "markdown": {"content": "x"}}
    for _ in range(29):
        await bot.ask("send", chat="lihua", body=body)
    with pytest.raises(PeerError, match="846607"):
        await bot.ask("send", chat="lihua", body=body)
    p.clock.forward(minutes=1)
    await bot.ask("send", chat="lihua", body=body)
    assert [found for found in bot.events if found["event"] == "heard"] == []
