"""What people make of an answer of the AI bot: no question of its own, and a line in the history of the matter."""

import json

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.channels.wecom_bot import mailbox
from bot.sender import Sender
from models.database import Database
from models.ticket import TicketEvent
from tests.models.letters import open_ticket
from tests.platform.harness import platform
from tests.platform.wecom_bot import connected, handled, heard, hooked, put, soon


def opinions(db: Database) -> list[tuple[int, str, str]]:
    lines = sa.select(TicketEvent).where(col(TicketEvent.what) == "disliked").order_by(col(TicketEvent.id))
    return [(line.ticket, line.actor, line.note) for line in db.tx(lambda session: session.scalars(lines).all())]


@pytest.mark.parametrize("mode", ["connection", "webhook"])
async def test_a_wrong_answer_stands_in_the_history(town_db: Database, mode: str) -> None:
    db, opened = town_db, connected if mode == "connection" else hooked
    async with platform() as p, opened(p, db, feedback=True) as bot:
        ticket = db.tx(lambda session: open_ticket(session, p.clock()).id or 0)
        said = await p.say(None, "a", "灯坏了")
        await soon(lambda: heard(db))
        put(db, p, "a", "已登记", "k1", trigger=said.id, ticket=ticket)
        handled(db, p)
        if mode == "webhook":
            await p.bot.poll()
        await Sender(db, {bot.name: bot}, p.clock).step()
        (answer,) = p.seen("a")
        await p.bot.feedback(answer, "a", 1)
        await p.bot.feedback(answer, "a", 2, "还没人来修")
        await soon(lambda: len(heard(db)) == 2)
        await soon(lambda: opinions(db) == [(ticket, "wecom_bot:a", "内容不完整；还没人来修")])
        if mode == "webhook":
            assert (await p.again(p.pushes[-1])).status == 200
            assert len(opinions(db)) == 1


async def test_an_opinion_of_nothing_of_ours_stands_nowhere(town_db: Database) -> None:
    async with platform() as p, hooked(p, town_db, feedback=True):
        said = await p.say(None, "a", "灯坏了")
        put(town_db, p, "a", "已登记", "k1", trigger=said.id)  # of no ticket
        handled(town_db, p)
        await p.bot.poll()
        (answer,) = p.seen("a")
        await p.bot.feedback(answer, "a", 2, "不对")
        for forged in ("answer:", "stream:x", "", "%"):
            answer.key = forged
            await p.bot.feedback(answer, "a", 2, "不对")
        assert [json.loads(push.body) if push.body else push.status for push in p.pushes[-4:]] == [200] * 4
        assert opinions(town_db) == []


async def test_an_opinion_has_no_stream_to_wait_for_and_counts_for_none(sqlite_db: Database) -> None:
    async with platform() as p, hooked(p, sqlite_db, feedback=True, per_minute=2) as bot:
        said = await p.say(None, "a", "灯坏了")
        put(sqlite_db, p, "a", "已登记", "k1", trigger=said.id)
        handled(sqlite_db, p)
        await p.bot.poll()
        await p.bot.feedback(p.seen("a")[0], "a", 2, "还没人来修")
        opinion = heard(sqlite_db)[-1]
        at = p.clock()
        assert not sqlite_db.tx(lambda session: mailbox.stream_open(session, "a", opinion.id, at))
        await bot._rates.take("a")  # there is room: of the two of a minute one was a stream
