"""Whichever channel brings it into a group: no telephone, no identity number, no flat, in words or on a card."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import Session, col

from bot.channels import onebot, pressed, wecom_app
from bot.channels.cards import NOOP
from bot.channels.group_robot import NAME as ROBOT
from bot.channels.group_robot import GroupRobot
from bot.channels.web import WebChannel
from bot.channels.web_people import CHANNEL as WEB
from bot.channels.wecom_bot.letters import NAME as BOT
from bot.ingest import Ingest
from config.side_channels import GroupRobotSettings, OneBotSettings
from models.chat import Chat, ChatKind
from models.database import Database
from models.message import Button, Card, Outgoing, Purpose
from models.ticket import Status
from models.webchat import WebMessage
from tests.models.letters import open_ticket
from tests.onebot.fake import FakeQQ
from tests.platform.harness import TestPlatform
from tests.platform.test_archive_notice import ZONE, Here
from tests.platform.wecom_app import serving, staff_here
from tests.platform.wecom_bot import connected, handled, hooked, put

SAID = "LS00042 柳岸花园6幢：3单元502室王阿姨，138 1234 5678。身份证31010519491231002X。3-2-501也漏水"
PRIVATE = ("502", "1234 5678", "12345678", "19491231", "501")
PUBLIC = ("LS00042", "柳岸花园6幢", "3单元")
CARD = Card(
    title="LS00042 3-2-501", facts=(("电话", "138 1234 5678"), ("地点", "柳岸花园6幢3单元502室")), words=SAID,
    buttons=(Button(text="接单", action="accept:1"),),
)  # fmt: skip
Group = Callable[[TestPlatform, Database, Outgoing], Awaitable[list[str]]]


def said(channel: str, chat: str, out: Outgoing) -> Outgoing:
    return out.model_copy(update={"channel": channel, "chat": chat})


def on_screen(p: TestPlatform, chat: str) -> list[str]:
    """Whatever a member reads: words, and every field of a card."""
    return [bubble.text + json.dumps(bubble.card or {}, ensure_ascii=False) for bubble in p.seen(chat)]


async def by_long_connection(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    async with connected(p, db) as bot:
        group = p.group("g", "a")
        p.bot.known.add(group)
        await bot.send(said(BOT, group, out), "k1")
    return on_screen(p, group)


async def by_response_url(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    async with hooked(p, db) as bot:
        bot._replying._polled = 0.0
        group = p.group("g", "a")
        await p.say(group, "a", "@邻声 在吗")
        handled(db, p)
        await bot.send(put(db, p, group, out.text, card=out.card, ticket=out.ticket), "k1")
    return on_screen(p, group)


async def by_poll(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    async with hooked(p, db):
        group = p.group("g", "a")
        await p.say(group, "a", "@邻声 在吗")
        handled(db, p)
        put(db, p, group, out.text)  # a card is never shown by a poll
        await p.bot.poll()
    return on_screen(p, group)


async def by_robot(p: TestPlatform, db: Database, out: Outgoing, style: str = "markdown") -> list[str]:
    told = {"keys": {"duty": p.robot.key}, "api_base": p.base, "style": style}
    robot = GroupRobot(GroupRobotSettings.model_validate(told), db, p.clock, zone=ZONE)
    await robot.start()
    await robot.send(said(ROBOT, "duty", out), "k1")
    await robot.stop()
    return on_screen(p, p.robot.chat)


async def by_robot_as_text(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    return await by_robot(p, db, out, "text")


async def by_room(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    staff_here(db)
    async with serving(p, db, rooms=True) as app:
        number = app.ticket(urgent=True)
        await app.send(f"room:{number}", out.text, card=out.card, ticket=number)
    (room,) = [group for group in p.world.groups.values() if group.channel == wecom_app.NAME]
    return on_screen(p, room.id)


async def by_onebot(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    settings = OneBotSettings.model_validate({"token": "a-token-of-32-characters-at-least"})
    channel = onebot.OneBot(settings, Ingest(db, clock=p.clock), db, p.clock)
    await channel.start()
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server:
        token = settings.token.get_secret_value() if settings.token else ""
        async with FakeQQ(str(server.make_url(onebot.PATH)), token) as qq:
            await channel.send(said(onebot.NAME, "g-777", out), "k1")
            shown = [one.text for one in qq.shown]
    await channel.stop()
    return shown


async def by_notice(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    here = Here(db, p)
    await here.channel.start()
    await here.say(out.text, card=out.card)
    await here.evening()
    await here.channel.stop()
    return [task["text"]["content"] for task in here.tasks]


async def by_leader(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    """What she is asked to say there."""
    here = Here(db, p)
    await here.channel.start()
    await here.say(out.text, card=out.card, purpose=Purpose.ALERT)
    await here.channel.stop()
    return here.passed_on()


async def by_web(p: TestPlatform, db: Database, out: Outgoing) -> list[str]:
    def group(session: Session) -> str:
        groups = sa.select(col(Chat.code)).where(col(Chat.channel) == WEB, col(Chat.kind) == ChatKind.GROUP)
        return str(session.scalars(groups).first())

    channel = WebChannel(db, Path("nothing-is-kept-here"), clock=p.clock)
    await channel.send(said(WEB, db.tx(group), out), "k1")
    return list(db.tx(lambda session: session.scalars(sa.select(col(WebMessage.body))).all()))


GROUPS: tuple[Group, ...] = (
    by_long_connection, by_response_url, by_poll, by_robot, by_robot_as_text, by_room, by_onebot, by_notice, by_leader,
    by_web,
)  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("card", [None, CARD], ids=["words", "card"])
async def test_a_group_hears_nothing_private(
    p: TestPlatform, town_db: Database, group: Group, card: Card | None
) -> None:
    shown = await group(p, town_db, Outgoing(channel="x", chat="x", text=SAID, card=card, ticket=1))
    whole = "\n".join(shown)
    assert [public for public in PUBLIC if public not in whole] == []
    assert [private for private in PRIVATE if private in whole] == []


async def test_the_new_face_of_a_card_tells_no_more(
    p: TestPlatform, town_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressed, "SECONDS", 0.1)
    number = town_db.tx(lambda session: open_ticket(session, p.clock(), status=Status.RESOLVED).id)
    card = CARD.model_copy(update={"buttons": (Button(text="接单", action=f"accept:{number}"),)})
    async with hooked(p, town_db) as bot:
        bot._replying._polled = 0.0
        group = p.group("g", "a")
        await p.say(group, "a", "@邻声 在吗")
        handled(town_db, p)
        await bot.send(put(town_db, p, group, SAID, card=card, ticket=number), "k1")
        (bubble,) = [one for one in p.seen(group) if one.card]
        await p.click(bubble, "a", f"accept:{number}")
    shown = bubble.card_for("a")
    assert shown is not None
    assert [button["key"] for button in shown["button_list"]] == [NOOP]
    assert [private for private in PRIVATE if private in json.dumps(shown, ensure_ascii=False)] == []
