"""What staff were told in somebody's words goes with her, on every channel that carried it to them."""

import sqlalchemy as sa
from sqlmodel import Session, col

from bot.channels.carrying import hand_on
from handlers.erasing import unsaid
from models import outbox
from models.database import Database
from models.message import Outgoing, Purpose
from models.outbox import Outbox
from tests.conftest import HandClock

SAID = "wechat_mp:o-1:m1"  # the key of her message in the inbox


def relay(channel: str) -> Outgoing:
    """Her words to staff; no ticket."""
    return Outgoing(channel=channel, chat="c01", text="张伟：转人工", purpose=Purpose.ALERT, why="question")


def texts(db: Database) -> list[str]:
    rows = db.tx(lambda session: session.scalars(sa.select(Outbox).order_by(col(Outbox.id))).all())
    return [outbox.read(row).text for row in rows]


def finish(session: Session, clock: HandClock) -> None:
    session.connection().execute(sa.update(Outbox).values(finished_at=clock(), outcome="sent"))


def test_copies_that_were_handed_on_are_emptied_too(db: Database, clock: HandClock) -> None:
    def told(session: Session) -> None:
        outbox.put(session, [(f"{SAID}>1", relay("archive")), ("wechat_mp:o-2:m1>1", relay("archive"))], clock())
        hand_on(session, f"{SAID}>1", relay("wecom_bot"), clock())
        hand_on(session, f"{SAID}>1>carried", relay("wecom_app"), clock())
        hand_on(session, "wechat_mp:o-2:m1>1", relay("wecom_bot"), clock())
        finish(session, clock)

    db.tx(told)
    db.tx(lambda session: unsaid(session, [SAID]))
    assert texts(db) == ["", "张伟：转人工", "", "", "张伟：转人工"]  # what another said stays


def test_a_copy_under_way_is_found_later(db: Database, clock: HandClock) -> None:
    """The row that it was made of is empty by then, under another key."""

    def told(session: Session) -> None:
        outbox.put(session, [(f"{SAID}>1", relay("wecom_bot"))], clock())
        finish(session, clock)
        hand_on(session, f"{SAID}>1", relay("wecom_app"), clock())
        unsaid(session, [SAID])

    db.tx(told)
    assert texts(db) == ["", "张伟：转人工"]
    db.tx(lambda session: finish(session, clock))
    db.tx(lambda session: unsaid(session, [SAID]))
    assert texts(db) == ["", ""]
