"""The menu's table, and what a notice's fields take."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bot.channels.wechat_mp.menu import menu, words
from bot.channels.wechat_mp.notices import repeat_id, values
from config import tables
from config.settings import OfficialAccountSettings
from config.tables import TableError
from models.message import Card, Outgoing

AT = datetime(2026, 3, 2, 8, 5, tzinfo=ZoneInfo("Asia/Shanghai"))


def test_the_menu_that_ships_fits() -> None:
    found = menu()["button"]
    assert len(found) <= 3
    assert all(len(button["name"].encode()) <= 16 for button in found)
    assert "删除我的信息" in words()


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("menu: []", "1 to 3"),
        ("menu: [{name: a, say: x}, {name: b, say: x}, {name: c, say: x}, {name: d, say: x}]", "1 to 3"),
        ("menu: [{name: 六个汉字的名字, say: x}]", "16 bytes"),
        ("menu: [{name: a}]", "one of them"),
        ("menu: [{name: a, say: x, url: 'https://x'}]", "one of them"),
        ("menu: [{name: a, url: 'http://x'}]", "https"),
        ("menu: [{name: a, say: " + "水" * 42 + "}]", "bytes"),
        ("menu: [{name: a, menu: []}]", "below"),
        ("menu: [{name: a, menu: [{name: b, menu: [{name: c, say: x}]}]}]", "below"),
        ("menu: [a]", "mapping"),
        ("other: 1", "1 to 3"),
    ],
)
def test_a_wrong_menu_is_said(tmp_path: Path, table: str, wrong: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "wechat_menu.yaml").write_text(table, encoding="utf-8")
    tables.use(tmp_path)
    with pytest.raises(TableError, match=wrong):
        menu()


def out(text: str = "", **more: object) -> Outgoing:
    return Outgoing.model_validate({"channel": "wechat_mp", "chat": "o1", "text": text} | more)


def test_fields_are_cut_to_what_they_take() -> None:
    fields = {
        "thing1": "{text}",
        "character_string2": "{number}",
        "phrase3": "{text}",
        "time4": "{time}",
        "x": "{text}",
    }
    told = values(fields, out("水" * 50, ticket=42), AT)
    assert {name: len(value["value"]) for name, value in told.items()} == {
        "thing1": 20, "character_string2": 7, "phrase3": 5, "time4": 15, "x": 20,
    }  # fmt: skip
    assert told["time4"] == {"value": "2026年3月2日 08:05"}


def test_no_field_is_empty_and_no_words_are_a_link() -> None:
    assert values({"thing1": "{text}", "thing2": "{number}"}, out(), AT) == {
        "thing1": {"value": "-"}, "thing2": {"value": "-"},
    }  # fmt: skip
    shown = values({"thing1": "{text}"}, out("<a href=x>领奖</a>\n@all"), AT)["thing1"]["value"]
    assert ("<a" in shown, "\n" in shown, "@all" in shown) == (False, False, False)
    assert values({"thing1": "{text}"}, out(card=Card(title="LS00042")), AT)["thing1"] == {"value": "LS00042"}


def test_a_second_try_has_the_same_id() -> None:
    assert repeat_id("outbox:1") == repeat_id("outbox:1") != repeat_id("outbox:2")
    assert len(repeat_id("x" * 500)) == 32


@pytest.mark.parametrize("pattern", ["{phone}", "{0}", "{text", "{text.__class__}x{"])
def test_blanks_that_nobody_fills_are_said_at_the_start(pattern: str) -> None:
    with pytest.raises(ValidationError, match="blanks"):
        OfficialAccountSettings.model_validate({"template_fields": {"thing1": pattern}})
