"""A self-built app and a webhook robot: the foreign client wecomkit calls the platform."""

import base64
from typing import Any

import pytest

from tests.platform.conftest import StartPeer
from tests.platform.harness import TestPlatform
from tests.platform.peers import Peer, PeerError
from tests.platform.test_aibot_sdk import CARD


@pytest.fixture
async def client(p: TestPlatform, python: StartPeer) -> Peer:
    return await python("corp", BASE=p.base, CORP_ID=p.app.corp_id, CORP_SECRET=p.app.secret)


def no_callback(p: TestPlatform) -> None:
    """An address that is entered and refuses connections."""
    p.app.callback = "http://127.0.0.1:9/callback/wecom_app"


async def test_a_card_reaches_members_and_names_strangers(p: TestPlatform, client: Peer) -> None:
    with pytest.raises(PeerError, match="40058"):  # an interactive card needs a callback address
        await client.ask("card", agent=p.app.agent_id, users="zhangsan", body=CARD)
    no_callback(p)
    p.app.strangers |= {"Nobody"}
    sent = await client.ask("card", agent=p.app.agent_id, users="zhangsan|Nobody", body=CARD)
    assert (sent["errcode"], sent["invaliduser"]) == (0, "nobody")
    assert p.seen("zhangsan")[0].card == CARD
    with pytest.raises(PeerError, match="81013"):
        await client.ask("card", agent=p.app.agent_id, users="Nobody", body=CARD)
    with pytest.raises(PeerError, match="40056"):
        await client.ask("card", agent=1, users="zhangsan", body=CARD)


async def test_a_response_code_is_good_once_and_for_72_hours(p: TestPlatform, client: Peer) -> None:
    no_callback(p)
    sent = await client.ask("card", agent=p.app.agent_id, users="zhangsan|lisi", body=CARD)
    update: dict[str, Any] = {"userids": ["zhangsan", "wangwu"], "agentid": p.app.agent_id}
    update |= {"response_code": sent["response_code"], "button": {"replace_name": "已接单"}}
    done = await client.ask("call", method="POST", path="/cgi-bin/message/update_template_card", body=update)
    assert done["invaliduser"] == ["wangwu"]
    mine, other = p.seen("zhangsan")[0], p.seen("lisi")[0]
    assert [button["text"] for button in (mine.card_for("zhangsan") or {})["button_list"]] == ["已接单", "已接单"]
    assert other.card_for("lisi") == CARD
    with pytest.raises(PeerError, match="40058"):
        await client.ask("call", method="POST", path="/cgi-bin/message/update_template_card", body=update)
    late = await client.ask("card", agent=p.app.agent_id, users="lisi", body=CARD)
    p.clock.forward(hours=72)
    await client.ask("forget")
    with pytest.raises(PeerError, match="40058"):
        await client.ask(
            "call", method="POST", path="/cgi-bin/message/update_template_card",
            body=update | {"response_code": late["response_code"]},
        )  # fmt: skip


async def test_more_than_30_a_minute_are_dropped_without_a_word(p: TestPlatform, client: Peer) -> None:
    for number in range(31):
        assert (await client.ask("text", agent=p.app.agent_id, users="lisi", content=str(number)))["errcode"] == 0
    assert len(p.seen("lisi")) == 30
    assert p.app_api.dropped == 1


