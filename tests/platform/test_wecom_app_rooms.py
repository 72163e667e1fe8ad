"""Rooms of the self-built app opposite the platform: opened once, with those in it who have to do with the matter."""

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col
from structlog.testing import capture_logs

from bot.channels.wecom_app import NAME
from bot.platform.world import Group
from handlers.workflow import record
from models.database import Database
from models.mark import TOWN, bump
from models.message import Purpose
from models.outbox import DEAD, SENT
from models.person import Duty, Identity, Person, Role
from models.ticket import Status, Ticket
from tests.platform.harness import TestPlatform
from tests.platform.wecom_app import App, serving, staff_here


def room(p: TestPlatform) -> Group:
    (found,) = [group for group in p.world.groups.values() if group.channel == NAME]
    return found


def told(p: TestPlatform) -> list[str]:
    return [bubble.text for bubble in p.seen(room(p).id)]


def codes(p: TestPlatform, call: str) -> list[int]:
    return [one.code for one in p.calls if one.path.endswith(f"appchat/{call}")]


def urgent(app: App, worker: str = "W01") -> int:
    """An urgent ticket of this worker's, with its first history."""

    def write(session: Session) -> None:
        ticket = session.get_one(Ticket, number)
        record(session, ticket, "opened", "web:u01", app.p.clock())
        record(session, ticket, "assigned", "system", app.p.clock(), f"{worker} (gridworker QX-01-01-01)")

    number = app.ticket(worker=worker, urgent=True)
    app.db.tx(write)
    return number


def hand_on(app: App, number: int, worker: str) -> None:
    def write(session: Session) -> None:
        ticket = session.get_one(Ticket, number)
        ticket.worker = worker
        record(session, ticket, "assigned", "system", app.p.clock(), f"{worker} (物业)")

    app.db.tx(write)


async def look(app: App) -> None:
    await app.channel.look()
    await app.leave()


async def test_a_room_is_opened_once(p: TestPlatform, town_db: Database) -> None:
    """There is none yet (86003): the first line makes it, the second finds it."""
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        await look(app)
        assert (set(room(p).members), len(told(p))) == ({"w01", "c01", "c02"}, 1)
        app.move(number, Status.ACCEPTED)
        app.db.tx(lambda session: record(session, session.get_one(Ticket, number), "accepted", "W01", p.clock()))
        await look(app)
        assert told(p)[1:] == ["LS00001 已接单。"]
        assert (codes(p, "get"), codes(p, "create"), codes(p, "update")) == ([86003, 0], [0], [])
        assert {row.outcome for row in app.rows()} == {SENT}


@pytest.mark.parametrize("code", [86001, 86003])
async def test_two_processes_open_one_room(p: TestPlatform, town_db: Database, code: int) -> None:
    """Both were told that there is none; the second finds it made (86215)."""
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        await look(app)
        p.faults.fail("/cgi-bin/appchat/get", code=code)
        await app.send(f"room:{number}", "第二条", purpose=Purpose.ALERT, ticket=number)
        assert (told(p)[1:], codes(p, "create")) == (["第二条"], [0, 86215])


