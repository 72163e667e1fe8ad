"""What a self-built app may send: so much to a room's member, and so much a day to all together."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import aiohttp
import pytest

from tests.platform.harness import TestPlatform

ROOM = "urgent1024"


class Caller(Protocol):
    """Calls the API and gives its errcode."""

    async def __call__(self, path: str, **body: Any) -> int: ...


@pytest.fixture
async def call(p: TestPlatform) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(p.base) as session:
        keys = {"corpid": p.app.corp_id, "corpsecret": p.app.secret}

        async def ask(path: str, **body: Any) -> int:
            async with session.get("/cgi-bin/gettoken", params=keys) as response:
                token = (await response.json())["access_token"]
            async with session.post(f"/cgi-bin/{path}?access_token={token}", json=body) as response:
                return int((await response.json())["errcode"])

        yield ask


async def test_a_member_of_a_room_gets_200_a_minute(p: TestPlatform, call: Caller) -> None:
    """What is more she never sees, and nobody says so; who came later still gets hers."""
    await call("appchat/create", owner="lisi", userlist=["lisi", "zhangsan"], chatid=ROOM)
    words = {"chatid": ROOM, "msgtype": "text", "text": {"content": "3幢停电"}}
    assert {await call("appchat/send", **words) for _ in range(200)} == {0}
    await call("appchat/update", chatid=ROOM, add_user_list=["wangwu"])
    assert await call("appchat/send", **words) == 0
    *before, last = [bubble.missed for bubble in p.seen(ROOM)]
    assert (before, last) == ([[]] * 200, ["lisi", "zhangsan"])
    p.clock.forward(minutes=1)
    assert await call("appchat/send", **words) == 0
    assert p.seen(ROOM)[-1].missed == []


async def test_an_app_has_200_person_times_a_seat_and_day(p: TestPlatform, call: Caller) -> None:
    p.app_api.seats = 1
    words = {"agentid": p.app.agent_id, "msgtype": "text", "text": {"content": "停水"}}
    many = "|".join(f"u{number}" for number in range(199))
    assert await call("message/send", touser=many, **words) == 0
    assert await call("message/send", touser="a|b", **words) == 45009
    assert (p.seen("a"), p.seen("b")) == ([], [])
    assert await call("message/send", touser="a", **words) == 0
    p.clock.forward(days=1)
    assert await call("message/send", touser="b", **words) == 0
