"""The web chat, as browsers use it: who sees what, and what is posted is kept once."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import ClientResponse, FormData
from sqlmodel import Session, SQLModel, col

from bot.channels.web import WebChannel
from bot.channels.web_photo import MAX_BYTES
from models.chat import Chat, ChatKind
from models.database import Database
from models.grid import Grid, Place
from models.inbox import Inbox, read
from models.message import Button, Card, Incoming, Kind, Outgoing
from models.person import Duty, Identity, Person, Role
from models.schema import upgrade
from models.webchat import WebMessage
from tests.bot.conftest import Browser, Say
from tests.photos import is_bare_and_whole, photo

NOW = datetime(2026, 3, 2, 7, 31, tzinfo=UTC)
PNG = photo("PNG")
SOUTH, NORTH, ALL = "g-QX-01-01", "g-QX-01-02", "g-QX-01"


def town(session: Session) -> None:
    """One community with two micro-grids; a resident in each, a leader, a gridworker, and one not on this channel."""
    rows: list[SQLModel] = [
        Grid(code="QX-01", level=1, name="柳岸社区"),
        Grid(code="QX-01-01", parent="QX-01", level=2, name="南区"),
        Grid(code="QX-01-02", parent="QX-01", level=2, name="北区"),
        Place(code="P1", name="柳岸花园1幢", aliases="1号楼", kind="building", grid="QX-01-01", lon=118.9, lat=28.9),
        Place(code="P2", name="柳岸花园", kind="estate", grid="QX-01"),
        Place(code="P3", name="50%折扣店", kind="shop", grid="QX-01", lon=118.8, lat=28.8),
        Chat(channel="web", code=ALL, kind=ChatKind.GROUP, grid="QX-01", name="柳岸社区居民群"),
        Chat(channel="web", code=SOUTH, kind=ChatKind.GROUP, grid="QX-01-01", name="南区邻里群"),
        Chat(channel="web", code=NORTH, kind=ChatKind.GROUP, grid="QX-01-02", name="北区邻里群"),
        Chat(channel="wechat_mp", code="elsewhere", kind=ChatKind.GROUP, grid="QX-01", name="别处"),
        Chat(channel="web", code="d-u02", kind=ChatKind.DIRECT, name="阿杰"),
    ]
    people = [
        ("U01", "朵朵妈", Role.RESIDENT, "QX-01-01", "P1"),
        ("U02", "阿杰", Role.RESIDENT, "QX-01-02", None),
        ("L01", "秀英姐", Role.LEADER, "QX-01-01", None),
        ("U03", "住在村口", Role.RESIDENT, "QX-01", None),
        ("W01", "网格员小顾", Role.GRIDWORKER, "QX-01", None),
    ]
    for row in rows:
        session.add(row)
        session.flush()
    for code, name, role, grid, home in people:
        session.add(Person(code=code, name=name, home=home))
        session.flush()
        session.add(Duty(person=code, role=role, grid=grid))
        session.add(Identity(person=code, channel="web", user=code.lower()))
    session.add(Person(code="X01", name="不在这里"))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A migrated database with the little town."""
    database = Database(f"sqlite:///{tmp_path / 'web.db'}")
    upgrade(database)
    database.tx(town)
    yield database
    database.close()


@pytest.fixture
async def channel(db: Database, tmp_path: Path, woken: list[str]) -> AsyncIterator[WebChannel]:
    """The channel with a standing clock."""
    made = WebChannel(db, tmp_path / "media", wake=lambda: woken.append("up"), clock=lambda: NOW)
    yield made
    await made.stop()


async def seen(browser: Browser, person: str, chat: str, **query: Any) -> list[dict[str, Any]]:
    """The history as this person sees it."""
    answer = await browser.get(f"/chat/api/chats/{chat}/messages", params={"person": person, **query})
    assert answer.status == 200
    found: list[dict[str, Any]] = (await answer.json())["messages"]
    return found


def inbox(db: Database) -> list[Incoming]:
    """What waits for the worker."""
    return db.tx(lambda session: [read(row) for row in session.scalars(sa.select(Inbox).order_by(sa.text("id")))])


async def refusal(answer: ClientResponse) -> tuple[int, str]:
    """Status and field of a fault; its sentence must be there."""
    body = await answer.json()
    assert body["error"]
    return answer.status, body["field"]


# Who sits where


