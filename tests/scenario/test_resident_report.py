"""Whole matters that residents told the product's own robot (居民上报): pulled, dealt with here or there, and rated."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image
from sqlmodel import Session, col

from bot.channels import wechat_mp, wecom_app
from bot.channels.coordinates import gcj02_from_wgs84
from bot.channels.resident_report import NAME, ResidentReport
from bot.fetching import Fetcher
from bot.ingest import Ingest
from bot.platform.reports import ASSIGNED, IN_HAND, PASSED_ON, REFUSED, SOLVED
from config.resident_report import ResidentReportSettings
from handlers.workdays import WorkCalendar
from models.chat import Question
from models.database import Database
from models.inbox import Inbox
from models.mark import TOWN, bump
from models.outbox import Outbox
from models.person import Identity
from models.ticket import Attachment, Status, TicketMessage
from nlu.types import Engine
from tests.platform.harness import StoppedClock, TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.deployed import accepted, deployed, done, of_the_account, refused, the_card, writes_by
from tests.scenario.elsewhere import sent, work
from tests.scenario.matters import events, photos, place, status, told
from tests.scenario.test_my_data import sweep, traces
from tests.scenario.wecom_app import face, staff_to_the_app, tickets

RESIDENT, WORKER = "春芽", "网格员小顾"
UNION, USER = "oUnion-05", "GuYi"
GRID = "QX-01-01-01"  # 柳岸花园南区


def photo(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(made, "JPEG")
    return made.getvalue()


@dataclass
class Story:
    """The scene, the product with its orders, and the channel that reads them."""

    chat: Scene
    p: TestPlatform
    channel: ResidentReport
    fetcher: Fetcher

    async def look(self, *, pause: str = "2 minutes") -> None:
        """Time passes, the channel looks, what came is handled, and its files are fetched."""
        self.chat.wait(pause)
        self.p.clock.set(self.chat.clock())
        assert await self.channel.look() is not None
        await work(self.chat, self.channel)
        await self.fetcher.step()

    def order(self, desc: str, **fields: object) -> str:
        self.p.clock.set(self.chat.clock())
        return self.p.report.order(desc, **fields)

    def step(self, order: str, kind: int, by: str = "", desc: str = "") -> None:
        self.p.clock.set(self.chat.clock())
        self.p.report.step(order, kind, by, desc)

    def picture(self, colour: str) -> str:
        return self.p.media.plain("image", "1.jpg", photo(colour))

    def told(self, name: str) -> list[str]:
        return self.chat.told(name)


def of_the_reports(p: TestPlatform) -> dict[str, Any]:
    """Settings of the channel."""
    return {"corp_id": p.app.corp_id, "secret": p.report.secret, "api_base": p.base, "media_hosts": (p.base,)}


@pytest.fixture
async def story(chat: Scene, tmp_path: Path) -> AsyncIterator[Story]:
    chat.at("2026-03-02 08:30")
    people = {person.name: person.code for person in chat.town.people.values()}

    def known(session: Session) -> None:
        session.add(Identity(person=people[RESIDENT], channel=NAME, user=UNION))
        for name, user in {WORKER: USER, "柳岸社区余书记": "YuShuji", "网格员大山": "ShanDa"}.items():
            session.add(Identity(person=people[name], channel="wecom_app", user=user))
        bump(session, TOWN)

    chat.db.tx(known)
    async with platform(clock=StoppedClock(chat.clock())) as p:
        ingest = Ingest(chat.db, clock=chat.clock)
        channel = ResidentReport(ResidentReportSettings.model_validate(of_the_reports(p)), ingest, chat.db, chat.clock)
        await channel._api.start()  # without the loop: the test says when it looks
        calendar = WorkCalendar.configured(ZONE)
        yield Story(chat, p, channel, Fetcher(chat.db, {NAME: channel}, tmp_path, calendar, clock=chat.clock))
        await channel.stop()


async def test_a_whole_matter(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """The resident is linked to the Official Account: there she is asked, told and heard. Her other channel is off."""
    staff_to_the_app(town_db)
    writes_by(town_db, "U05", web="u05", resident_report=UNION, wechat_mp="o-chunya")
    async with platform() as p:
        channels = {NAME: of_the_reports(p) | {"poll_seconds": 0.05}, wechat_mp.NAME: of_the_account(p)}
        async with deployed(p, db_url, tmp_path, engine, **channels):
            await the_matter(p, town_db, tmp_path)
        assert p.complaints == []
        assert {call.code for call in p.calls} == {0}


async def the_matter(p: TestPlatform, db: Database, home: Path) -> None:
    resident = "o-chunya"
    await p.mp.say(resident, "你好")  # who never writes cannot be written to
    picture = p.media.plain("image", "1.jpg", photo("navy"))
    order = p.report.order("楼道灯不亮了，黑漆漆的", grid_id=GRID, unionid=UNION, image_urls=[picture])
    p.clock.forward(minutes=1)  # the next look
    await p.until(lambda: "请问具体在哪里" in told(p, resident))
    await p.until(lambda: photos(db))
    assert (home / "media" / photos(db)[0]).is_file()
    p.clock.forward(minutes=1)
    await p.mp.say(resident, "3幢")
    await p.until(lambda: "LS00001 的地点已记为 柳岸花园3幢" in told(p, resident))
    assert place(db) == "P-LA-B03"

    card = await the_card(p)
    await refused(p, db, card)
    await accepted(p, db, card)
    await p.until(lambda: "LS00001 网格员已接单" in told(p, resident))
    await done(p, db, card)
    await p.until(lambda: "请评价" in told(p, resident))

    # The product is told of it by its own people, and nothing of that comes back as something new.
    p.report.step(order, SOLVED, USER, "已更换")
    p.clock.forward(minutes=1)
    await p.until(lambda: events(db)[-1] == "note")
    await p.mp.say(resident, "满意")
    await p.until(lambda: "LS00001 已结案" in told(p, resident))
    assert (status(db), len(tickets(db)), events(db).count("accepted")) == (Status.CLOSED, 1, 1)
    assert told(p, resident).count("已接单") == 1


async def test_she_answers_where_the_question_reached_her(
    town_db: Database, db_url: str, tmp_path: Path, engine: Engine
) -> None:
    """The Official Account may not write to her: the question goes to the app, and its answer counts there."""
    staff_to_the_app(town_db)
    writes_by(town_db, "U05", resident_report=UNION, wechat_mp="o-chunya", wecom_app="chunya")
    async with platform() as p:
        channels = {NAME: of_the_reports(p) | {"poll_seconds": 0.05}, wechat_mp.NAME: of_the_account(p)}
        async with deployed(p, db_url, tmp_path, engine, **channels):
            await p.mp.follow("o-chunya")
            p.clock.forward(hours=1)  # what may be sent after that is over
            p.report.order("楼道灯不亮了，黑漆漆的", grid_id=GRID, unionid=UNION)
            p.clock.forward(minutes=1)
            await p.until(lambda: "请问具体在哪里" in told(p, "chunya"))
            p.clock.forward(minutes=1)
            await p.app.say("chunya", "3幢")
            await p.until(lambda: "LS00001 的地点已记为 柳岸花园3幢" in told(p, "chunya"))
            assert (place(town_db), len(tickets(town_db))) == ("P-LA-B03", 1)
    open_ones = sa.select(Question).where(col(Question.answered_at).is_(None))
    assert town_db.tx(lambda session: session.scalars(open_ones).all()) == []


async def test_who_is_nowhere_else_is_not_asked(town_db: Database, db_url: str, tmp_path: Path, engine: Engine) -> None:
    """The product alone can speak to her: the worker goes with the order's grid, her words and her picture."""
    staff_to_the_app(town_db)
    async with platform() as p:
        channels = {NAME: of_the_reports(p) | {"poll_seconds": 0.05}}
        async with deployed(p, db_url, tmp_path, engine, **channels):
            p.report.order("楼道灯不亮了，黑漆漆的", grid_id=GRID, unionid="oUnion-of-nobody")
            card = await the_card(p)
            assert {"keyname": "网格", "value": "柳岸花园南区"} in face(card)["horizontal_content_list"]
            await accepted(p, town_db, card)
            await done(p, town_db, card)
            leaving = sa.select(sa.func.count()).where(col(Outbox.channel) == NAME, col(Outbox.finished_at).is_(None))
            await p.until(lambda: town_db.tx(lambda session: session.scalar(leaving)) == 0)
            assert (place(town_db), status(town_db)) == (None, Status.RESOLVED)
            assert {bubble.channel for bubble in p.world.bubbles} == {wecom_app.NAME}


