"""Eight killed processes under a held connection and a puller with its cursor: nothing lost, doubled or repeated."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.database import Database
from tests.chaos.lines import BOT, KILLS, MAY_COME_AGAIN, PEOPLE, SERVICE, Lines, repeated
from tests.chaos.verdict import Books, handled

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.xdist_group("chaos")]


async def test_lines_that_break_lose_and_double_nothing(db_url: str, tmp_path: Path) -> None:
    lines = Lines(db_url, tmp_path, 20260302)
    evidence = await lines.run()
    db = Database(db_url)
    books = Books.read(db)
    db.close()
    for letter in books.inbox:
        letter.message = lines.names.get(letter.message, letter.message)
    for part in books.messages:
        part.message = lines.names.get(part.message, part.message)
    assert handled(evidence, books) == []
    assert list(repeated(lines.platform, books)) == []

    # The connection was up at every other kill, and both lines were in use.
    assert evidence.kills == KILLS
    assert lines.platform.bot.wire.subscribed > KILLS // 2
    assert len(books.tickets) == PEOPLE
    for channel in (BOT, SERVICE):
        assert sum(row.channel == channel for row in books.inbox) > PEOPLE

    # The judge is awake.
    assert handled(evidence, replace(books, inbox=books.inbox[1:]))
    seen = lines.platform.seen(evidence.lines[0].user)
    lines.platform.world.show(next(bubble for bubble in seen if bubble.text not in MAY_COME_AGAIN))
    assert list(repeated(lines.platform, books))
