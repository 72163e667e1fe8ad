"""What a platform says of our account, and not of whoever a message is for: nothing is lost, nobody is passed over."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY
from sqlmodel import Session
from structlog.testing import capture_logs

from bot.channels.base import Halted
from bot.channels.replies import ApiError, refusal
from bot.channels.wecom_bot.letters import NAME as BOT
from bot.channels.wecom_bot.socket import judged
from bot.scheduler import Sweeper
from bot.sender import Sender
from handlers.workdays import WorkCalendar
from models.database import Database
from models.mark import TOWN, bump
from models.outbox import DEAD, HALTED, SENT
from models.person import Identity
from models.ticket import Ticket
from tests.bot.test_sender import Recorder
from tests.platform import kf, mp
from tests.platform.harness import Opposite, TestPlatform
from tests.platform.wecom_app import App, serving, staff_here
from tests.platform.wecom_bot import connected, hooked, line, put, row

SEND = "/cgi-bin/message/send"
pytestmark = pytest.mark.usefixtures("nobody_decides")


@pytest.fixture
async def app(p: TestPlatform, town_db: Database) -> AsyncIterator[App]:
    """The own app, which all staff are reached by."""
    staff_here(town_db)
    async with serving(p, town_db) as made:
        yield made


async def forty_minutes(app: App, *more: Recorder) -> None:
    """They pass, a minute at a time; the sender runs, and whoever looks after what waits. more: further channels."""
    channels = {one.name: one for one in (app.channel, *more)}
    calendar = WorkCalendar(ZoneInfo("Asia/Shanghai"))
    sweeper = Sweeper(app.db, calendar, clock=app.p.clock, unsent=timedelta(minutes=5), channels=channels)
    app.sender = Sender(app.db, channels, app.p.clock, calendar=calendar)
    for _ in range(40):
        app.p.clock.forward(minutes=1)
        await app.leave()
        sweeper.stranded()


async def later(app: App) -> None:
    """The platform takes everything again."""
    app.p.faults.clear()
    app.p.clock.forward(minutes=5)
    await app.leave()


def worker(app: App, ticket: int) -> str | None:
    return app.db.tx(lambda session: session.get_one(Ticket, ticket).worker)


def refuse(p: TestPlatform, code: int) -> None:
    """For as long as it takes."""
    if code == 60020:
        p.faults.untrusted = True
    else:
        p.faults.fail(SEND, code=code, times=10_000)


@pytest.mark.parametrize("code", [45009, 60020])
async def test_an_alert_waits_for_its_own_worker(app: App, code: int) -> None:
    ticket = app.ticket()
    refuse(app.p, code)
    with capture_logs() as logs:
        await app.alert("W01", ticket)
        await app.send("w01", "灯修好了吗？")
        await forty_minutes(app)
    first, behind = app.rows()
    assert (first.outcome, first.attempts, behind.outcome) == (HALTED, 0, "")
    assert (worker(app, ticket), app.history()) == ("W01", [])
    said = [line for line in logs if line["event"] == "api.account_refused"]
    assert {(line["log_level"], line["code"]) for line in said} == {("error", code)}
    assert 5 <= len(said) <= 12, "once for each pause, and the pauses grow"
    await later(app)
    assert [bubble.kind for bubble in app.p.seen("w01")][-2:] == ["template_card", "text"]
    assert [len(app.p.seen(user)) for user in ("c01", "c02", "w07")] == [0, 0, 0]
    assert [row.outcome for row in app.rows()] == [SENT, SENT]


async def test_it_goes_by_another_channel_of_hers(app: App) -> None:
    def link(session: Session) -> None:
        session.add(Identity(person="W01", channel="web", user="w01"))
        bump(session, TOWN)

    app.db.tx(link)
    other, ticket = Recorder("web"), app.ticket()
    refuse(app.p, 45009)
    await app.alert("W01", ticket)
    await app.alert("C01", ticket)
    await forty_minutes(app, other)
    assert [(out.to_person, out.text) for out in other.heard] == [("W01", "【新任务】楼道照明")]
    assert (worker(app, ticket), app.history()) == ("W01", [])
    await later(app)
    assert [len(app.shown(user)) for user in ("w01", "c01", "c02")] == [0, 1, 0]


async def test_without_a_token_too(app: App) -> None:
    app.p.faults.fail("/cgi-bin/gettoken", code=40125, times=10_000)
    before = REGISTRY.get_sample_value(
        "linsheng_account_refused_total", {"call": "/cgi-bin/gettoken", "code": "40125"}
    )  # fmt: skip
    ticket = app.ticket()
    await app.alert("W01", ticket)
    await forty_minutes(app)
    after = REGISTRY.get_sample_value("linsheng_account_refused_total", {"call": "/cgi-bin/gettoken", "code": "40125"})
    assert after is not None
    assert after - (before or 0) >= 30
    assert (app.rows()[0].outcome, worker(app, ticket)) == (HALTED, "W01")
    await later(app)
    assert len(app.shown("w01")) == 1


async def test_what_is_said_of_her_goes_on_to_somebody_else(app: App) -> None:
    """81013: nobody of that name sees the app."""
    ticket = app.ticket()
    app.p.faults.fail(SEND, code=81013)
    await app.alert("W01", ticket)
    await forty_minutes(app)
    assert (app.rows()[0].outcome, worker(app, ticket)) == (DEAD, "C01")


async def halted(here: Opposite[Any], user: str) -> None:
    """More refusals than a message has tries, and then it leaves."""
    await here.send(user, "已登记")
    for _ in range(15):
        assert (here.rows()[-1].outcome, here.rows()[-1].attempts) == (HALTED, 0)
        here.p.clock.forward(minutes=5)
        await here.leave()
    await later(here)  # type: ignore[arg-type]
    assert here.rows()[-1].outcome == SENT


async def test_the_official_account(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with mp.serving(p, db, tmp_path / "media") as here:
        await p.mp.say("o1", "在吗")
        p.faults.fail("/cgi-bin/message/custom/send", code=45009, times=10_000)
        await halted(here, "o1")


async def test_customer_service(p: TestPlatform, db: Database, tmp_path: Path) -> None:
    async with kf.serving(p, db, tmp_path / "media") as here:
        await p.kf.say("wm-lihua", "在吗")
        await here.look()
        p.faults.fail("/cgi-bin/kf/send_msg", code=45009, times=10_000)
        await halted(here, "wm-lihua")


@pytest.mark.parametrize(("code", "ours"), [(45009, True), (45011, True), (846607, False), (846604, False)])
def test_the_bots_connection(code: int, ours: bool) -> None:
    """846607 is said of one conversation."""
    with pytest.raises(ApiError) as failure:
        judged("aibot_send_msg", {"errcode": code})
    assert isinstance(failure.value, Halted) is ours


async def test_the_bots_connection_is_left_alone_for_a_while(
    p: TestPlatform, sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def used_up(cmd: str, *_: object) -> None:
        asked.append(cmd)
        raise refusal(45009, cmd)

    async with connected(p, sqlite_db) as bot:
        p.bot.known |= {"a", "b"}
        sender = Sender(sqlite_db, {BOT: bot}, p.clock)
        with monkeypatch.context() as patch:
            patch.setattr(line(bot), "ask", used_up)
            for key in ("k1", "k2"):
                put(sqlite_db, p, key.replace("k1", "a").replace("k2", "b"), "网格员已接单", key)
                await sender.step()
        assert (asked, row(sqlite_db, "k2").outcome, row(sqlite_db, "k2").attempts) == (["aibot_send_msg"], HALTED, 0)
        p.clock.forward(minutes=1)
        assert await sender.step() == 2
        assert [len(p.seen(user)) for user in "ab"] == [1, 1]


async def test_the_bots_later_answers(p: TestPlatform, sqlite_db: Database) -> None:
    """The address is not spent by it."""
    async with hooked(p, sqlite_db) as bot:
        await p.say(None, "a", "灯坏了")
        bot._replying._polled = 0.0
        p.faults.fail("/cgi-bin/aibot/response", code=45009)
        out = put(sqlite_db, p, "a", "网格员已接单")
        for _ in range(2):
            with pytest.raises(Halted, match="rate"):
                await bot.send(out, "k1")
        p.clock.forward(minutes=1)
        assert (await bot.send(out, "k1")).startswith("url:")
