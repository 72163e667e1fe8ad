"""Twenty killed processes, a platform that fails, stalls, doubled and overtaking callbacks: nothing lost or doubled."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from models.database import Database
from tests.chaos.storm import Plan, Storm
from tests.chaos.verdict import Books, judge, summary

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.xdist_group("chaos")]


async def test_a_storm_loses_and_doubles_nothing(db_url: str, tmp_path: Path) -> None:
    evidence = await Storm(db_url, tmp_path, Plan()).run()
    db = Database(db_url)
    books = Books.read(db)
    db.close()
    logging.getLogger(__name__).info("%s", summary(evidence, books))
    assert judge(evidence, books) == []

    # It was a storm, and there was something to lose.
    assert evidence.kills >= 20
    assert evidence.stalls >= 3
    assert evidence.repeats > 0
    assert {"late", "cut", "hang", "broken", "busy", "gone"} <= set(evidence.moods)
    assert len(evidence.acknowledged) == len(evidence.lines) > 140
    assert len(books.tickets) == 48

    # The judge is awake: a reply that arrived twice, a lost message and a doubled ticket do not pass.
    reply = next(d for d in evidence.deliveries if d.user.startswith("o-"))
    assert judge(replace(evidence, deliveries=[*evidence.deliveries, reply]), books)
    assert judge(evidence, replace(books, inbox=books.inbox[1:]))
    assert judge(evidence, replace(books, tickets=[*books.tickets, books.tickets[0]]))
