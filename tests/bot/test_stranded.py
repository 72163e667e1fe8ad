"""Alerts on a channel that no process has up: no try of theirs ever fails, and somebody must hear of them."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.scheduler import Sweeper
from handlers.workdays import WorkCalendar
from models.database import Database
from models.message import Purpose
from models.outbox import DEAD, SENT, WAITS, Outbox
from models.person import Identity
from tests.bot.test_sender_unreached import Here
from tests.conftest import HandClock

WAIT = timedelta(minutes=5)


@pytest.fixture
def here(town_db: Database, clock: HandClock) -> Here:
    return Here(town_db, clock)


@pytest.fixture
def sweeper(here: Here) -> Sweeper:
    return Sweeper(here.db, WorkCalendar(ZoneInfo("Asia/Shanghai")), clock=here.clock, unsent=WAIT)


def elsewhere(here: Here, person: str) -> None:
    """She can be told by the own app, too."""
    link = Identity(channel="wecom_app", user=person.lower(), person=person)
    here.db.tx(lambda session: session.add(link))


def test_after_some_minutes_it_goes_on(here: Here, sweeper: Sweeper) -> None:
    elsewhere(here, "W01")
    here.put(here.alert())
    here.clock.forward(minutes=4)
    assert sweeper.stranded() == 0
    here.clock.forward(minutes=2)
    assert (sweeper.stranded(), sweeper.stranded()) == (1, 0)
    assert here.unreachable() == ["W01"]
    first, *others = here.rows()
    assert (first.outcome, first.error) == (DEAD, "no process could send it")
    assert "wecom_app" in [row.channel for row in others]


def test_where_nobody_is_told_elsewhere_nothing_wanders(here: Here, sweeper: Sweeper) -> None:
    """A platform that is away for an hour must not take every ticket from its worker."""
    here.put(here.alert())
    here.clock.forward(minutes=60)
    assert sweeper.stranded() == 0
    assert (here.worker, here.unreachable(), [row.outcome for row in here.rows()]) == ("W01", [], [""])


async def test_it_leaves_on_its_own_channel_once_that_is_up(here: Here, sweeper: Sweeper) -> None:
    here.put(here.alert())
    here.clock.forward(minutes=60)
    sweeper.stranded()
    await here.go()
    assert (here.told(), here.rows()[0].outcome) == ([("w01", "【新任务】")], SENT)


def test_a_reply_waits_for_its_channel(here: Here, sweeper: Sweeper) -> None:
    elsewhere(here, "W01")
    here.put(here.alert(purpose=Purpose.REPLY, text='"purpose":"alert"'))
    here.clock.forward(minutes=60)
    assert sweeper.stranded() == 0


def test_what_is_behind_one_that_is_tried_now_and_then_is_not_stranded(here: Here, sweeper: Sweeper) -> None:
    elsewhere(here, "W01")
    here.put(here.alert(purpose=Purpose.REPLY), here.alert())
    here.clock.forward(minutes=60)
    before = sa.update(Outbox).where(col(Outbox.id) == here.rows()[0].id)

    def first(**values: object) -> None:
        here.db.tx(lambda session: session.connection().execute(before.values(**values)))

    first(visible_at=here.clock.now + timedelta(seconds=30))
    assert sweeper.stranded() == 0
    first(outcome=WAITS)  # that one nobody waits for
    assert sweeper.stranded() == 1
