"""`linsheng chat list`: how a newcomer finds the code of a group."""

import json

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from handlers.erasing import ERASED, _bare
from models import heard, inbox
from models.chat import Chat, ChatKind
from models.database import Database
from models.inbox import Inbox
from tests.bot.test_cli import Shell, cells, home_db, shell
from tests.conftest import START, HandClock
from tests.models.letters import letter

__all__ = ["home_db", "shell"]  # fixtures


def some(db: Database) -> None:
    """Two groups, one of them listed; two direct chats."""
    clock = HandClock(START)

    def work(session: Session) -> None:
        session.add(Chat(channel="wecom_bot", code="wr-known", kind=ChatKind.GROUP))
        for number, (chat, direct) in enumerate(
            [("wr-new", False), ("wr-new", False), ("wr-known", False), ("zhangsan", True), ("lisi", True)]
        ):
            place = {"channel": "wecom_bot", "chat": chat, "direct": direct, "sender": "lisi", "text": "停水了"}
            inbox.receive(session, [letter(number).model_copy(update=place)], clock.forward(minutes=1))

    db.tx(work)


def test_the_groups_that_were_heard(db: Database) -> None:
    some(db)
    every = db.tx(lambda session: heard.groups(session, limit=9))
    assert [(one.chat, one.messages, one.listed) for one in every] == [("wr-known", 1, True), ("wr-new", 2, False)]
    assert (every[1].last - START).total_seconds() == 120
    assert db.tx(lambda session: heard.groups(session, limit=1)) == every[:1]
    assert db.tx(lambda session: heard.groups(session, unlisted=True, limit=9)) == every[1:]


def test_one_that_cannot_be_read_is_still_shown(sqlite_db: Database) -> None:
    some(sqlite_db)
    sqlite_db.tx(lambda session: session.connection().exec_driver_sql("UPDATE inbox SET payload = '{'"))
    found = sqlite_db.tx(lambda session: heard.groups(session, unlisted=True, limit=9))
    assert "wr-new" in [one.chat for one in found]
    assert "lisi" not in [one.chat for one in found]


def test_nobody_becomes_a_group_by_having_her_data_deleted(db: Database) -> None:
    """What is left of her messages: in the web chat, whose direct chats have codes of their own, and elsewhere."""

    def work(session: Session) -> None:
        for number, (channel, chat) in enumerate([("wecom_bot", "lisi"), ("web", "d-lisi"), ("web", "d-named")]):
            place = {"channel": channel, "chat": chat, "direct": True, "sender": "lisi", "text": "停水了"}
            inbox.receive(session, [letter(number).model_copy(update=place)], START)
        for row in session.scalars(sa.select(Inbox)):
            row.payload, row.outcome = json.dumps(_bare(row), separators=(",", ":")), ERASED
            session.add(row)
        assert [inbox.read(row).direct for row in session.scalars(sa.select(Inbox))] == [True] * 3

    db.tx(work)
    assert db.tx(lambda session: heard.groups(session, limit=9)) == []


@pytest.mark.usefixtures("home_db")
def test_nothing_was_heard(shell: Shell) -> None:
    assert json.loads(shell("chat", "list", "--json")[1]) == []


def test_a_newcomer_finds_the_code(shell: Shell, home_db: Database) -> None:
    some(home_db)
    code, out, _ = shell("chat", "list")
    assert (code, cells(out, "wecom_bot")) == (0, ["wecom_bot", "wr-known", "1", f"{START:%Y-%m-%d %H}:03Z", "yes"])
    assert "wr-new" in out
    code, out, _ = shell("chat", "list", "--unlisted", "--json")
    (only,) = json.loads(out)
    assert (only["chat"], only["messages"], only["listed"]) == ("wr-new", 2, False)
    assert "停水" not in out
    assert "lisi" not in out
