"""Alerts on a channel that no process has up, or for which our account is refused: no try of theirs ever fails, and
somebody must hear of them."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.channels.base import Halted
from bot.scheduler import Sweeper
from bot.sender import Sender
from handlers.workdays import WorkCalendar
from models.database import Database
from models.message import Purpose
from models.outbox import DEAD, SENT, URGENT, WAITS, Outbox
from models.person import Identity
from tests.bot.test_sender import Recorder
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


def test_what_lets_an_urgent_one_pass_is_behind_that(here: Here, sweeper: Sweeper) -> None:
    elsewhere(here, "W01")
    here.put(here.alert(), here.alert(urgent=True, ticket=None))
    here.clock.forward(minutes=60)
    soon = sa.update(Outbox).where(col(Outbox.lane) == URGENT).values(visible_at=here.clock.now + timedelta(seconds=30))
    here.db.tx(lambda session: session.connection().execute(soon))
    assert sweeper.stranded() == 0


class Halting:
    """`here`, whose platform takes nothing of our account's; she has the own app beside it."""

    def __init__(self, here: Here) -> None:
        self.here, self.app = here, Recorder("wecom_app")
        here.channel.can = replace(here.channel.can, push=True)
        channels = {one.name: one for one in (here.channel, self.app)}
        here.sender = Sender(here.db, channels, here.clock)
        self.sweeper = Sweeper(
            here.db, WorkCalendar(ZoneInfo("Asia/Shanghai")), clock=here.clock, unsent=WAIT, channels=channels
        )

    async def pass_by(self, minutes: int) -> int:
        """So long the platform refuses, is asked every minute, and somebody looks. Returns how many were handed on."""
        handed = 0
        for _ in range(minutes):
            await self.here.go(*(Halted("45009", after=60) for _ in range(9)))
            self.here.clock.forward(minutes=1)
            handed += self.sweeper.stranded()
        return handed

    def there(self) -> list[tuple[str, str]]:
        return [(out.chat, out.text[:5]) for out in self.app.heard]


@pytest.fixture
def halting(here: Here) -> Halting:
    return Halting(here)


async def test_refused_to_our_account_it_goes_to_her_other_channel_and_to_nobody_else(halting: Halting) -> None:
    here = halting.here
    elsewhere(here, "W01")
    here.put(here.alert(purpose=Purpose.REPLY, card=None), here.alert(), here.alert(chat="c01", to_person="C01"))
    assert await halting.pass_by(4) == 0
    assert await halting.pass_by(6) == 1
    await here.go()
    assert halting.there() == [("w01", "【新任务】")]
    assert (here.worker, here.unreachable()) == ("W01", []), "she is no less there for that"
    reply, alert, other, _ = here.rows()
    assert [row.outcome for row in (reply, alert, other)] == [SENT, SENT, SENT]
    told = sorted(chat for chat, _ in here.told()[-2:])  # two chats, side by side
    assert (told, alert.attempts) == (["c01", "w01"], 0), "what had no other way leaves once it is taken again"


async def test_without_another_channel_it_waits_for_its_own(halting: Halting) -> None:
    here = halting.here
    here.put(here.alert())
    assert await halting.pass_by(40) == 0
    await here.go()
    assert (here.told()[-1], here.rows()[0].outcome, len(here.rows())) == (("w01", "【新任务】"), SENT, 1)
    assert (here.worker, here.unreachable()) == ("W01", [])


async def test_only_what_of_it_has_not_left_is_handed_on(halting: Halting) -> None:
    here = halting.here
    elsewhere(here, "W01")
    here.channel.can = replace(here.channel.can, max_bytes=30)
    here.put(here.alert(text="一" * 9 + "。" + "二" * 9, card=None))
    left = sa.update(Outbox).values(parts=1)
    here.db.tx(lambda session: session.connection().execute(left).close())
    assert await halting.pass_by(6) == 1
    await here.go()
    assert [out.text for out in halting.app.heard] == ["二" * 9]
