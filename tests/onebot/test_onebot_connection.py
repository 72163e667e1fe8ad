"""The reverse WebSocket: who may dial, and what a break leaves."""

import pytest
import sqlalchemy as sa
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from bot.channels.onebot import NAME, PATH, OneBot
from bot.ingest import Busy
from bot.sender import Sender
from config.side_channels import OneBotSettings
from models import outbox
from models.database import Database
from models.outbox import SENT, Outbox
from tests.conftest import HandClock
from tests.onebot.conftest import GROUP, TOKEN, Recorder, out
from tests.onebot.fake import FakeQQ, so

# ---- who may dial


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 401),
        ("guess", {}, 403),
        (TOKEN[:-1], {}, 403),
        (TOKEN + "x", {}, 403),
        ("", {"Authorization": f"Token {TOKEN}"}, 403),
        ("", {"Authorization": TOKEN}, 403),
        (TOKEN, {"X-Self-ID": "x"}, 400),
        (TOKEN, {"X-Self-ID": ""}, 400),
        (TOKEN, {"X-Client-Role": "API"}, 400),
    ],
)
async def test_whoever_is_not_the_implementation_is_refused(
    url: str, channel: OneBot, token: str, headers: dict[str, str], status: int
) -> None:
    with capture_logs() as logs, pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(url, token, headers=headers).dial()
    assert refused.value.status == status
    assert not channel.ready
    assert [line["event"] for line in logs] == ["onebot.refused"]
    assert TOKEN not in str(logs)


async def test_a_token_in_the_address_does_not_count(url: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(f"{url}?access_token={TOKEN}", "").dial()
    assert refused.value.status == 401


async def test_another_account_is_refused_while_one_is_there(url: str, qq: FakeQQ, channel: OneBot) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await FakeQQ(url, TOKEN, account=10002).dial()
    assert (refused.value.status, channel.ready) == (409, True)


async def test_only_the_account_of_the_settings(known_group: Database, door: Recorder) -> None:
    settings = OneBotSettings.model_validate({"token": TOKEN, "account": "10009"})
    app = web.Application()
    app.add_routes(OneBot(settings, door, known_group).routes())
    async with TestServer(app) as server:
        with pytest.raises(WSServerHandshakeError) as refused:
            await FakeQQ(str(server.make_url(PATH)), TOKEN).dial()
    assert refused.value.status == 403


async def test_it_says_what_it_is(known_group: Database, door: Recorder) -> None:
    channel = OneBot(OneBotSettings.model_validate({"token": TOKEN}), door, known_group)
    with capture_logs() as logs:
        await channel.start()
        await channel.stop()
    (line,) = [line for line in logs if line["event"] == "onebot.on"]
    assert line["log_level"] == "warning"
    assert "QQ account" in line["warning"]
    with pytest.raises(ValueError, match="token"):
        OneBot(OneBotSettings(), door, known_group)


# ---- coming and going


async def test_rows_wait_while_nobody_is_connected(
    known_group: Database, channel: OneBot, url: str, clock: HandClock
) -> None:
    numbered = [(f"k{i}", out(words)) for i, words in enumerate(("一", "二"))]
    known_group.tx(lambda session: outbox.put(session, numbered, clock()))
    sender = Sender(known_group, {NAME: channel}, clock)
    for _ in range(20):
        assert await sender.step() == 0
        clock.forward(hours=1)
    assert [(row.attempts, row.outcome) for row in _rows(known_group)] == [(0, ""), (0, "")]
    async with FakeQQ(url, TOKEN) as qq:
        await so(lambda: channel.ready)
        await qq.beat(online=False)
        await so(lambda: not channel.ready)
        assert channel.state == "offline"
        assert await sender.step() == 0
        await qq.beat()
        await so(lambda: channel.ready)
        while await sender.step():
            pass
        assert [one.text for one in qq.shown] == ["一", "二"]
    assert [(row.outcome, row.platform_id) for row in _rows(known_group)] == [(SENT, str(one.id)) for one in qq.shown]
    await so(lambda: not channel.ready)
    assert channel.state == "waiting"


def _rows(db: Database) -> list[Outbox]:
    return db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(Outbox.id))))  # type: ignore[arg-type]


async def test_a_newer_connection_of_the_account_takes_over(
    qq: FakeQQ, url: str, channel: OneBot, door: Recorder
) -> None:
    async with FakeQQ(url, TOKEN) as newer:
        assert await qq.closed() == 1001
        await so(lambda: channel.ready)
        await channel.send(out("给新的"), "k")
        assert [one.text for one in newer.shown] == ["给新的"]
        assert qq.shown == []
        await newer.say(GROUP, 20001, "新的")
        assert [one.text for one in await door.first()] == ["新的"]


async def test_it_comes_back_after_a_clean_and_an_unclean_end(qq: FakeQQ, channel: OneBot, door: Recorder) -> None:
    for turn, end in enumerate((qq.hang_up, qq.drop), 1):
        await end()
        await so(lambda: not channel.ready)
        await qq.dial()
        await so(lambda: channel.ready)
        await qq.say(GROUP, 20001, f"第{turn}次")
        assert [one.text for one in await door.first(turn)][-1] == f"第{turn}次"


async def test_the_end_of_the_process_keeps_what_is_held(qq: FakeQQ, channel: OneBot, door: Recorder) -> None:
    door.errors = [Busy()] * 3
    await qq.say(GROUP, 20001, "最后一句")
    await so(lambda: len(door.errors) < 3)
    await channel.stop()
    assert [one.text for one in door.kept] == ["最后一句"]
    assert await qq.closed() == 1001
