"""Words for where nothing can be said now: which other channel of hers carries them, and once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.carrying import elsewhere, hand_on
from handlers.town import MUTE, load
from models import outbox
from models.database import Database
from models.message import Card, Outgoing, Purpose
from models.outbox import Outbox
from models.person import Identity
from tests.conftest import HandClock

CARD = Card(title="LS00001 照明")
ALERT = Outgoing(
    channel="wechat_mp",
    chat="o-gu",
    text="【新任务】",
    purpose=Purpose.ALERT,
    card=CARD,
    ticket=1,
    trigger="m1",
    why="test",
)


def where(db: Database, *channels: str, out: Outgoing = ALERT, **more: object) -> Outgoing | None:
    """What is put for 网格员小顾 (W01), who is on these channels, in this order, and on no other."""

    def work(session: Session) -> Outgoing | None:
        session.connection().execute(sa.delete(Identity).where(col(Identity.person) == "W01"))
        for channel in channels:
            session.add(Identity(person="W01", channel=channel, user=f"gu-{channel}"))
        session.flush()
        return elsewhere(session, load(session), out, "W01", **more)  # type: ignore[arg-type]

    return db.tx(work)


def test_the_first_channel_that_was_linked_carries_it(town_db: Database) -> None:
    found = where(town_db, "wechat_mp", "wecom_app", "wecom_kf")
    assert found is not None
    assert (found.channel, found.chat, found.to_person) == ("wecom_app", "gu-wecom_app", "W01")
    assert (found.text, found.card, found.ticket, found.purpose) == ("【新任务】", CARD, 1, Purpose.ALERT)
    assert found.trigger is None, "what it answers was said elsewhere"


def test_it_goes_nowhere_twice(town_db: Database) -> None:
    found = where(town_db, "wechat_mp", "wecom_app", "wecom_kf", out=ALERT.by("wecom_app", "gu-wecom_app"))
    assert found is not None
    assert (found.channel, found.been) == ("wecom_kf", ("wechat_mp", "wecom_app"))
    assert where(town_db, "wechat_mp", "wecom_app", out=ALERT.by("wecom_app", "gu-wecom_app")) is None


@pytest.mark.parametrize("others", [(), *((channel,) for channel in sorted(MUTE))])
def test_who_is_on_nothing_else_is_not_reached(town_db: Database, others: tuple[str, ...]) -> None:
    assert where(town_db, "wechat_mp", *others) is None


def test_only_some_channels_may_carry_it(town_db: Database) -> None:
    found = where(town_db, "wecom_kf", "wecom_app", only={"wecom_app"})
    assert found is not None
    assert found.channel == "wecom_app"
    assert where(town_db, "wecom_kf", "wecom_app", only=set()) is None


def test_how_far_it_has_come_here_says_nothing_there(town_db: Database) -> None:
    found = where(town_db, "wecom_app", out=ALERT.model_copy(update={"parts": 2, "noticed": True}))
    assert found is not None
    assert (found.parts, found.noticed) == (0, False)


def test_however_often_it_is_handed_on_it_is_one(town_db: Database, clock: HandClock) -> None:
    carried = ALERT.by("wecom_app", "gu")
    later = clock() + timedelta(minutes=5)
    for _ in range(2):
        town_db.tx(lambda session: hand_on(session, "k1", carried, clock()))
        town_db.tx(lambda session: hand_on(session, "k2", carried, clock(), at=later))
    rows = town_db.tx(lambda session: list(session.scalars(sa.select(Outbox).order_by(col(Outbox.id)))))
    assert [(row.dedup_key, row.visible_at) for row in rows] == [("k1>carried", clock()), ("k2>carried", later)]
    assert [outbox.read(row) for row in rows] == [carried, carried]