async def test_a_pin_and_a_picture(story: Story) -> None:
    chat = story.chat
    lon, lat = chat.town.places["P-LA-B03"].lon, chat.town.places["P-LA-B03"].lat
    assert lon is not None
    assert lat is not None
    there = dict(zip(("longitude", "latitude"), gcj02_from_wgs84(lon, lat), strict=True))
    order = story.order(
        "楼道灯不亮了，黑漆漆的", grid_id=GRID, reporter_name="陈春芽", reporter_mobile="13800001111", unionid=UNION,
        image_urls=[story.picture("navy")], location=there | {"name": "柳岸花园", "address": ""},
    )  # fmt: skip
    await story.look()
    ticket = chat.ticket()
    assert (ticket.status, ticket.row.channel, ticket.row.chat, ticket.row.grid) == ("assigned", NAME, order, GRID)
    assert ticket.place == "柳岸花园3幢"
    pictures = chat.db.tx(lambda session: session.get(Attachment, 1))
    assert pictures is not None
    assert (pictures.kind, pictures.path[-4:]) == ("image", ".jpg")
    assert pictures.lon == pytest.approx(lon, abs=1e-5)
    assert pictures.lat == pytest.approx(lat, abs=1e-5)
    assert chat.alerts(WORKER)[0].text.startswith("【新任务】LS00001 照明")
    assert story.told(RESIDENT) == []  # she said where


