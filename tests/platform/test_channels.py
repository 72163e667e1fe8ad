"""Our own adapters, set up with nothing but what `linsheng platform` hands out."""

from pathlib import Path

import pytest
from aiohttp import web

from bot.channels.registry import channels
from bot.ingest import Ingest
from bot.platform.handed import environment, facts
from config.settings import load_settings
from models.database import Database
from models.message import Outgoing
from tests.platform.harness import TestPlatform
from tests.platform.wecom_bot import heard


async def test_both_ways_on_every_channel_that_is_handed_out(
    p: TestPlatform, sqlite_town: object, sqlite_db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment(p).items():
        monkeypatch.setenv(name, value)
    settings = load_settings(home=tmp_path, secret_key="k" * 32)
    ingest = Ingest(sqlite_db, clock=p.clock)
    found = {one.name: one for one in channels(settings, sqlite_db, ingest, wake=lambda: None, clock=p.clock)}
    assert set(found) == set(facts(p))
    app = web.Application()
    for channel in found.values():
        app.add_routes(channel.routes())
        await channel.start()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        p.mp.callback = f"http://127.0.0.1:{runner.addresses[0][1]}/callback/wechat_mp"
        assert await p.mp.verify()
        await p.until(lambda: p.bot.connected)
        await p.mp.say("o-lihua", "3幢楼道灯坏了 ]]>")
        await p.say(None, "lihua", "@邻声 电梯停了")
        await p.until(lambda: p.pushes and p.pushes[-1].done)
        await p.until(lambda: len(heard(sqlite_db)) == 2)
        assert {(letter.channel, letter.sender) for letter in heard(sqlite_db)} == {
            ("wechat_mp", "o-lihua"), ("wecom_bot", "lihua"),
        }  # fmt: skip
        for name, user in (("wechat_mp", "o-lihua"), ("wecom_bot", "lihua")):
            await found[name].send(Outgoing(channel=name, chat=user, text="已登记"), "c1")
            assert "已登记" in p.seen(user)[-1].text
        assert p.complaints == []
    finally:
        for channel in found.values():
            await channel.stop()
        await runner.cleanup()