async def test_recall_files_and_rooms(p: TestPlatform, client: Peer) -> None:
    sent = await client.ask("text", agent=p.app.agent_id, users="lisi", content="停水")
    await client.ask("call", method="POST", path="/cgi-bin/message/recall", body={"msgid": sent["msgid"]})
    assert p.seen("lisi") == []
    up = await client.ask("upload", kind="file", name="台账.pdf", data=base64.b64encode(b"%PDF-1.7").decode())
    assert (up["type"], p.media.get(up["media_id"]).name) == ("file", "台账.pdf")
    room = {"name": "紧急", "owner": "lisi", "userlist": ["lisi", "zhangsan"], "chatid": "urgent1024"}
    await client.ask("call", method="POST", path="/cgi-bin/appchat/create", body=room)
    words = {"chatid": "urgent1024", "msgtype": "text", "text": {"content": "3幢停电"}}
    await client.ask("call", method="POST", path="/cgi-bin/appchat/send", body=words)
    assert [bubble.text for bubble in p.seen("urgent1024")] == ["3幢停电"]
    for body, code in (
        (room, "86215"),
        (room | {"chatid": "urgent-1024"}, "86001"),
        (room | {"chatid": "x", "userlist": ["lisi"]}, "40058"),
    ):
        with pytest.raises(PeerError, match=code):
            await client.ask("call", method="POST", path="/cgi-bin/appchat/create", body=body)
    for chat, code in (("nowhere", "86003"), ("no-where", "86001")):
        with pytest.raises(PeerError, match=code):
            await client.ask("call", method="POST", path="/cgi-bin/appchat/send", body=words | {"chatid": chat})
    # Her room is somebody else's before she leaves it, and two stay.
    update, both = "/cgi-bin/appchat/update", {"chatid": "urgent1024", "add_user_list": ["wangwu"]}
    for change, code in ((both | {"del_user_list": ["lisi"]}, "60111"), (room | {"del_user_list": ["lisi"]}, "40058")):
        with pytest.raises(PeerError, match=code):
            await client.ask("call", method="POST", path=update, body=change)
    handed = both | {"owner": "zhangsan", "del_user_list": ["LiSi"]}
    await client.ask("call", method="POST", path=update, body=handed)
    assert p.world.groups["urgent1024"].members == ["zhangsan", "wangwu"]


async def test_tokens_addresses_and_faults(p: TestPlatform, client: Peer) -> None:
    await client.ask("text", agent=p.app.agent_id, users="lisi", content="1")
    first = p.tokens.issued
    await client.ask("forget")  # asks again: the same token while it is good
    assert p.tokens.issued == first
    p.clock.forward(hours=2)
    with pytest.raises(PeerError, match="42001"):
        await client.ask("text", agent=p.app.agent_id, users="lisi", content="2")
    await client.ask("forget")
    p.tokens.revoke()
    with pytest.raises(PeerError, match="40014"):
        await client.ask("text", agent=p.app.agent_id, users="lisi", content="3")
    await client.ask("forget")
    p.faults.untrusted = True
    with pytest.raises(PeerError, match="60020"):
        await client.ask("text", agent=p.app.agent_id, users="lisi", content="4")
    p.faults.clear()
    p.faults.fail("/cgi-bin/message/send", cut=True, taken=True)
    with pytest.raises(PeerError, match="Network"):
        await client.ask("text", agent=p.app.agent_id, users="lisi", content="5")
    await p.down()
    with pytest.raises(PeerError, match="Network"):
        await client.ask("text", agent=p.app.agent_id, users="lisi", content="6")
    p.up()
    await client.ask("text", agent=p.app.agent_id, users="lisi", content="7")
    assert [bubble.text for bubble in p.seen("lisi")] == ["1", "5", "7"]
    assert all("***" not in str(call.body) for call in p.calls)


async def test_twenty_a_minute_for_a_robot(p: TestPlatform, client: Peer) -> None:
    async def push(url: str = p.robot.url, content: str = '<font color="warning">紧急</font> 3幢停电') -> int:
        return int((await client.ask("robot", url=url, content=content))["errcode"])

    assert {await push() for _ in range(20)} == {0}
    assert await push() == 45009
    p.clock.forward(minutes=1)
    assert await push(content="水" * 1366) == 45002
    assert await push(url=p.robot.url.replace(p.robot.key, "another")) == 93000
    assert await push() == 0
    assert len(p.seen(p.robot.chat)) == 21