@pytest.mark.parametrize(
    ("person", "chats"),
    [
        ("U01", {"d-u01", SOUTH, ALL}),
        ("L01", {"d-l01", SOUTH, ALL}),
        ("U02", {"d-u02", NORTH, ALL}),
        ("U03", {"d-u03", ALL}),
        ("W01", {"d-w01", SOUTH, NORTH, ALL}),
    ],
)
async def test_everybody_sits_in_her_own_groups(browser: Browser, person: str, chats: set[str]) -> None:
    answer = await browser.get(f"/chat/api/people/{person}")
    assert {chat["code"] for chat in (await answer.json())["chats"]} == chats


async def test_the_picker_shows_who_is_on_this_channel(browser: Browser) -> None:
    people = (await (await browser.get("/chat/api/people")).json())["people"]
    assert [person["code"] for person in people] == ["L01", "U01", "U02", "U03", "W01"]
    first = people[1]
    assert [first[key] for key in ("name", "user", "home", "roles")] == ["朵朵妈", "u01", "柳岸花园1幢", ["resident"]]


async def test_an_imported_direct_chat_becomes_hers_and_is_not_made_twice(browser: Browser, db: Database) -> None:
    for _ in range(2):
        await asyncio.gather(*(browser.get(f"/chat/api/people/{code}") for code in ("U01", "U02")))
    with Session(db.engine) as session:
        directs = session.scalars(sa.select(Chat).where(Chat.kind == ChatKind.DIRECT)).all()  # type: ignore[arg-type]
    assert sorted((chat.code, chat.person) for chat in directs) == [("d-u01", "U01"), ("d-u02", "U02")]


async def test_nobody_reads_or_writes_where_she_does_not_sit(browser: Browser, say: Say, db: Database) -> None:
    await browser.get("/chat/api/people/U02")
    for chat in (NORTH, "d-u02"):
        assert await refusal(await say("U01", chat, "让我进来")) == (403, "chat")
        assert await refusal(await browser.get(f"/chat/api/chats/{chat}/messages?person=U01")) == (403, "chat")
    for chat in ("g-nowhere", "elsewhere", "%00"):
        assert await refusal(await say("U01", chat, "有人吗")) == (404, "chat")
    for person in ("U99", "X01", "a\0b"):
        assert await refusal(await say(person, SOUTH, "我是谁")) == (404, "person")
    for address in ("/chat/api/people/U99", "/chat/api/stream?person=U99"):
        assert await refusal(await browser.get(address)) == (404, "person")
    assert inbox(db) == []


# Posting


async def test_a_text_is_shown_and_waits_for_the_worker(
    browser: Browser, say: Say, db: Database, woken: list[str]
) -> None:
    answer = await say("U01", SOUTH, "@邻声 停水了？？", mentions=["bot"], client_id="m1")
    line = (await answer.json())["message"]
    assert answer.status == 200
    assert (line["message"], line["name"], line["text"]) == ("m1", "朵朵妈", "@邻声 停水了？？")
    assert line["at"] == NOW.isoformat()
    assert await seen(browser, "L01", SOUTH) == [line]
    [message] = inbox(db)
    assert (message.id, message.sender, message.sender_name, message.sent_at) == ("m1", "u01", "朵朵妈", NOW)
    assert (message.to_bot, message.direct) == (True, False)
    assert woken


async def test_in_the_direct_chat_the_bot_is_always_meant(say: Say, db: Database) -> None:
    assert (await say("U01", "d-u01", "我家漏水")).status == 200
    assert inbox(db)[0].direct


async def test_posting_again_gives_the_same_answer_and_no_second_row(browser: Browser, say: Say, db: Database) -> None:
    answers = await asyncio.gather(*(say("U01", SOUTH, "垃圾满了", client_id="again") for _ in range(5)))
    bodies = [await answer.json() for answer in answers]
    assert all(body == bodies[0] for body in bodies)
    assert len(await seen(browser, "U01", SOUTH)) == len(inbox(db)) == 1
    assert await refusal(await say("L01", SOUTH, "我也是", client_id="again")) == (409, "client_id")
    db.tx(lambda session: session.connection().execute(sa.delete(Inbox)).rowcount)  # what retention does one day
    assert await (await say("U01", SOUTH, "垃圾满了", client_id="again")).json() == bodies[0]
    assert inbox(db) == []


