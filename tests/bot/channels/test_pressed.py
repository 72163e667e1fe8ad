"""What the handlers made of a press: told at once where a bell rings, found by looking where none does."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.channels import pressed
from bot.channels.pressed import LATE, Presses, ticket_of
from bot.wakeup import Bell
from models.database import Database
from models.inbox import Inbox, receive
from models.message import Incoming, Kind
from tests.conftest import START

NAME = "wecom_app"


@pytest.fixture
def press(db: Database) -> Incoming:
    made = Incoming(id="p1", channel=NAME, chat="w01", sender="w01", sent_at=START, kind=Kind.CARD, action="accept:1")
    db.tx(lambda session: receive(session, [made], START))
    return made


def decide(db: Database) -> None:
    done = sa.update(Inbox).values(finished_at=START, outcome="work")
    db.tx(lambda session: session.connection().execute(done))


class Watched(Presses):
    """looked: set once it has looked, and perhaps found nothing."""

    loop: asyncio.AbstractEventLoop
    looked: asyncio.Event

    def _finished(self, session: Session, chat: str, message: str) -> str | None:
        found = super()._finished(session, chat, message)
        self.loop.call_soon_threadsafe(self.looked.set)
        return found


async def waits(press: Incoming, db: Database, bell: Bell | None = None) -> asyncio.Task[str]:
    """Somebody who has looked once, and found nothing."""
    presses = Watched(NAME, db, bell)
    presses.loop, presses.looked = asyncio.get_running_loop(), asyncio.Event()
    waiting = asyncio.create_task(presses.outcome(press.chat, press.id))
    await presses.looked.wait()
    return waiting


async def test_what_is_decided_already(db: Database, press: Incoming) -> None:
    decide(db)
    assert await Presses(NAME, db).outcome(press.chat, press.id) == "work"


async def test_a_bell_ends_the_waiting(db: Database, press: Incoming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressed, "POLL", 60)
    monkeypatch.setattr(pressed, "SECONDS", 60)
    bell = Bell()
    bell.hang()
    both = [await waits(press, db, bell) for _ in range(2)]
    await asyncio.to_thread(decide, db)
    bell.ring()
    assert await asyncio.gather(*both) == ["work", "work"]


async def test_where_no_bell_rings_it_is_looked_for(
    db: Database, press: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressed, "POLL", 0.01)
    monkeypatch.setattr(pressed, "SECONDS", 60)
    waiting = await waits(press, db)
    await asyncio.to_thread(decide, db)
    assert await waiting == "work"


async def test_the_platform_is_answered_in_time(db: Database, press: Incoming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressed, "SECONDS", 0.05)
    assert await Presses(NAME, db).outcome(press.chat, press.id) == LATE


@pytest.mark.parametrize(
    ("action", "number"),
    [("accept:42", 42), ("done:42:换了灯", 42), ("noop", None), ("accept:x", None), ("accept:" + "9" * 16, None)],
)
def test_the_ticket_of_a_key(action: str, number: int | None) -> None:
    assert ticket_of(action) == number
