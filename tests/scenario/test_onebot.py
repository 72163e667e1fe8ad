"""A whole matter in a QQ group: over a real WebSocket, through the real door, worker and sender."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from sqlmodel import col

from bot.channels.onebot import NAME, PATH, OneBot
from bot.fetching import Fetcher, that_fetch
from bot.ingest import Ingest
from config.side_channels import OneBotSettings
from handlers.workdays import WorkCalendar
from models.chat import Chat, ChatKind
from models.database import Database
from models.ticket import Attachment, Status
from nlu.types import Engine
from tests.onebot.fake import FakeQQ, Segment, Shown, at, image, reply, so
from tests.platform.harness import TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.deployed import accepted, deployed, done, refused, the_card, writes_by
from tests.scenario.elsewhere import heard, move, work
from tests.scenario.matters import events, photo, photos, place, status
from tests.scenario.wecom import last
from tests.scenario.wecom_app import staff_to_the_app

TOKEN, GROUP, ROOM = "a-token-of-32-characters-at-least", 777, "g-777"
NEIGHBOUR, LEADER, WORKER, OTHER_WORKER, STRANGER = 20001, 20009, 30001, 30002, 40001
PEOPLE = {"春芽": NEIGHBOUR, "秀英姐": LEADER, "网格员小顾": WORKER, "网格员小裴": OTHER_WORKER}


@dataclass
class Story:
    """The scene, the account's channel, and QQ."""

    chat: Scene
    channel: OneBot
    qq: FakeQQ

    async def say(self, group: int | None, user: int, *message: Segment | str) -> int:
        """Somebody writes, it is handled, and the answers have arrived."""
        number = await self.qq.say(group, user, *message)
        await heard(self.chat.db, NAME, ROOM if group else str(user), number)
        await work(self.chat, self.channel)
        self.chat.clock.forward(seconds=20)
        return number

    def group(self) -> list[Shown]:
        """What the bot said in the group."""
        return self.qq.seen(ROOM)

    def told(self, user: int) -> list[str]:
        """What the bot told somebody."""
        return [one.text for one in self.qq.seen(user)]


@pytest.fixture
async def story(chat: Scene) -> AsyncIterator[Story]:
    chat.at("2026-03-02 08:30")
    move(chat, NAME, people={name: str(user) for name, user in PEOPLE.items()}, groups={"柳岸花园南区": ROOM})
    settings = OneBotSettings.model_validate({"token": TOKEN, "rate": 20})
    channel = OneBot(settings, Ingest(chat.db, clock=chat.clock), chat.db, chat.clock)
    await channel.start()
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server:
        clock = chat.clock
        async with FakeQQ(str(server.make_url(PATH)), TOKEN, clock=lambda: clock().timestamp()) as qq:
            await so(lambda: channel.ready)
            yield Story(chat, channel, qq)
    await channel.stop()