async def test_line_and_message_are_written_both_or_not_at_all(
    browser: Browser, say: Say, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("bot.channels.web_post.receive", broken)
        assert (await say("U01", SOUTH, "停水了", client_id="m1")).status == 500
    assert await seen(browser, "U01", SOUTH) == []
    assert inbox(db) == []
    assert (await say("U01", SOUTH, "停水了", client_id="m1")).status == 200
    assert len(await seen(browser, "U01", SOUTH)) == len(inbox(db)) == 1


async def test_a_place_a_quote_and_a_pressed_button(
    browser: Browser, say: Say, channel: WebChannel, db: Database
) -> None:
    card = Card(title="停水", facts=(("时限", "今天"),), buttons=(Button(text="我来处理", action="accept:42"),))
    number = await channel.send(Outgoing(channel="web", chat=SOUTH, text="有一件新事", card=card), "o1")
    await say("U01", SOUTH, lon=118.9, lat=28.9, label="柳岸花园1幢", client_id="here")
    await say("L01", SOUTH, "看到了", quote="here")
    await say("L01", SOUTH, action="accept:42", quote=number)
    kinds = [message.kind for message in inbox(db)]
    assert kinds == [Kind.LOCATION, Kind.TEXT, Kind.CARD]
    assert inbox(db)[2].action == "accept:42"
    bot, place, text, press = await seen(browser, "U01", SOUTH)
    assert (bot["sender"], bot["name"], bot["message"]) == ("bot", "邻声", number)
    assert bot["card"]["buttons"] == [{"text": "我来处理", "action": "accept:42"}]
    assert (place["lon"], place["lat"], place["label"]) == (118.9, 28.9, "柳岸花园1幢")
    assert (text["quoted"]["name"], text["quoted"]["text"]) == ("朵朵妈", "柳岸花园1幢")
    assert press["quoted"]["name"] == "邻声"


async def test_what_is_recalled_leaves_nothing_but_the_fact(browser: Browser, say: Say, db: Database) -> None:
    await say("U01", SOUTH, "我家在3幢501", client_id="oops")
    await say("L01", SOUTH, "收到", quote="oops")
    assert await refusal(await say("L01", SOUTH, recalls="oops")) == (403, "recalls")
    assert await refusal(await say("U01", SOUTH, recalls="never")) == (404, "recalls")
    assert (await say("U01", SOUTH, recalls="oops")).status == 200
    lines = await seen(browser, "L01", SOUTH)
    assert lines[0]["recalled"]
    assert "501" not in json.dumps(lines)
    rows = db.tx(lambda session: list(session.scalars(sa.select(col(WebMessage.body)))))
    assert not [body for body in rows if "501" in body]
    assert (lines[2]["kind"], lines[2]["recalls"]) == ("recall", "oops")
    assert inbox(db)[-1].recalls == "oops"


# Photos


def form(data: bytes, **fields: str) -> FormData:
    """A form as a browser sends it; the name and the type it claims are never believed."""
    made = FormData()
    for name, value in fields.items():
        made.add_field(name, value)
    made.add_field("photo", io.BytesIO(data), filename="../../evil.html", content_type="text/html")
    return made


@pytest.mark.parametrize(
    ("data", "ending"), [(PNG, "png"), (photo(), "jpeg"), (photo("WEBP"), "jpeg")], ids=["PNG", "JPEG", "WebP"]
)
async def test_a_photo_is_kept_once_and_without_its_place(
    browser: Browser, db: Database, tmp_path: Path, data: bytes, ending: str
) -> None:
    address = f"/chat/api/chats/{SOUTH}/messages"
    for attempt in ("p1", "p1", "p2"):
        answer = await browser.post(address, data=form(data, person="U01", text="你看", client_id=attempt))
        assert answer.status == 200
    [name] = (await answer.json())["message"]["photos"]
    mime = f"image/{ending}"
    assert name.endswith("." + ending.replace("jpeg", "jpg"))
    assert [file.name for file in (tmp_path / "media").iterdir()] == [name]
    first, _ = inbox(db)
    assert (first.kind, first.text, first.media[0].path, first.media[0].mime) == (Kind.IMAGE, "你看", name, mime)
    shown = await browser.get(f"/chat/api/media/{name}")
    assert is_bare_and_whole(await shown.read())
    assert (shown.headers["Content-Type"], shown.headers["X-Content-Type-Options"]) == (mime, "nosniff")


async def test_what_is_no_photo_is_refused(browser: Browser, db: Database, tmp_path: Path) -> None:
    address = f"/chat/api/chats/{SOUTH}/messages"
    svg, large, empty = b"<svg xmlns='x'><script/></svg>", PNG + bytes(MAX_BYTES), b""
    for data, status in ((svg, 415), (PNG[:60], 415), (b"#!AMR of a voice", 415), (large, 413), (empty, 400)):
        assert await refusal(await browser.post(address, data=form(data, person="U01"))) == (status, "photo")
    assert await refusal(await browser.post(address, data=form(PNG, person="U02"))) == (403, "chat")
    assert await refusal(await browser.post(address, data=form(PNG, person="U01", kind="text"))) == (400, "kind")
    torn = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"nothing", b"--x\r\n\r\nhalf", b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nGIF89a'):
        assert (await refusal(await browser.post(address, data=body, headers=torn)))[0] == 400
    assert inbox(db) == []
    assert not (tmp_path / "media").exists()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a\0.jpg"\r\n\r\nGIF89a\r\n--x--\r\n'),
        ({}, b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 20_000 + b'"\r\n\r\nx\r\n--x--\r\n'),
        ({"Content-Encoding": "gzip"}, b"--x\r\n"),
        ({"Content-Encoding": "gzip", "Content-Type": "application/json"}, b"{}"),
        ({"Content-Encoding": "deflate", "Content-Type": "application/json"}, b"\xff\xff"),
        ({"Content-Encoding": "br", "Content-Type": "application/json"}, b"{}"),
    ],
)
async def test_a_body_that_cannot_be_taken_apart(
    browser: Browser, db: Database, headers: dict[str, str], body: bytes
) -> None:
    told = {"Content-Type": "multipart/form-data; boundary=x"} | headers
    answer = await browser.post(f"/chat/api/chats/{SOUTH}/messages", data=body, headers=told)
    assert (answer.status, inbox(db)) == (400, [])


