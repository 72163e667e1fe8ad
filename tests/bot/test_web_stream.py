"""The stream of the web chat: no line is lost or doubled, whoever comes, goes, or writes from elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import ClientResponse
from sqlmodel import Session, SQLModel

from bot.channels.web import WebChannel
from bot.channels.web_stream import Feed, Listener
from models.chat import Chat, ChatKind
from models.database import Database
from models.grid import Grid
from models.message import Incoming, Outgoing
from models.person import Duty, Identity, Person, Role
from models.schema import upgrade
from models.webchat import WebMessage
from tests.bot.conftest import Browser, Say

NOW = datetime(2026, 3, 2, 7, 31, tzinfo=UTC)
SOUTH, NORTH, ALL = "g-QX-01-01", "g-QX-01-02", "g-QX-01"


def town(session: Session) -> None:
    """One community with two micro-grids; two in the south, one in the north, and the gridworker of all."""
    people = {"U01": "QX-01-01", "L01": "QX-01-01", "U02": "QX-01-02", "W01": "QX-01"}
    rows: list[SQLModel] = [Grid(code="QX-01", level=1, name="社区")]
    rows += [Grid(code=code, parent="QX-01", level=2, name=code) for code in ("QX-01-01", "QX-01-02")]
    rows += [Chat(channel="web", code=f"g-{grid}", kind=ChatKind.GROUP, grid=grid) for grid in set(people.values())]
    rows += [Person(code=code, name=code) for code in people]
    rows += [Duty(person=code, role=Role.RESIDENT, grid=grid) for code, grid in people.items()]
    rows += [Identity(person=code, channel="web", user=code.lower()) for code in people]
    for row in rows:
        session.add(row)
        session.flush()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A migrated database with the little town."""
    database = Database(f"sqlite:///{tmp_path / 'web.db'}")
    upgrade(database)
    database.tx(town)
    yield database
    database.close()


@pytest.fixture
async def channel(db: Database, tmp_path: Path) -> AsyncIterator[WebChannel]:
    """The channel with a standing clock."""
    made = WebChannel(db, tmp_path / "media", clock=lambda: NOW)
    yield made
    await made.stop()


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def line(self, within: float = 3.0) -> dict[str, Any]:
        """The next line; its event id must be its own id."""
        number = ""
        async with asyncio.timeout(within):
            while True:
                text = (await self.answer.content.readline()).decode().rstrip("\n")
                if text.startswith("id: "):
                    number = text[4:]
                if text.startswith("data: "):
                    line: dict[str, Any] = json.loads(text[6:])
                    assert number == str(line["id"])
                    return line

    async def quiet(self, seconds: float = 0.8) -> bool:
        """True when no line comes for a while."""
        try:
            await self.line(seconds)
        except TimeoutError:
            return True
        return False


