"""Corrections are divided by time, and a matter is never on both sides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from nlu import lessons
from nlu.corpus import Example
from nlu.gazetteer import NOWHERE, Gazetteer
from nlu.lessons import Lesson
from nlu.types import Context

DAY = datetime(2026, 3, 2, tzinfo=UTC)
WORDS = [
    "电梯又停在半路了", "路灯黑了三天没人来修", "垃圾堆成山臭得要命", "楼顶漏水漏到客厅", "消防通道被车堵死",
    "半夜装修吵得睡不着", "化粪池满了", "树枝压断电线", "井盖翘起来绊人", "门禁坏了谁都能进",
]  # fmt: skip


def lesson(number: int, text: str = "", group: str = "", day: int | None = None) -> Lesson:
    """One a day, each of its own matter and in its own words, if nothing else is said."""
    example = Example(text or WORDS[number], "report", "facility.lighting", context=Context(), corrected=True)
    when = DAY + timedelta(days=number if day is None else day)
    return Lesson(f"k{number}", group or f"g{number}", when, example)


def keys(found: list[Lesson]) -> list[str]:
    return [one.key for one in found]


def test_the_older_ones_are_learned_from() -> None:
    older, newer = lessons.divide([lesson(n) for n in reversed(range(10))])
    assert keys(older) == [f"k{n}" for n in range(7)]
    assert keys(newer) == ["k7", "k8", "k9"]


def test_no_matter_on_both_sides() -> None:
    told = [lesson(n) for n in range(8)] + [lesson(8, group="g0"), lesson(9, group="g7")]
    older, newer = lessons.divide(told)
    assert "k8" in keys(older)
    assert {"k7", "k9"} <= set(keys(newer))
    assert {one.group for one in older}.isdisjoint(one.group for one in newer)


def test_the_same_words_at_another_place_stay_together() -> None:
    told = [lesson(n) for n in range(9)] + [lesson(9, "3幢电梯又停在半路了")]
    older, _ = lessons.divide(told)
    assert {"k0", "k9"} <= set(keys(older))


def test_matters_that_a_third_one_joins_are_one() -> None:
    told = [lesson(0), lesson(8, group="g1"), lesson(1, group="g1"), lesson(9, WORDS[0], group="g1")]
    older, newer = lessons.divide(told, share=0.1)
    assert (len(older), newer) == (4, [])


def test_few_or_none() -> None:
    assert lessons.divide([]) == ([], [])
    assert [len(part) for part in lessons.divide([lesson(0)])] == [1, 0]
    assert [len(part) for part in lessons.divide([lesson(0), lesson(1), lesson(2)])] == [3, 0]
    assert [len(part) for part in lessons.divide([lesson(n) for n in range(4)])] == [3, 1]


def test_of_the_same_only_the_newest_is_kept() -> None:
    told = [lesson(0, "3幢电梯又停在半路了"), lesson(1, "12幢电梯又停在半路了"), lesson(2)]
    other = Lesson("k9", "g9", DAY, Example("电梯又停在半路了", "chatter", corrected=True))
    assert keys(lessons.once([*told, other])) == ["k9", "k1", "k2"]


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    names = Gazetteer([("柳岸花园", "P")])
    told = [lesson(0), Lesson("k1", "g1", DAY, Example("早", "chatter", urgent=False, corrected=True))]
    lessons.write(tmp_path / "learned.jsonl", told)
    found = lessons.read(tmp_path / "learned.jsonl", names)
    assert [(one.key, one.group, one.at, one.example.text, one.example.context) for one in found] == [
        ("k0", "g0", DAY, WORDS[0], Context()),
        ("k1", "g1", DAY, "早", None),
    ]
    assert all(one.example.names is names and one.example.corrected for one in found)
    assert (tmp_path / "learned.jsonl").stat().st_mode & 0o077 == 0
    assert lessons.read(tmp_path / "none.jsonl", NOWHERE) == []


def test_fields_of_a_context_that_are_gone_are_passed_over() -> None:
    assert lessons.context_of({"direct": True, "of_old": 3}) == Context(direct=True)


def test_words_that_were_taken_back_go(tmp_path: Path) -> None:
    file = tmp_path / "held.jsonl"
    lessons.write(file, [lesson(0), lesson(1)])
    lessons.forget(file, {"k1"})
    assert keys(lessons.read(file, NOWHERE)) == ["k1"]
    assert WORDS[0] not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0
    lessons.forget(tmp_path / "none.jsonl", set())