async def test_no_path_leads_out_of_the_folder(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "notes.txt").write_text("private")
    for name in ("notes.txt", "..%2Fweb.db", "%2e%2e%2fweb.db", "0" * 64 + ".png", "%00", "a" * 64 + ".png%0a"):
        assert await refusal(await browser.get(f"/chat/api/media/{name}")) == (404, "name")


# Faults


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": "  \0 "}, "text"),
        ({"text": "字" * 2001}, "text"),
        ({"text": "好", "kind": "voice"}, "kind"),
        ({"kind": "shout"}, "kind"),
        ({"kind": "location"}, "kind"),
        ({"lon": 118.9}, "lat"),
        ({"lon": 181, "lat": 0}, "lon"),
        ({"lon": 1, "lat": "nan"}, "lat"),
        ({"text": "好", "client_id": "a b"}, "client_id"),
        ({"text": "好", "client_id": "x" * 101}, "client_id"),
        ({"text": "好", "quote": "a\0"}, "quote"),
        ({"text": "好", "colour": "red"}, "colour"),
        ({"text": "好", "mentions": ["bot"] * 21}, "mentions"),
        ({"action": "a b"}, "action"),
        ({"kind": "image", "text": "好"}, "kind"),
    ],
)
async def test_a_wrong_field_is_named(say: Say, db: Database, fields: dict[str, Any], field: str) -> None:
    assert await refusal(await say("U01", SOUTH, **fields)) == (400, field)
    assert inbox(db) == []


async def test_a_wrong_body_is_refused(browser: Browser) -> None:
    address, json_type = f"/chat/api/chats/{SOUTH}/messages", {"Content-Type": "application/json"}
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"person": "\xff"}', 400), (b" " * 70_000, 413)):
        assert (await refusal(await browser.post(address, data=body, headers=json_type)))[0] == status
    assert (await refusal(await browser.post(address, data="person=U01")))[0] == 415
    for number in ("x", "-1", "9" * 30):
        asked = await browser.get(address, params={"person": "U01", "before": number})
        assert await refusal(asked) == (400, "before")
        asked = await browser.get("/chat/api/stream", params={"person": "U01", "after": number})
        assert await refusal(asked) == (400, "after")


async def test_history_comes_in_pages(browser: Browser, say: Say) -> None:
    for number in range(65):
        await say("U01", SOUTH, f"第{number}句")
    newest = await seen(browser, "U01", SOUTH)
    older = await seen(browser, "U01", SOUTH, before=newest[0]["id"])
    assert [line["text"] for line in (*older, *newest)] == [f"第{number}句" for number in range(65)]
    assert len(newest) == 60


async def test_places_are_found_by_any_of_their_names(browser: Browser) -> None:
    async def found(words: str) -> list[str]:
        answer = await browser.get("/chat/api/places", params={"q": words})
        return [place["code"] for place in (await answer.json())["places"]]

    assert await found("1号楼") == ["P1"]
    assert await found("柳岸") == ["P1"]  # the estate has no degrees, so it cannot be sent
    assert await found("%") == ["P3"]
    assert await found("a\0") == []


# The page


async def test_the_page_runs_only_its_own_files(browser: Browser) -> None:
    answer = await browser.get("/chat?person=U01")
    page = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page
    assert "<style" not in page
    assert "://" not in page
    for file in ("main.js", "frame.css", "talk.css", "compose.css", "icon.svg"):
        assert f"/static/chat/{file}" in page
        assert (await browser.get(f"/static/chat/{file}")).status == 200
