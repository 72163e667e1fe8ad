"""Where the answers go in a group that is only read: to its leader, to the carrier that is set, or nowhere."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlmodel import Session, col

from bot.channels.archive import NAME, Archive
from bot.channels.base import SendFailed
from bot.channels.resident_report import NAME as REPORT
from bot.channels.resident_report import ResidentReport
from bot.ingest import Ingest
from bot.sender import Sender
from config.resident_report import ResidentReportSettings
from config.side_channels import ArchiveSettings
from models import outbox
from models.database import Database
from models.mark import TOWN, bump
from models.message import Outgoing
from models.outbox import DEAD, SENT, Outbox
from models.person import Identity, Person
from models.ticket import Supporter
from tests.bot.archived import ZONE, name_room, out
from tests.conftest import HandClock
from tests.models.letters import open_ticket


def town_room(db: Database) -> None:
    name_room(db, grid="QX-01-01-01")


def waiting(db: Database, channel: str) -> list[Outgoing]:
    theirs = sa.select(Outbox).where(col(Outbox.channel) == channel).order_by(col(Outbox.id))
    rows = db.tx(lambda session: session.scalars(theirs).all())
    return [outbox.read(row) for row in rows]


def channel(db: Database, clock: HandClock, **more: object) -> Archive:
    return Archive(ArchiveSettings.model_validate({"on": True, **more}), db, clock, zone=ZONE)


async def test_an_answer_goes_to_the_leader_of_the_group(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)
    archive = channel(town_db, clock)
    for _ in range(2):  # a second try of the same row
        assert await archive.send(out(ticket=1), "k1") == ""
    (carried,) = waiting(town_db, "web")
    assert carried.chat == "d-l01"
    assert carried.text == "请帮忙转到“柳岸花园南区邻里群”：\n收到，已登记 LS00001"
    assert (carried.ticket, carried.trigger) == (1, None)


async def test_who_is_away_is_not_asked(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)

    def away(session: Session) -> None:
        leader = session.scalars(sa.select(col(Identity.person)).where(col(Identity.user) == "l01")).one()
        person = session.scalars(sa.select(Person).where(col(Person.code) == leader)).one()
        person.away_until = clock() + timedelta(days=1)
        session.add(person)
        bump(session, TOWN)

    town_db.tx(away)
    await channel(town_db, clock).send(out(), "k1")
    assert [one.chat for one in waiting(town_db, "web")] == ["d-w01"]


async def test_only_by_the_carrier_that_is_set(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)
    sender = Sender(town_db, {NAME: channel(town_db, clock, carrier="wecom_app")}, clock)
    town_db.tx(lambda session: outbox.put(session, [("k1", out())], clock()))
    await sender.step()
    (row,) = town_db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert (row.outcome, row.error) == (DEAD, "nobody can be asked to pass it on")


async def test_answers_can_be_dropped_but_no_persons_message(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)

    def link(session: Session) -> None:
        worker = session.scalars(sa.select(Identity).where(col(Identity.user) == "w01")).one()
        session.add(Identity(person=worker.person, channel=NAME, user="XiaoGu"))
        bump(session, TOWN)

    town_db.tx(link)
    archive = channel(town_db, clock, answers="none")
    await archive.send(out(), "k1")
    assert waiting(town_db, "web") == []
    await archive.send(out("【新任务】", chat="XiaoGu"), "k2")
    assert [(one.chat, one.text) for one in waiting(town_db, "web")] == [("d-w01", "【新任务】")]
    with pytest.raises(SendFailed, match="no other channel"):
        await archive.send(out("私下", chat="wm-stranger"), "k3")


async def test_rows_are_done_once_they_are_handed_on(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)
    town_db.tx(lambda session: outbox.put(session, [("k1", out())], clock()))
    while await Sender(town_db, {NAME: channel(town_db, clock)}, clock).step():
        pass
    rows = town_db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(col(Outbox.id))).all())
    assert [(row.channel, row.outcome, row.dedup_key) for row in rows] == [
        (NAME, SENT, "k1"),
        ("web", "", "k1>carried"),
    ]


async def test_it_goes_by_a_channel_that_this_deployment_has(town_db: Database, clock: HandClock) -> None:
    town_room(town_db)

    def also(session: Session) -> None:
        session.add(Identity(person="L01", channel="wecom_app", user="GuYi"))
        bump(session, TOWN)

    town_db.tx(also)
    settings, on = ArchiveSettings.model_validate({"on": True}), frozenset({"wecom_app", "wechat_mp"})
    assert await Archive(settings, town_db, clock, zone=ZONE, on=on).send(out(ticket=1), "k1") == ""
    assert waiting(town_db, "web") == []
    assert [carried.chat for carried in waiting(town_db, "wecom_app")] == ["GuYi"]


async def test_a_message_is_not_sent_round_between_channels_that_only_hand_on(
    town_db: Database, clock: HandClock
) -> None:
    def link(session: Session) -> None:
        session.add(Person(code="R-1", name=""))
        session.flush()
        for name, user in ((NAME, "wm-1"), (REPORT, "oU"), ("wechat_mp", "o-1")):
            session.add(Identity(person="R-1", channel=name, user=user))
        # She told it here, which is no place to hear of it.
        ticket = open_ticket(session, clock(), channel=NAME, chat="wm-1", reporter="wm-1")
        hers = Supporter(
            ticket=ticket.id or 0, channel=NAME, chat="wm-1", sender="wm-1", person="R-1", since=clock()
        )  # fmt: skip
        session.add(hers)
        bump(session, TOWN)
        outbox.put(session, [("k1", out("已办结", chat="wm-1", ticket=ticket.id))], clock())

    town_db.tx(link)
    settings = ResidentReportSettings(corp_id="ww1", secret=SecretStr("s"))
    report = ResidentReport(settings, Ingest(town_db), town_db, clock)
    sender = Sender(town_db, {NAME: channel(town_db, clock), REPORT: report}, clock)
    for _ in range(8):
        await sender.step()
    assert [(one.chat, one.text) for one in waiting(town_db, "wechat_mp")] == [("o-1", "已办结")]
    rows = town_db.tx(lambda session: session.scalars(sa.select(Outbox)).all())
    assert len(rows) == 2  # straight to where she can read it
