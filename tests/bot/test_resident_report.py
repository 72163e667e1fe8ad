"""居民上报: a cursor that loses nothing and keeps nothing twice, whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col
from structlog.testing import capture_logs

from bot.channels import media
from bot.channels.api import ApiClient
from bot.channels.base import SendFailed
from bot.channels.credentials import gettoken
from bot.channels.resident_report import NAME, ResidentReport
from bot.fetching import that_fetch
from bot.ingest import Busy, Ingest
from bot.platform.reports import IN_HAND, SOLVED
from config.resident_report import ResidentReportSettings
from config.settings import Settings
from models import inbox
from models.database import Database
from models.grid import Grid
from models.inbox import Inbox
from models.mark import TOWN, Mark, bump
from models.message import Incoming, Media, Outgoing, Purpose
from models.outbox import Outbox
from models.person import Identity, Link
from models.ticket import Status, Supporter, Ticket
from models.whois import enrol, link
from tests.conftest import HandClock
from tests.onebot.fake import so
from tests.platform.harness import TestPlatform, platform

AT = 1_772_409_600  # 2026-03-02 08:00, in the demo town

# --- the cursor ----------------------------------------------------------------------------------------------------


class Deployment:
    """Orders at the platform, and processes that read them."""

    def __init__(self, p: TestPlatform, db: Database) -> None:
        self.p = p
        self.db = db
        self.open: list[ResidentReport] = []
        told = {"corp_id": p.app.corp_id, "secret": p.report.secret, "api_base": p.base}
        self.settings = ResidentReportSettings.model_validate(told)

    async def process(self, *, waiting: int = 5_000, started: bool = True) -> ResidentReport:
        """One more process; its loop does not run: the test says when it looks."""
        assert self.settings.corp_id
        credential = gettoken(self.settings.corp_id, self.p.report.secret)
        api = ApiClient(self.p.base, credential, db=self.db, clock=self.p.clock, backoff=())
        ingest = Ingest(self.db, clock=self.p.clock, waiting=waiting)
        channel = ResidentReport(self.settings, ingest, self.db, self.p.clock, api=api)
        if started:
            await api.start()
        self.open.append(channel)
        return channel

    def kept(self) -> list[Incoming]:
        """What is in the inbox, oldest first."""

        def rows(session: Session) -> list[Incoming]:
            found = session.scalars(sa.select(Inbox).order_by(col(Inbox.id)))
            return [inbox.read(row) for row in found]

        return self.db.tx(rows)

    def lists(self) -> int:
        """How many pages were asked for."""
        return sum("get_order_list" in call.path for call in self.p.calls)

    def cursor(self) -> int:
        return self.db.tx(lambda session: session.scalars(sa.select(col(Mark.value))).first() or 0)


@pytest.fixture
async def town(db: Database) -> AsyncIterator[Deployment]:
    async with platform() as p:
        made = Deployment(p, db)
        yield made
        for channel in made.open:
            await channel.stop()


async def test_pages_and_then_only_what_changed(town: Deployment) -> None:
    channel = await town.process()
    orders = [town.p.report.order(f"第{number}件") for number in range(120)]
    assert await channel.look() == 120
    assert town.lists() == 3
    assert {m.chat for m in town.kept()} == set(orders)
    assert await channel.look() is None  # it is not time yet
    town.p.clock.forward(minutes=19)
    assert await channel.look() == 120  # they are younger than the look before, less the overlap
    town.p.clock.forward(minutes=19)
    assert await channel.look() == 0
    town.p.clock.forward(minutes=19)
    town.p.report.step(orders[3], IN_HAND, "gu")
    assert await channel.look() == 1
    assert [m.platform["step"] for m in town.kept()[120:]] == ["taken", "accepted"]


async def test_an_order_that_shows_up_late(town: Deployment) -> None:
    """The pages do not say how soon one is in the list: once an hour the look goes back a day."""
    channel = await town.process()
    town.p.report.order("楼道灯坏了")
    assert await channel.look() == 1
    town.p.clock.forward(minutes=30)
    late = town.p.report.order("井盖破了")
    listed = town.p.report.orders.pop(late)
    for _ in range(2):
        town.p.clock.forward(minutes=10)
        await channel.look()
    town.p.report.orders[late] = listed  # modified twenty minutes ago
    assert await channel.look() is None
    town.p.clock.forward(minutes=10)
    assert await channel.look() == 2
    assert [m.text for m in town.kept() if m.platform["order"] == "new"] == ["楼道灯坏了", "井盖破了"]
    town.p.clock.forward(minutes=10)
    assert await channel.look() == 0


async def test_what_changes_just_before_a_look_is_read_again_and_kept_once(town: Deployment) -> None:
    channel = await town.process()
    town.p.report.order("楼道灯坏了")
    assert await channel.look() == 1
    town.p.clock.forward(minutes=2)
    assert await channel.look() == 1  # within the overlap
    assert len(town.kept()) == 1


async def test_several_processes_read_once(town: Deployment) -> None:
    processes = [await town.process() for _ in range(4)]
    for number in range(60):
        town.p.report.order(f"第{number}件")
    done = await asyncio.gather(*(channel.look() for channel in processes))
    assert sorted(done, key=lambda one: one is None) == [60, None, None, None]
    assert town.lists() == 2
    assert [await channel.look() for channel in processes] == [None] * 4
    assert len(town.kept()) == 60


async def test_a_look_that_breaks_off_is_begun_anew(town: Deployment) -> None:
    channel = await town.process()
    for number in range(70):
        town.p.report.order(f"第{number}件")
    town.p.faults.fail("/cgi-bin/report/resident/get_order_list", times=1, taken=True)  # the first page comes
    town.p.faults.fail("/cgi-bin/report/resident/get_order_list", status=503)
    with pytest.raises(SendFailed):
        await channel.look()
    assert (len(town.kept()), town.cursor()) == (50, 0)
    other = await town.process()  # the first one is gone
    assert await other.look() == 70
    assert len(town.kept()) == 70
    assert town.cursor() == int(town.p.clock().timestamp())


async def test_a_full_door_loses_nothing(town: Deployment) -> None:
    town.p.report.order("楼道灯坏了")
    with pytest.raises(Busy):
        await (await town.process(waiting=0)).look()
    assert town.cursor() == 0
    assert await (await town.process()).look() == 1
    assert len(town.kept()) == 1


async def test_down_for_a_minute_and_a_token_revoked(town: Deployment) -> None:
    channel = await town.process()
    assert await channel.look() == 0
    town.p.report.order("楼道灯坏了")
    town.p.clock.forward(minutes=2)
    await town.p.down()
    with pytest.raises(SendFailed) as failed:
        await channel.look()
    assert town.p.report.secret not in str(failed.value)
    town.p.up()
    town.p.tokens.revoke()
    assert await channel.look() == 1
    assert len(town.kept()) == 1


async def test_not_among_the_callable_interfaces(town: Deployment) -> None:
    town.p.faults.fail("/cgi-bin/report/resident/get_order_list", code=48002)
    channel = await town.process()
    with pytest.raises(SendFailed, match="48002"):
        await channel.look()
    assert town.cursor() == 0


async def test_the_first_look_leaves_alone_what_was_over_before(town: Deployment) -> None:
    over, old = town.p.report.order("早就修好了"), town.p.report.order("上周的")
    town.p.report.step(over, SOLVED, "gu")
    town.p.clock.forward(days=4)
    town.p.report.step(over, SOLVED, "gu", "补记")
    fresh = town.p.report.order("楼道灯坏了")
    channel = await town.process()
    assert await channel.look() == 2
    assert [m.chat for m in town.kept()] == [fresh]
    town.p.clock.forward(minutes=2)
    await channel.look()  # reads them again, and still leaves them alone
    assert [m.chat for m in town.kept()] == [fresh]
    # Once we are there, what begins and ends between two looks is a matter, too.
    quick = town.p.report.order("水管漏水，已关阀")
    town.p.report.step(quick, SOLVED, "gu")
    town.p.report.step(old, IN_HAND, "gu")
    town.p.clock.forward(minutes=2)
    await channel.look()
    assert [m.chat for m in town.kept()] == [fresh, *[old] * 3, *[quick] * 3]


async def test_one_order_that_cannot_be_read_does_not_hold_up_the_others(town: Deployment) -> None:
    town.p.report.order("秘密的话", create_time="gestern")
    good = town.p.report.order("楼道灯坏了")
    channel = await town.process()
    # The platform compares the times; ours must not care what it made of them.
    town.p.report.orders[next(iter(town.p.report.orders))].body["create_time"] = AT
    next(iter(town.p.report.orders.values())).body["location"] = "nowhere"
    with capture_logs() as logs:
        assert await channel.look() == 2
    assert [m.chat for m in town.kept()] == [good]
    assert [line["why"] for line in logs if line["event"] == "resident_report.refused"] == ["malformed"]
    assert "秘密的话" not in str(logs)


@pytest.mark.parametrize("name", ["reporter_name", "grid_name", "grid_id", "desc"])
async def test_half_an_emoji_holds_up_nobody(town: Deployment, name: str) -> None:
    first = town.p.report.order(**{"desc": "楼道灯坏了"} | {name: "灯坏了\ud83d"})
    second = town.p.report.order("水管漏水")
    channel = await town.process()
    assert await channel.look() == 2
    assert [m.chat for m in town.kept()] == [first, second]


async def test_one_order_that_the_database_refuses_does_not_hold_up_the_others(
    town: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = town.p.report.order("秘密的话"), town.p.report.order("楼道灯坏了")
    channel = await town.process()
    accept = channel._pulling._ingest.accept

    async def refusing(message: Incoming) -> None:
        if message.chat == bad:
            raise sa.exc.DataError("INSERT", {}, Exception("numeric value out of range"))
        await accept(message)

    monkeypatch.setattr(channel._pulling._ingest, "accept", refusing)
    with capture_logs() as logs:
        assert await channel.look() == 2
    assert [m.chat for m in town.kept()] == [good]
    assert [(line["why"], line["order"]) for line in logs if line["event"] == "resident_report.refused"] == [
        ("not_stored", bad)
    ]
    assert "秘密的话" not in str(logs)


async def test_the_same_page_for_ever(town: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = await town.process()

    async def page(body: dict[str, Any]) -> dict[str, Any]:
        return {"next_cursor": "again", "order_list": []}

    monkeypatch.setattr(channel._pulling, "_page", page)
    with pytest.raises(SendFailed, match="same page"):
        await channel.look()


async def test_it_looks_by_itself_and_says_how_it_is(town: Deployment) -> None:
    channel = ResidentReport(town.settings, Ingest(town.db, clock=town.p.clock), town.db, town.p.clock)
    town.p.report.order("楼道灯坏了")
    town.p.faults.fail("/cgi-bin/gettoken", code=60020)
    assert channel.state == "waiting"
    await channel.start()
    await so(lambda: channel.state == "failing")
    await channel.stop()
    town.p.clock.forward(minutes=2)
    await channel.start()
    await so(lambda: channel.state == "up")
    await channel.stop()
    assert len(town.kept()) == 1


async def test_the_doctor_asks_for_the_grids(town: Deployment) -> None:
    def write(session: Session) -> None:
        session.add(Grid(code="QX", parent=None, level=1, name="清溪街道", kind="街道"))
        bump(session, TOWN)

    town.db.tx(write)
    town.p.report.grids = [{"grid_id": "QX", "grid_name": "x"}, {"grid_id": "7", "grid_name": "清溪街道"}]
    one = await town.process(started=False)
    assert [(proof.check, proof.state) for proof in await one.prove("")] == [("credentials", "ok"), ("grids", "ok")]
    town.p.report.grids.append({"grid_id": "8", "grid_name": "别处"})
    *_, strange = await one.prove("")
    assert (strange.state, "别处" in strange.said) == ("warn", True)
    for code in (60020, 48002):
        town.p.faults.fail("/cgi-bin/report/resident/get_grid_info", code=code)
        (failed,) = await one.prove("")
        assert (failed.state, str(code) in failed.said, town.p.report.secret in failed.said) == ("fail", True, False)


# --- files ---------------------------------------------------------------------------------------------------------


async def test_files_come_from_the_platform_only(town: Deployment, tmp_path: Path) -> None:
    channel = await town.process()
    assert that_fetch([channel]) == {NAME: channel}
    sound = b"#!AMR" + bytes(64)
    video = town.p.media.keep("video", "1.mp4", b"\0\0\0\x18ftypmp42" + bytes(64))
    kept = await channel.fetch(Media(platform_id=video), tmp_path)
    assert (tmp_path / kept.path).suffix == ".mp4"
    address = town.p.media.plain("voice", "x.amr", sound)
    for url in (address, "http://127.0.0.1/x", "https://example.com/x.jpg", "file:///etc/passwd"):
        with pytest.raises(media.NotFetched):
            await channel.fetch(Media(platform_id="url:1", url=url), tmp_path)
    with pytest.raises(media.NotFetched) as gone:
        await channel.fetch(Media(platform_id="nothing"), tmp_path)
    assert not gone.value.again


# --- saying --------------------------------------------------------------------------------------------------------


def ticket_of(session: Session, *supporters: tuple[str, str, str | None]) -> int:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    row = Ticket(
        status=Status.ASSIGNED, category="facility.lighting", tier=3, channel=NAME, chat="ORD1", reporter="oU",
        opened_at=now, last_message_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    for channel, chat, person in supporters:
        session.add(
            Supporter(ticket=row.id or 0, channel=channel, chat=chat, sender=chat, person=person, since=now)
        )  # fmt: skip
    session.flush()
    return row.id or 0


async def test_news_goes_where_the_person_can_be_reached(town: Deployment, clock: HandClock) -> None:
    def write(session: Session) -> tuple[int, str]:
        person = enrol(session, clock()).code
        link(session, person, (NAME, "oU"), Link.STAFF, Link.STAFF, clock())
        link(session, person, ("wechat_mp", "o-1"), Link.STAFF, Link.STAFF, clock())
        return ticket_of(session, (NAME, "ORD1", person)), person

    ticket, person = town.db.tx(write)
    channel = await town.process()
    out = Outgoing(channel=NAME, chat="ORD1", text="已办结", ticket=ticket)
    for _ in range(2):  # tried again: carried once
        assert await channel.send(out, "k1") == ""
    rows = town.db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert [(row.dedup_key, row.channel, row.conversation) for row in rows] == [
        ("k1>carried", "wechat_mp", "wechat_mp:o-1")
    ]
    # Who told of it there, too, hears of it there.
    again = town.db.tx(lambda session: ticket_of(session, (NAME, "ORD2", person), ("wechat_mp", "o-1", person)))
    await channel.send(out.model_copy(update={"chat": "ORD2", "ticket": again}), "k2")
    assert town.db.tx(lambda session: len(session.scalars(sa.select(Outbox)).all())) == 1


async def test_who_is_known_nowhere_else_is_not_waited_for(town: Deployment) -> None:
    ticket = town.db.tx(lambda session: ticket_of(session, (NAME, "ORD1", None)))
    channel = await town.process()
    out = Outgoing(channel=NAME, chat="ORD1", text="已办结", ticket=ticket)
    assert await channel.send(out, "k1") == ""
    with pytest.raises(SendFailed):
        await channel.send(out.model_copy(update={"purpose": Purpose.ALERT}), "k2")
    assert town.db.tx(lambda session: session.scalars(sa.select(Outbox)).all()) == []


async def test_whoever_is_listed_here_only_cannot_be_alerted(town: Deployment, clock: HandClock) -> None:
    def write(session: Session) -> None:
        person = enrol(session, clock()).code
        session.add(Identity(person=person, channel=NAME, user="gu"))

    town.db.tx(write)
    out = Outgoing(channel=NAME, chat="gu", text="【新任务】", purpose=Purpose.ALERT)
    with pytest.raises(SendFailed):
        await (await town.process()).send(out, "k1")


# --- settings ------------------------------------------------------------------------------------------------------


def test_off_until_both_are_set(db: Database) -> None:
    assert not Settings().resident_report.enabled
    half = ResidentReportSettings(corp_id="ww1")
    assert half.missing == ["secret"]
    with pytest.raises(ValueError, match="secret"):
        ResidentReport(half, Ingest(db), db)
