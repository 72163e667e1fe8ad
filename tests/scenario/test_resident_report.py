"""Whole matters that residents told the product's own robot (居民上报): pulled, dealt with here or there, and rated."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image
from sqlmodel import Session, col

from bot.channels.coordinates import gcj02_from_wgs84
from bot.channels.resident_report import NAME, ResidentReport
from bot.fetching import Fetcher
from bot.ingest import Ingest
from bot.platform.reports import ASSIGNED, IN_HAND, PASSED_ON, REFUSED, SOLVED
from config.resident_report import ResidentReportSettings
from handlers.workdays import WorkCalendar
from models.inbox import Inbox
from models.mark import TOWN, bump
from models.person import Identity
from models.ticket import Attachment, TicketMessage
from tests.platform.harness import StoppedClock, TestPlatform, platform
from tests.scenario.chat import ZONE, Scene
from tests.scenario.elsewhere import sent, work

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


def settings(p: TestPlatform, **more: object) -> ResidentReportSettings:
    told = {"corp_id": p.app.corp_id, "secret": p.report.secret, "api_base": p.base, "media_hosts": (p.base,)}
    return ResidentReportSettings.model_validate(told | more)


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
        channel = ResidentReport(settings(p), ingest, chat.db, chat.clock)
        await channel._api.start()  # without the loop: the test says when it looks
        calendar = WorkCalendar.configured(ZONE)
        yield Story(chat, p, channel, Fetcher(chat.db, {NAME: channel}, tmp_path, calendar, clock=chat.clock))
        await channel.stop()


async def test_a_whole_matter(story: Story) -> None:
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

    # The worker's card, another's click, hers; and what the resident is told goes where she can be told.
    assert chat.alerts(WORKER)[0].text.startswith("【新任务】LS00001 照明")
    pressed = chat.presses("网格员小裴", "accept", ticket)
    assert (ticket.status, chat.outcome(pressed)) == ("assigned", "refused")
    chat.presses(WORKER, "accept")
    chat.wait("30 minutes").presses(WORKER, "done")
    await work(chat, story.channel)
    assert ticket.status == "resolved"
    assert [text for text in story.told(RESIDENT) if "请评价" in text] != []
    chat.direct(RESIDENT).writes("满意")
    assert (ticket.status, ticket.row.rating) == ("closed", 5)

    # The product is told of it by its own people, and nothing of that comes back as something new.
    story.step(order, SOLVED, USER, "已更换")
    await story.look()
    assert (len(chat.tickets()), ticket.status) == (1, "closed")
    assert ticket.history[-1].what == "note"
    assert "办结 已更换" in ticket.history[-1].note


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
    for _ in range(2):  # the same again, and again
        await story.look()
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
    rows = sa.select(col(Inbox.outcome)).where(col(Inbox.channel) == NAME).order_by(col(Inbox.id))
    assert chat.db.tx(lambda session: session.scalars(rows).all()) == ["known"] * 3


async def test_a_video_is_one_more_message_of_the_order(story: Story) -> None:
    video = story.p.media.keep("video", "1.mp4", b"\0\0\0\x18ftypmp42" + bytes(64))
    story.order("6幢楼道灯不亮了", grid_id=GRID, video_media_ids=[video])
    await story.look()
    (kept,) = story.chat.db.tx(lambda session: session.scalars(sa.select(Attachment)).all())
    assert (kept.kind, kept.path[-4:]) == ("video", ".mp4")
    assert len(story.chat.tickets()) == 1