async def listen(browser: Browser, person: str, after: int | None = None, last: int | None = None) -> Stream:
    """Open the stream: `after` in the address, `last` as the header of a browser that comes back."""
    params = {"person": person} | ({} if after is None else {"after": str(after)})
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    answer = await browser.get("/chat/api/stream", params=params, headers=headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return Stream(answer)


async def test_a_line_of_the_bot_arrives_once(browser: Browser, channel: WebChannel) -> None:
    stream = await listen(browser, "U01")
    numbers = {await channel.send(Outgoing(channel="web", chat=SOUTH, text="记下了"), "o1") for _ in range(3)}
    line = await stream.line()
    assert (line["text"], line["sender"], {line["message"]}) == ("记下了", "bot", numbers)
    assert await stream.quiet()


async def test_another_process_is_heard_and_other_chats_are_not(
    browser: Browser, db: Database, channel: WebChannel
) -> None:
    stream = await listen(browser, "U01", after=0)
    await WebChannel(db, Path("unused")).send(Outgoing(channel="web", chat=NORTH, text="不是你的"), "o1")
    await WebChannel(db, Path("unused")).send(Outgoing(channel="web", chat=ALL, text="是你的"), "o2")
    assert (await stream.line())["text"] == "是你的"


async def test_coming_back_loses_nothing_and_doubles_nothing(browser: Browser, say: Say) -> None:
    stream = await listen(browser, "L01")
    for number in range(3):
        await say("U01", SOUTH, str(number))
    texts = [(await stream.line())["text"], (line := await stream.line())["text"]]
    stream.answer.close()
    for number in range(3, 300):  # more than one reading holds
        await say("U01", SOUTH, str(number))
    back = await listen(browser, "L01", after=0, last=line["id"])
    texts += [(await back.line())["text"] for _ in range(298)]
    await say("U01", SOUTH, "300")
    texts.append((await back.line())["text"])
    assert texts == [str(number) for number in range(301)]
    assert await back.quiet()


async def test_lines_posted_while_browsers_come_and_go_reach_each_once(browser: Browser, say: Say) -> None:
    async def talk() -> None:
        for number in range(60):
            await say("U01", SOUTH, str(number))

    async def follow(rounds: int) -> list[str]:
        texts: list[str] = []
        last = 0
        while len(texts) < 60:
            stream = await listen(browser, "L01", last=last)
            for _ in range(min(rounds, 60 - len(texts))):
                line = await stream.line(10)
                last = line["id"]
                texts.append(line["text"])
            stream.answer.close()
        return texts

    _, *heard = await asyncio.gather(talk(), follow(7), follow(11), follow(60))
    assert all(texts == [str(number) for number in range(60)] for texts in heard)


async def test_a_smaller_id_that_is_committed_later_still_arrives(browser: Browser, db: Database) -> None:
    body = Incoming(id="x", channel="web", chat=SOUTH, sender="u01", sent_at=NOW, text="晚到").model_dump_json()

    def line(number: int) -> None:
        row = WebMessage(id=number, client_id=f"in:{number}", chat=SOUTH, sender="u01", body=body, at=NOW)
        db.tx(lambda session: session.add(row))

    stream = await listen(browser, "U01")
    for number in (40, 39, 1):
        line(number)
        assert (await stream.line())["id"] == number
    assert await stream.quiet()


async def test_a_browser_that_left_is_forgotten(browser: Browser, channel: WebChannel) -> None:
    stream = await listen(browser, "U01")
    feed = channel._feed
    assert len(feed._listeners) == 1
    stream.answer.close()
    async with asyncio.timeout(5):
        while feed._listeners or (feed._reader and not feed._reader.done()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_stream_ends_when_the_service_stops(browser: Browser, channel: WebChannel) -> None:
    stream = await listen(browser, "U01")
    await channel.stop()
    async with asyncio.timeout(3):
        assert b"still" not in await stream.answer.content.read()


async def test_the_table_is_read_by_one_reader_whatever_the_number_of_browsers(
    browser: Browser, channel: WebChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0
    original = Feed._read_once

    async def counted(feed: Feed) -> bool:
        nonlocal readings
        readings += 1
        return await original(feed)

    monkeypatch.setattr(Feed, "_read_once", counted)
    for person in ("U01", "U02", "L01", "W01", "U01", "U02"):
        await listen(browser, person)
    before = readings
    await asyncio.sleep(1.0)
    assert 1 <= readings - before <= 5


def test_a_listener_that_falls_behind_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.channels.web_stream.HELD", 2)
    listener = Listener([SOUTH])
    for number in range(3):
        listener.offer({"id": number, "chat": SOUTH})
    assert listener.lost


async def test_a_database_that_is_away_for_a_moment_does_not_end_the_stream(
    browser: Browser, channel: WebChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await listen(browser, "U01")
    await channel.send(Outgoing(channel="web", chat=SOUTH, text="在"), "o0")
    assert (await stream.line())["text"] == "在"

    def away(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr("bot.channels.web_stream.since", away)
        await channel.send(Outgoing(channel="web", chat=SOUTH, text="还在"), "o1")
        await asyncio.sleep(0.5)
    assert (await stream.line())["text"] == "还在"


async def test_a_heartbeat_keeps_the_line_open(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.channels.web_api.HEARTBEAT", 0.1)
    stream = await listen(browser, "U01")
    async with asyncio.timeout(5):
        while (await stream.answer.content.readline()) != b": still here\n":
            continue
