"""Our own adapters, set up with nothing but what `linsheng platform` hands out."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import web
from sqlmodel import Session, col

from bot.channels.base import Channel
from bot.channels.registry import channels
from bot.ingest import Ingest
from bot.platform.handed import CALLBACKS, callback, environment, facts
from bot.sender import Sender
from config.settings import load_settings
from models.chat import Chat, ChatKind
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing
from models.person import Identity
from tests.platform.harness import TestPlatform
from tests.platform.wecom_bot import heard

READ_ONLY = {"resident_report": "oUnion-lihua", "archive": "wm-of-the-group"}  # a resident's ids where nothing is said


async def test_both_ways_on_every_channel_that_is_handed_out(
    p: TestPlatform, sqlite_town: object, sqlite_db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In: what somebody says reaches the inbox. Out: what the bot says stands on a screen; where a channel only reads,
    on that of another one."""
    p.archive.folder = tmp_path / "records"
    p.archive.folder.mkdir()
    quick = {f"LINSHENG_{name.upper()}__POLL_SECONDS": "0.05" for name in READ_ONLY}
    for name, value in (environment(p) | quick).items():
        monkeypatch.setenv(name, value)
    settings = load_settings(home=tmp_path, secret_key="k" * 32)
    ingest = Ingest(sqlite_db, clock=p.clock)
    found = {one.name: one for one in channels(settings, sqlite_db, ingest, wake=lambda: None, clock=p.clock)}
    assert set(found) == set(facts(p))
    sqlite_db.tx(lambda session: settle(session, p))
    app = web.Application()
    for channel in found.values():
        app.add_routes(channel.routes())
        await channel.start()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for name, account in CALLBACKS.items():
            if name != "wecom_bot":
                getattr(p, account).callback = callback(base, name)
                assert await getattr(p, account).verify(), name
        await p.until(lambda: p.bot.connected)
        await all_speak(p, sqlite_db)
        await all_are_told(p, sqlite_db, found)
        assert p.complaints == []
    finally:
        for channel in found.values():
            await channel.stop()
        await runner.cleanup()


def settle(session: Session, p: TestPlatform) -> None:
    """The groups of the platform, and one resident who is nowhere but where nothing can be said, and at the app."""
    session.add(Chat(channel="archive", code=p.notices.chat, kind=ChatKind.GROUP, grid="QX-01-01-01"))
    session.add(Chat(channel="onebot", code=p.qq.chat, kind=ChatKind.GROUP, grid="QX-01-01-01"))
    session.connection().execute(sa.delete(Identity).where(col(Identity.person) == "U05"))
    session.add_all([Identity(person="U05", channel=name, user=user) for name, user in READ_ONLY.items()])
    session.add(Identity(person="U05", channel="wecom_app", user="u05"))
    bump(session, TOWN)


async def all_speak(p: TestPlatform, db: Database) -> None:
    """Somebody says something on each channel that hears."""
    await p.mp.say("o-lihua", "3幢楼道灯坏了 ]]>")
    await p.say(None, "lihua", "@邻声 电梯停了")
    await p.app.say("guyi", "我手上有什么")
    await p.kf.say("wm-lihua", "垃圾满了")
    await p.qq.say(p.qq.chat, "20001", "路灯不亮")
    p.report.order("井盖没了", unionid=READ_ONLY["resident_report"])
    p.archive.say(p.notices.chat, READ_ONLY["archive"], "水管漏了")
    await p.until(lambda: p.pushes and p.pushes[-1].done)
    hears = {
        ("wechat_mp", "o-lihua"), ("wecom_bot", "lihua"), ("wecom_app", "guyi"), ("wecom_kf", "wm-lihua"),
        ("onebot", "20001"), *READ_ONLY.items(),
    }  # fmt: skip
    p.clock.forward(minutes=1)  # the orders have been looked at already, at this very moment
    await p.until(lambda: {(letter.channel, letter.sender) for letter in heard(db)} >= hears)
    assert {(letter.channel, letter.sender) for letter in heard(db)} == hears
    assert {letter.channel for letter in heard(db)} | {"group_robot"} == set(facts(p))


async def all_are_told(p: TestPlatform, db: Database, found: dict[str, Channel]) -> None:
    """The bot says something on each."""
    own = {
        "wechat_mp": "o-lihua", "wecom_bot": "lihua", "wecom_app": "guyi", "wecom_kf": "wm-lihua",
        "onebot": p.qq.chat, "group_robot": "duty",
    }  # fmt: skip
    assert set(own) | set(READ_ONLY) == set(found)
    for name, chat in own.items():
        await found[name].send(Outgoing(channel=name, chat=chat, text="已登记"), "c1")
        screen = p.robot.chat if name == "group_robot" else chat
        assert "已登记" in p.seen(screen)[-1].text, name
    for name, user in READ_ONLY.items():
        await found[name].send(Outgoing(channel=name, chat=user, text=f"已登记 {name}"), f"c-{name}")
    sender = Sender(db, found, p.clock)
    while await sender.step():
        pass
    told = {bubble.text for bubble in p.seen("u05")}
    assert told == {"已登记 resident_report", "已登记 archive"}