async def test_dealt_with_in_the_product(story: Story) -> None:
    chat = story.chat
    order = story.order("6幢楼道灯不亮了", grid_name=chat.town.grids[GRID].name, unionid=UNION)
    await story.look()
    ticket = chat.ticket()
    story.step(order, ASSIGNED, "Admin", "请小顾去看")
    await story.look()
    assert (ticket.status, ticket.history[-1].what, ticket.history[-1].note) == (
        "assigned", "note", "居民上报分配 请小顾去看",
    )  # fmt: skip
    story.step(order, IN_HAND, USER)
    await story.look()
    assert (ticket.status, ticket.row.worker) == ("accepted", "W01")
    story.step(order, SOLVED, USER, "灯管已换")
    await story.look()
    assert (ticket.status, ticket.history[-1].note) == ("resolved", "灯管已换")
    said = story.told(RESIDENT)
    assert [("已接单" in text, "已办结" in text) for text in said] == [(True, False), (False, True)]
    await story.look()  # the same again
    assert story.told(RESIDENT) == said


async def test_refused_in_the_product(story: Story) -> None:
    order = story.order("小区门口有人发传单，很烦", grid_id=GRID)
    await story.look()
    ticket = story.chat.ticket()
    story.step(order, REFUSED, "Admin", "不属于受理范围")
    await story.look()
    assert (ticket.status, ticket.history[-1].note) == ("dismissed", "不属于受理范围")
    assert any(line.text.startswith("【已转走】LS00001") for line in story.chat.alerts(WORKER))
    assert sent(story.chat.db, "web")[-1].text == story.chat.alerts(WORKER)[-1].text  # nobody else can be told


async def test_urgent_by_the_order(story: Story) -> None:
    story.order("楼道里有根电线垂下来了", grid_id=GRID, urge_type=3)
    await story.look()
    assert story.chat.ticket().urgent


