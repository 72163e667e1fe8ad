"""The fake is honest: foreign OneBot applications take its connection, read its events, and act through it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from tests.onebot.fake import FakeQQ, at, image
from tests.platform.peers import NoPeer, Peer, environment

HERE = Path(__file__).parent / "peers"
TOKEN, GROUP = "a-token-of-32-characters-at-least", 777
PATHS = {"aiocqhttp": "/ws/", "nonebot": "/onebot/v11/ws"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def foreign_python() -> Path:
    """The interpreter that has both."""
    try:
        return environment("python") / "bin" / "python"
    except NoPeer as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why), pytrace=False)
        pytest.skip(str(why))


@pytest.fixture(params=sorted(PATHS))
async def server(request: pytest.FixtureRequest, foreign_python: Path) -> AsyncIterator[tuple[Peer, str]]:
    """A foreign application, and where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    peer = await Peer.start([foreign_python, HERE / f"{request.param}_app.py", str(port), TOKEN], {})
    try:
        await _listening(peer, port)
        yield peer, f"http://127.0.0.1:{port}{PATHS[request.param]}"
    finally:
        await peer.stop()


async def _listening(peer: Peer, port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise TimeoutError(peer.said[-2000:])


async def test_it_takes_the_connection_reads_the_group_and_answers(server: tuple[Peer, str]) -> None:
    peer, url = server
    async with FakeQQ(url, TOKEN) as qq:
        assert (await peer.event("meta"))["account"] == qq.account
        number = await qq.say(GROUP, 20001, at(qq.account), " 3栋楼道灯坏了", image("a.jpg"), name="春芽")
        heard = await peer.event("heard")
        assert (heard["group"], heard["user"], heard["message"], heard["nickname"]) == (GROUP, 20001, number, "春芽")
        kinds = [kind for kind, _ in heard["segments"]]
        words = "".join(data.get("text", "") for _, data in heard["segments"])
        assert kinds == ["at", "text", "image"]
        assert words.strip() == "3栋楼道灯坏了"
        sent = await peer.event("sent")
        assert sent["answer"] == {"message_id": qq.shown[0].id}
        (shown,) = qq.seen(f"g-{GROUP}")
        assert shown.text.strip().removeprefix(f"[CQ:reply,id={number}]") == "收到"


async def test_it_reads_a_direct_chat_a_recall_and_a_refusal(server: tuple[Peer, str]) -> None:
    peer, url = server
    async with FakeQQ(url, TOKEN) as qq:
        qq.refuse = [1404]
        number = await qq.say(None, 20001, "修得怎么样了")
        assert (await peer.event("heard"))["group"] is None
        assert (await peer.event("failed"))["retcode"] == 1404
        await qq.recall(GROUP, 20001, number)
        notice = await peer.event("notice")
        assert (notice["kind"], notice["message"], notice["operator"]) == ("group_recall", number, 20001)
        assert qq.shown == []


@pytest.mark.parametrize("token", ["", "guess"])
async def test_it_refuses_another_token(server: tuple[Peer, str], token: str) -> None:
    _, url = server
    with pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(url, token).dial()
    assert refused.value.status in (401, 403)