async def test_another_refusal_makes_no_room(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        urgent(app)
        p.faults.fail("/cgi-bin/appchat/get", code=60011)
        await look(app)
        assert (codes(p, "create"), [row.outcome for row in app.rows()]) == ([], [""])


def people(db: Database, **more: str) -> None:
    """Further staff of the community on the app. more: person to user id."""

    def write(session: Session) -> None:
        session.add_all(Person(code=person, name=user) for person, user in more.items())
        session.flush()
        for person, user in more.items():
            session.add(Identity(person=person, channel=NAME, user=user))
            session.add(Duty(person=person, grid="QX-01", role=Role.COMMUNITY))
        bump(session, TOWN)

    db.tx(write)


def left_out(app: App) -> list[str]:
    return [note for what, note in app.history() if what == "left_out"]


@pytest.mark.parametrize("gone", [{"w01"}, {"c01", "x05"}, {"w01", "c01", "c02"}])
async def test_who_is_no_member_is_left_out(p: TestPlatform, town_db: Database, gone: set[str]) -> None:
    """She has left the corporation: the others have their room, the log and the task page say who is missing, once."""
    staff_here(town_db)
    people(town_db, X03="x03", X04="x04", X05="x05")
    p.app.strangers |= gone
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        with capture_logs() as logs:
            await look(app)
        assert set(room(p).members) == {"w01", "c01", "c02", "x03", "x04", "x05"} - gone
        assert sorted(left_out(app)) == sorted(user.upper() for user in gone)
        assert [line["members"] for line in logs if line["event"] == "room.left_out"] == [len(gone)]
        app.happened(number, "accepted")
        await look(app)
        assert (len(told(p)), len(left_out(app))) == (2, len(gone))

        # The administrator has put it right.
        p.app.strangers.clear()
        app.happened(number, "arrived")
        await look(app)
        assert set(room(p).members) == {"w01", "c01", "c02", "x03", "x04", "x05"}
        assert {row.outcome for row in app.rows()} == {SENT}


async def test_a_room_that_is_there_takes_who_is_a_member(p: TestPlatform, town_db: Database) -> None:
    """Handed on to somebody who has left the corporation: the room goes on without her, and without whoever had it."""
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        await look(app)
        p.app.strangers |= {"w07"}
        hand_on(app, number, "W07")
        await look(app)
        assert (set(room(p).members), left_out(app)) == ({"c01", "c02"}, ["W07"])
        assert told(p)[1:] == ["LS00001 已转交其他同事办理。"]


async def test_one_alone_is_no_room(p: TestPlatform, town_db: Database) -> None:
    """And in a room that is there already nothing more is said to whoever has handed the matter on."""
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        p.app.strangers |= {"w01", "c02"}
        urgent(app)
        await look(app)
        assert [group for group in p.world.groups.values() if group.channel == NAME] == []
        p.app.strangers.clear()
        number = urgent(app)
        await look(app)
        p.app.strangers |= {"w07", "c02"}
        room(p).members.remove("c02")
        hand_on(app, number, "W07")
        await look(app)
        assert (len(told(p)), [row.outcome for row in app.rows()]) == (1, [DEAD, SENT, DEAD])


@pytest.mark.parametrize("code", [86101, 86216])
async def test_another_word_for_it(p: TestPlatform, town_db: Database, code: int) -> None:
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        urgent(app)
        p.faults.fail("/cgi-bin/appchat/create", code=code)
        await look(app)
        assert (set(room(p).members), len(told(p)), left_out(app)) == ({"w01", "c01", "c02"}, 1, [])


async def test_who_has_handed_it_on_reads_no_more(p: TestPlatform, town_db: Database) -> None:
    """Her successor has the room, and a line says that there is one; the same worker once more is no news."""
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        await look(app)
        hand_on(app, number, "W01")
        await look(app)
        assert len(told(p)) == 1
        room(p).members = [user.upper() for user in room(p).members] + ["invited"]  # ids come back in either case
        hand_on(app, number, "W07")
        await look(app)
        assert room(p).members == ["C01", "C02", "w07"]
        assert told(p)[1:] == ["LS00001 已转交其他同事办理。"]
        assert codes(p, "update") == [0, 0]


async def test_the_app_need_not_be_her_first_channel(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)

    def write(session: Session) -> None:
        session.connection().execute(sa.update(Identity).where(col(Identity.person) == "W01").values(channel="web"))
        session.add(Identity(person="W01", channel=NAME, user="w01"))
        bump(session, TOWN)

    town_db.tx(write)
    async with serving(p, town_db, rooms=True) as app:
        urgent(app)
        await look(app)
        assert room(p).members == ["w01", "c01", "c02"]


async def test_the_room_hears_of_a_reopening(p: TestPlatform, town_db: Database) -> None:
    staff_here(town_db)
    async with serving(p, town_db, rooms=True) as app:
        number = urgent(app)
        await look(app)
        app.happened(number, "reopened")
        await look(app)
        assert told(p)[-1] == "LS00001 居民反映没处理好，已退回重办。"