async def test_a_neighbour_told_the_group_before(story: Story) -> None:
    chat = story.chat
    chat.group("柳岸花园南区").says("小满要早睡", "3幢停水了 一滴水都没有")
    ticket = chat.ticket()
    order = story.order("3幢停水了，一滴水都没有", grid_id=GRID, unionid=UNION)
    await story.look()
    assert chat.ticket() is ticket
    assert len(ticket.reporters) == 2
    # It joined that matter: what the product says of its order is a note there, and ends nothing.
    story.step(order, SOLVED, USER, "已答复")
    await story.look()
    assert (ticket.status, ticket.history[-1].what) == ("assigned", "note")
    assert "请评价" not in "".join(story.told(RESIDENT))


async def test_handed_on_in_the_product(story: Story) -> None:
    chat = story.chat
    order = story.order("6幢楼道灯不亮了", grid_id=GRID, processor_userids=["GuYi"])
    await story.look()
    ticket = chat.ticket()
    # To one who has no duty there: a line, and no more. Then to the community's secretary, who has.
    for user, worker in (("ShanDa", "W01"), ("YuShuji", "C01")):
        story.p.report.orders[order].body["processor_userids"] = [user]
        story.step(order, PASSED_ON, "GuYi", "转交")
        await story.look()
        assert (ticket.status, ticket.row.worker) == ("assigned", worker)
    assert chat.alerts("柳岸社区余书记")[-1].text.startswith("【转派】LS00001")
    assert chat.alerts(WORKER)[-1].text.startswith("【已转走】LS00001")
    # Taken by somebody whom the town does not know: accepted, and still hers who can be reminded.
    story.step(order, IN_HAND, "Nobody")
    await story.look()
    assert (ticket.status, ticket.row.worker) == ("accepted", "C01")


async def test_an_order_that_the_inbox_has_forgotten_is_no_new_matter(story: Story) -> None:
    chat = story.chat
    order = story.order("6幢楼道灯不亮了", grid_id=GRID, unionid=UNION)
    await story.look()
    chat.wait("1 minutes")
    story.step(order, SOLVED, USER, "灯管已换")
    await story.look()
    said = story.told(RESIDENT)

    def forget(session: Session) -> None:
        session.connection().execute(sa.delete(Inbox).where(col(Inbox.channel) == NAME))

    def erase(session: Session) -> None:  # what `handlers.erasing` leaves of a message in an ended ticket
        mine = sa.update(TicketMessage).where(col(TicketMessage.channel) == NAME)
        session.connection().execute(mine.values(chat="erased-1", sender="erased-1", text=""))

    for gone in (forget, erase):
        chat.db.tx(forget)
        chat.db.tx(gone)
        await story.look(pause="1 minutes")
        assert (len(chat.tickets()), chat.ticket().status) == (1, "resolved")
        assert story.told(RESIDENT) == said
        assert not chat.db.tx(lambda session: session.scalars(sa.select(Inbox).where(col(Inbox.channel) == NAME)).all())


async def test_what_she_had_deleted_does_not_come_back_with_a_step(story: Story) -> None:
    """Neither her words nor her picture, however often the product tells the order again."""
    chat = story.chat
    order = story.order("6幢楼道灯不亮了", grid_id=GRID, unionid=UNION, image_urls=[story.picture("navy")])
    await story.look()
    story.step(order, SOLVED, USER, "灯管已换")
    await story.look()
    chat.wait("30 days")  # and nobody rates it
    phone = chat.direct(RESIDENT)
    phone.writes("删除我的信息")
    phone.writes("确认删除")
    sweep(chat, story.fetcher._folder)
    assert traces(chat.db, UNION, "6幢楼道灯不亮了") == []
    files = sorted(story.fetcher._folder.rglob("*.*"))
    story.step(order, IN_HAND, USER, "回访")
    await story.look(pause="26 hours")
    assert traces(chat.db, UNION, "6幢楼道灯不亮了") == []
    assert sorted(story.fetcher._folder.rglob("*.*")) == files
    assert len(chat.tickets()) == 1


