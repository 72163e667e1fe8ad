"""The door: one bad letter spoils only itself."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot import ingest
from bot.ingest import Busy, Ingest
from models import inbox
from models.database import Database
from models.inbox import Inbox
from models.message import Forwarded, Incoming
from tests.models.letters import letter


def kept(db: Database) -> list[Incoming]:
    rows = sa.select(Inbox).order_by(Inbox.id)  # type: ignore[arg-type]
    return db.tx(lambda session: [inbox.read(row) for row in session.scalars(rows)])


async def test_a_letter_that_cannot_be_kept_spoils_only_itself(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(session: Session, messages: Iterable[Incoming], now: datetime) -> int:
        found = list(messages)
        if any(message.id == "m2" for message in found):
            raise ValueError("m2")
        return inbox.receive(session, found, now)

    monkeypatch.setattr(ingest, "receive", receive)
    door = Ingest(db, linger=0.05)
    ended = await asyncio.gather(*(door.accept(letter(n)) for n in (1, 2, 3)), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), ValueError, type(None)]
    assert [message.id for message in kept(db)] == ["m1", "m3"]


async def test_one_who_hangs_up_is_kept_all_the_same_and_so_are_the_others(db: Database) -> None:
    door = Ingest(db, linger=0.05)
    calls = [asyncio.create_task(door.accept(letter(n))) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in ended] == [asyncio.CancelledError, type(None), type(None)]
    assert [message.id for message in kept(db)] == ["m1", "m2", "m3"]


async def test_a_full_door_says_so_and_opens_again(db: Database) -> None:
    door = Ingest(db, linger=0.05, waiting=2)
    ended = await asyncio.gather(*(door.accept(letter(n)) for n in (1, 2, 3)), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), type(None), Busy]
    await door.accept(letter(3))
    assert [message.id for message in kept(db)] == ["m1", "m2", "m3"]


async def test_a_nul_is_left_out(db: Database) -> None:
    said = letter(1, text="停\x00水", sender_name="朵\x00朵", forwarded=(Forwarded(sender="a", text="\x00停电"),))
    await Ingest(db).accept(said)
    (one,) = kept(db)
    assert (one.text, one.sender_name, one.forwarded[0].text) == ("停水", "朵朵", "停电")
