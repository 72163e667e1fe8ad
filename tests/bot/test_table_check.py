"""The tables of a deployment: all that is wrong is said before the first message needs one."""

from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.table_check import check, faults
from config import tables
from config.tables import TableError

ZONE = ZoneInfo("Asia/Shanghai")
SHIPPED = (files("config") / "replies.yaml").read_text(encoding="utf-8")


def own(home: Path, name: str, text: str) -> list[str]:
    """What is wrong where a deployment has this table."""
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / name).write_text(text, encoding="utf-8")
    tables.use(home)
    return faults(ZONE)


def test_what_ships_can_be_used() -> None:
    assert faults(ZONE) == []
    check(ZONE)


def test_a_sentence_may_leave_blanks_out(tmp_path: Path) -> None:
    line = next(line for line in SHIPPED.splitlines() if line.startswith("opened:"))
    assert own(tmp_path, "replies.yaml", SHIPPED.replace(line, 'opened: "已登记 {number}"')) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("noted:", "knoted:", "there is no sentence 'noted'"),
        ("  photo:", "  foto:", "words: there is no 'photo'"),
        ("已记到 {number}。", "已记到 {numer}。", "nothing fills {numer}"),
        ("已记到 {number}。", "已记到 {number。", "noted: "),
        ("已记到 {number}。", "已记到 {}。", "nothing fills {}"),
    ],
)
def test_a_sentence_that_cannot_be_said(tmp_path: Path, before: str, after: str, said: str) -> None:
    found = own(tmp_path, "replies.yaml", SHIPPED.replace(before, after))
    assert found
    assert all(one.startswith("replies.yaml: ") for one in found)
    assert said in " ".join(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("categories.csv", "code,name\nfacility,公共设施\n"),
        ("decisions.yaml", "open: 2\n"),
        ("faq.yaml", "faq: [{ask: [几点上班]}]\n"),
        ("faq.yaml", "faq: 7\n"),
        ("lexicon.yaml", "urgent: {fire: {words: '('}}\n"),
        ("lexicon.yaml", "urgent: [fire]\n"),
        ("replies.yaml", "[\n"),
        ("tiers.yaml", "tiers: {1: {limit: soon}}\n"),
        ("workdays.yaml", "workdays: [tomorrow]\n"),
    ],
)
def test_every_table_is_looked_at(tmp_path: Path, name: str, text: str) -> None:
    found = own(tmp_path, name, text)
    assert [one for one in found if one.startswith(name)]
    with pytest.raises(TableError, match=name.replace(".", r"\.")):
        check(ZONE)
