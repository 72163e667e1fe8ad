"""微信客服: kinds of messages that no page describes, and forwarded records that hold them, on both databases."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.channels.wecom_kf.letters import MOST_LINES
from models.database import Database
from tests.platform.harness import TestPlatform
from tests.platform.kf import App, serving

USER = "wm-lihua"
PICTURE = {"send_time": 1665649618, "msgtype": "image", "sender_name": "阿杰", "msg_content": "{}"}


@pytest.fixture
async def app(p: TestPlatform, db: Database, tmp_path: Path) -> AsyncIterator[App]:
    async with serving(p, db, tmp_path / "media") as made:
        yield made


def item(kind: str, inner: object, **more: Any) -> dict[str, Any]:
    """One message of a record."""
    content = json.dumps({"msgtype": kind, kind: inner}, ensure_ascii=False)
    return {"send_time": 1665649618, "msgtype": kind, "sender_name": "朵朵妈", "msg_content": content} | more


def line(words: str, **more: Any) -> dict[str, Any]:
    return item("text", {"content": words}, **more)


async def forwarded(app: App, *items: object) -> list[str]:
    """She forwards a record; what of it is heard."""
    await app.p.kf._write(USER, "merged_msg", {"title": "群聊的聊天记录", "item": list(items)}, "[聊天记录]")
    await app.look()
    return [one.text for one in app.heard()[-1].forwarded]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("note", {}), ("business_card", {"userid": "x"}), ("channels", {"sub_type": 1, "nickname": "n", "title": ""}),
        ("merged_msg", {"title": "t", "item": [PICTURE]}), ("merged_msg", {"title": "t"}), ("something_new", {"a": 1}),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_heard_without_words(app: App, kind: str, body: dict[str, Any]) -> None:
    said = await app.p.kf._write(USER, kind, body, "[?]")
    app.p.kf.messages.append(app.p.kf.messages[0] | {"msgid": "of-a-servicer", "origin": 5})
    assert await app.look() == 1
    assert [(one.id, one.words, one.direct) for one in app.heard()] == [(said.id, "", True)]


@pytest.mark.parametrize(
    "broken",
    [
        line("", msg_content="not JSON"), line("", msg_content="[" * 100_000), line("", msg_content=None), "words",
        None, item("text", "words"), item("text", None), {"msgtype": "text"}, PICTURE, item("merged_msg", None),
    ],
    ids=range(10),
)  # fmt: skip
async def test_one_line_that_cannot_be_read_takes_no_other_with_it(app: App, broken: object) -> None:
    assert await forwarded(app, line("6幢停水了"), broken, line("我们也停了")) == ["6幢停水了", "我们也停了"]


async def test_a_line_without_its_time_is_a_line(app: App) -> None:
    assert await forwarded(app, line("6幢停水了", send_time="yesterday"), line("真的", send_time=10**30)) == [
        "6幢停水了", "真的",
    ]  # fmt: skip


async def test_a_pin_and_a_link_in_a_record_are_their_words(app: App) -> None:
    found = await forwarded(
        app, item("location", {"name": "柳岸花园3幢", "address": "柳岸路1号"}), item("link", {"title": "停水通知"})
    )
    assert found == ["柳岸花园3幢\n柳岸路1号", "停水通知"]


async def test_a_record_in_a_record_is_one(app: App) -> None:
    inner = item("merged_msg", {"title": "t", "item": [line("二"), item("merged_msg", {"item": [line("三")]})]})
    assert await forwarded(app, line("一"), inner, line("四")) == ["一", "二", "三", "四"]


async def test_a_record_without_end_is_read_some_way_down(app: App) -> None:
    deep = line("底")
    for _ in range(9):
        deep = item("merged_msg", {"title": "t", "item": [line("层"), deep]})
    assert await forwarded(app, deep) == ["层"] * 3


async def test_what_is_too_much_is_counted_in_the_log(app: App) -> None:
    with capture_logs() as logs:
        found = await forwarded(app, *(line(f"第{number}句") for number in range(MOST_LINES + 20)))
    assert len(found) == MOST_LINES
    assert [entry["left_out"] for entry in logs if entry["event"] == "kf.record_cut"] == [20]
    assert "句" not in str(logs)