async def test_two_matters_of_one_order(story: Story) -> None:
    """Each has its ticket, its kind and its place; what the product does about the order is done about both."""
    chat = story.chat
    order = story.order("6幢楼道灯不亮了。另外3幢电梯里困了人，赶紧来", grid_id=GRID, unionid=UNION)
    await story.look()
    light, lift = chat.tickets()
    assert (light.category, light.row.place) == ("facility.lighting", "P-LA-B06")
    assert (lift.category, lift.row.place, lift.urgent) == ("facility.elevator", "P-LA-B03", True)
    assert "电梯里困了人" in lift.row.summary
    assert any(line.text.startswith("【紧急】LS00002 电梯 柳岸花园3幢") for line in chat.alerts(WORKER))
    story.step(order, SOLVED, USER, "都处理好了")
    await story.look()
    assert [ticket.status for ticket in (light, lift)] == ["resolved", "resolved"]


async def test_two_matters_of_one_order_are_asked_for_once(story: Story) -> None:
    chat = story.chat
    story.order("电梯坏了 还有楼道灯也不亮", grid_id=GRID, unionid=UNION)
    await story.look()
    asked = story.told(RESIDENT)
    assert [("请问具体在哪里" in text, "您说的地点会一并记上" in text) for text in asked] == [
        (True, False), (False, True),
    ]  # fmt: skip
    chat.direct(RESIDENT).writes("3幢")
    assert [ticket.place for ticket in chat.tickets()] == ["柳岸花园3幢", "柳岸花园3幢"]


async def test_what_a_worker_says_when_a_step_ends(story: Story) -> None:
    """办理中, seen while it goes on, and once more with who it was, her words and her picture."""
    chat = story.chat
    order = story.order("6幢楼道灯不亮了", grid_id=GRID)
    await story.look()
    ticket = chat.ticket()
    story.step(order, IN_HAND)
    step = story.p.report.orders[order].steps[-1]
    step["status"] = 0
    await story.look()
    assert ticket.status == "accepted"
    step |= {"status": 1, "solve_userid": "YuShuji", "process_desc": "已到现场，灯管要换"}
    step["image_urls"] = [story.picture("green")]
    story.p.report.orders[order].modified = chat.clock()
    await story.look()
    assert (ticket.history[-1].actor, ticket.history[-1].note) == ("C01", "居民上报办理中 已到现场，灯管要换")
    assert (ticket.row.worker, len(photos(chat.db))) == ("C01", 1)


async def test_urgent_by_an_order_that_joins(story: Story) -> None:
    chat = story.chat
    chat.group("柳岸花园南区").says("小满要早睡", "3幢停水了 一滴水都没有")
    assert not chat.ticket().urgent
    story.order("3幢停水了，一滴水都没有", grid_id=GRID, unionid=UNION, urge_type=3)
    await story.look()
    assert chat.ticket().urgent
    assert chat.alerts(WORKER)[-1].text.startswith("【紧急】LS00001")


async def test_an_order_of_a_picture_alone(story: Story) -> None:
    story.channel._settings.kinds["其他"] = "sanitation.clutter"
    story.order("", grid_id=GRID, image_urls=[story.picture("navy")])
    await story.look()
    assert (story.chat.ticket().category, len(photos(story.chat.db))) == ("sanitation.clutter", 1)


async def test_a_video_is_one_more_message_of_the_order(story: Story) -> None:
    video = story.p.media.keep("video", "1.mp4", b"\0\0\0\x18ftypmp42" + bytes(64))
    story.order("6幢楼道灯不亮了", grid_id=GRID, video_media_ids=[video])
    await story.look()
    (kept,) = story.chat.db.tx(lambda session: session.scalars(sa.select(Attachment)).all())
    assert (kept.kind, kept.path[-4:]) == ("video", ".mp4")
    assert len(story.chat.tickets()) == 1