async def test_a_whole_matter(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """Ordinary talk in the group, the bot not mentioned; the worker has the app."""
    staff_to_the_app(town_db)
    writes_by(town_db, "U05", onebot=str(NEIGHBOUR))
    group = Chat(channel=NAME, code=ROOM, kind=ChatKind.GROUP, grid="QX-01-01-01", name="柳岸花园南区邻里群")
    town_db.tx(lambda session: session.add(group))
    async with platform() as p:
        settings = {"token": p.qq.token, "media_hosts": (p.base,), "rate": 20}
        async with deployed(p, db_url, tmp_path, engine, onebot=settings):
            await the_matter(p, town_db, tmp_path)
        assert p.complaints == []


async def the_matter(p: TestPlatform, db: Database, home: Path) -> None:
    async def says(words: str) -> None:
        p.clock.forward(seconds=20)
        await p.qq.say(ROOM, str(NEIGHBOUR), words)

    await says("早上好呀各位")
    await p.qq.photo(ROOM, str(NEIGHBOUR), photo())
    await says("楼道灯不亮了 黑漆漆的")
    await p.until(lambda: "请问具体在哪里" in last(p, ROOM))
    assert [bubble.quote for bubble in p.seen(ROOM)] == ["楼道灯不亮了 黑漆漆的"]
    await says("6幢")
    await p.until(lambda: place(db) == "P-LA-B06")
    await p.until(lambda: photos(db))
    assert (home / "media" / photos(db)[0]).is_file()

    card = await the_card(p)
    await refused(p, db, card)
    await accepted(p, db, card)
    await p.until(lambda: last(p, ROOM) == "LS00001 网格员已接单，正在处理。")
    await done(p, db, card)
    await p.until(lambda: "请评价" in last(p, ROOM))
    await says("满意")
    await p.until(lambda: last(p, ROOM) == "谢谢您的评价，LS00001 已结案。")
    assert (status(db), events(db).count("accepted")) == (Status.CLOSED, 1)


async def test_a_worker_on_qq_too(story: Story) -> None:
    chat = story.chat
    # Ordinary talk, the bot not mentioned: a picture, then the words. The street light has no place yet: one question.
    await story.say(GROUP, NEIGHBOUR, "早上好呀各位")
    assert story.group() == []
    await story.say(GROUP, NEIGHBOUR, image("IMG_1.jpg"))
    said = await story.say(GROUP, NEIGHBOUR, "楼道灯不亮了 黑漆漆的")
    ticket = chat.ticket()
    assert (ticket.status, ticket.photos) == ("assigned", ["IMG_1.jpg"])
    (asked,) = story.group()
    assert asked.quotes == said
    assert "哪" in asked.text

    await story.say(GROUP, NEIGHBOUR, "6幢")
    assert ticket.place == "柳岸花园6幢"

    # The alert: a card, here as lines with the words to type.
    alert = story.told(WORKER)[0]
    assert alert.startswith("【新任务】LS00001 照明")
    assert "回复“接单 1”、“转派 1”、“办结 1”" in alert

    # Another worker and a stranger get nowhere; the worker's word counts.
    for user in (OTHER_WORKER, STRANGER):
        await story.say(None, user, "接单 LS00001")
        assert ticket.status == "assigned"
    assert story.told(OTHER_WORKER)[-1] == "这张单不在您的职责范围内，没有改动。"
    await story.say(None, WORKER, "接单 1")
    assert (ticket.status, ticket.worker) == ("accepted", "网格员小顾")
    assert story.group()[-1].text == "LS00001 网格员已接单，正在处理。"
    chat.clock.forward(minutes=30)
    await story.say(None, WORKER, "修好了", image("done.jpg"))
    assert (ticket.status, ticket.photos) == ("resolved", ["IMG_1.jpg", "done.jpg"])
    assert "请评价" in story.group()[-1].text
    chat.clock.forward(hours=1)
    await story.say(GROUP, NEIGHBOUR, "满意")
    assert (ticket.status, ticket.row.rating) == ("closed", 5)
    assert story.group()[-1].text == "谢谢您的评价，LS00001 已结案。"


async def test_a_picture_ends_on_our_disk_and_on_the_ticket(story: Story, tmp_path: Path) -> None:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "JPEG")

    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=made.getvalue(), content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/lamp.jpg", picture)
    chat = story.chat
    async with TestServer(app) as store:
        base = str(store.make_url("/"))
        story.channel._settings = story.channel._settings.model_copy(update={"media_hosts": (base.rstrip("/"),)})
        fetcher = Fetcher(
            chat.db, that_fetch([story.channel]), tmp_path, WorkCalendar.configured(ZONE), clock=chat.clock
        )
        await story.say(GROUP, NEIGHBOUR, "6幢楼道灯不亮了", image("lamp.jpg", "http://10.0.0.1/"))
        await fetcher.step()
        assert files(tmp_path) == [], "whatever an implementation calls a picture is not fetched from anywhere"
        number = await story.say(GROUP, NEIGHBOUR, image("lamp.jpg", base))
        await fetcher.step()
    mine = sa.select(col(Attachment.path)).where(col(Attachment.message) == str(number))
    paths = chat.db.tx(lambda session: session.scalars(mine).all())
    assert paths == files(tmp_path)
    assert len(paths) == 1


def files(folder: Path) -> list[str]:
    """The pictures in a folder."""
    return [path.name for path in folder.glob("*.jpg")]


async def test_the_alert_is_answered_by_quoting_it(story: Story) -> None:
    await story.say(GROUP, NEIGHBOUR, "6幢楼道灯不亮了")
    await story.say(GROUP, NEIGHBOUR, "垃圾亭满出来了 三天没人来收")
    first, second = story.chat.tickets()
    (alert, *_) = story.qq.seen(WORKER)
    await story.say(None, WORKER, reply(alert.id), "接单")
    assert (first.status, second.status) == ("accepted", "assigned")


async def test_a_leader_points_the_bot_to_what_it_missed(story: Story) -> None:
    said = await story.say(GROUP, NEIGHBOUR, "昨晚回来那个门 手一碰它自己就开了")
    assert story.chat.tickets() == [], "choose other words: the bot was meant to miss this"
    await story.say(GROUP, LEADER, reply(said), at(story.qq.account), " 这个麻烦处理一下")
    assert len(story.chat.tickets()) == 1


async def test_what_is_taken_back_is_forgotten(story: Story) -> None:
    said = await story.say(GROUP, NEIGHBOUR, "6幢楼道灯不亮了")
    await story.qq.recall(GROUP, NEIGHBOUR, said)
    await heard(story.chat.db, NAME, ROOM, f"recall-{said}")
    await work(story.chat, story.channel)
    assert story.chat.ticket().status == "withdrawn"


async def test_while_nobody_is_connected_the_answers_wait(story: Story) -> None:
    number = await story.qq.say(GROUP, NEIGHBOUR, "6幢楼道灯不亮了")
    await heard(story.chat.db, NAME, ROOM, number)
    await story.qq.drop()
    await so(lambda: not story.channel.ready)
    await work(story.chat, story.channel)
    story.chat.wait("2 hours")
    await work(story.chat, story.channel)
    assert story.qq.shown == []
    await story.qq.dial()
    await so(lambda: story.channel.ready)
    await work(story.chat, story.channel)
    assert story.group()[0].text.startswith("收到，已登记 LS00001")
    assert story.told(WORKER)[0].startswith("【新任务】")
    assert len({one.text for one in story.qq.shown}) == len(story.qq.shown)
