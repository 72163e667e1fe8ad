"""What a group may not see is masked however it is written, and what everybody may know stays as it is."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.masking import masked, mobiles, unnumbered
from handlers.texts import say

HERE = Path(__file__).parents[2]
WORDS = st.sampled_from(["", "漏水了", "我家是", "麻烦看一下，", " ", "。", "：", "（", "\n", "来人", "LS00012 "])
HOMES = st.sampled_from(
    [
        "{flat}室", "{flat} 室", "{flat}房", "{flat}户", "{flat} 户", "{house}单元{flat}", "{house}单元 {flat}",
        "二单元{flat}", "{house}幢{flat}", "{house}栋 {flat}", "{house}号楼{flat}", "{house}座{flat}号",
        "12弄{house}号{flat}", "{house}幢2单元{flat}", "{house}-2-{flat}", "{house}—2—{flat}", "{house}杠2杠{flat}",
        "1-{house}-2-{flat}", "{house}幢-2-{flat}", "A-2-{flat}", "{house}-{flat}", "{house} - {flat}",
    ]
)  # fmt: skip
FLAT = st.builds(lambda floor, door: f"{floor}{door:02}", st.integers(2, 33), st.integers(1, 24))
HOUSE = st.integers(1, 99)
PHONES = st.sampled_from(
    ["138{}", "+86138{}", "86 138 {}", "138-{}", "138 {}", "0571-{}", "(0571){}", "010 {}", "0571{}"]
)  # fmt: skip
PUBLIC = st.one_of(
    st.integers(0, 99_999).map(lambda number: f"LS{number:05}"),
    st.dates().map(str),
    st.dates().map(lambda day: f"{day.year}年{day.month}月{day.day}日"),
    st.datetimes().map(lambda at: f"{at:%m-%d %H:%M}"),
    st.times().map(lambda at: f"{at.hour}:{at.minute:02}-{at:%H:%M}"),
    st.sampled_from(["110", "119", "120", "12345", "110/119/120", "0571-12345", "300户", "3号楼120多人"]),
    st.builds("{}-{}".format, HOUSE, st.integers(1, 9)),
    st.builds("{}幢{}单元".format, HOUSE, st.integers(1, 9)),
    st.builds("{}幢拨打{}".format, HOUSE, st.sampled_from(["110", "120"])),
    st.builds("{}幢{}".format, HOUSE, st.sampled_from(["110", "119", "120"])),
    st.builds("福民路{}-{}号".format, HOUSE, st.integers(100, 999)),
)


@given(WORDS, HOMES, HOUSE, FLAT, WORDS)
def test_no_flat_is_shown(before: str, home: str, house: int, flat: str, after: str) -> None:
    shown = masked(before + home.format(house=house, flat=flat) + after)
    assert home.format(house=house, flat="***") in shown
    assert masked(shown) == shown


@given(WORDS, PHONES, st.integers(10_000_000, 99_999_999).map(str), WORDS)
def test_no_telephone_is_shown(before: str, phone: str, number: str, after: str) -> None:
    for written in (number, f"{number[:4]} {number[4:]}"):
        shown = masked(f"{before}电话{phone.format(written)}{after}")
        assert f"****{number[4:]}" in shown
        assert number[:4] not in shown.replace(number[4:], "")


@pytest.mark.parametrize(
    "phone",
    [
        "13812345678", "138 1234 5678", "138-1234-5678", "138.1234.5678", "138·1234·5678", "138・1234・5678",
        "138•1234•5678", "138_1234_5678", "138—1234—5678", "138–1234–5678", "138‑1234‑5678", "138－1234－5678",
        "138 - 1234 - 5678", "138　1234　5678", "138\xa01234\xa05678", "1381 234 5678", "138 12345 678",
        "13812 345 678", "138 12 34 56 78", "0086 138 1234 5678", "008613812345678", "0086-138-1234-5678",
        "+86.138.1234.5678", "１３８１２３４５６７８", "𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖", "١٣٨١٢٣٤٥٦٧٨", "0571.8812.1234", "0571·8812·1234",
        "(0571) 8812 1234", "31010519491231002X", "310105 19491231 002X",
        "310105 1949 1231 002X", "3101 0519 4912 3100 2X",
        "310105-19491231-002X", "３１０１０５ １９４９１２３１ ００２Ｘ",
    ],
)  # fmt: skip
def test_however_a_number_is_written(phone: str) -> None:
    for words in (phone, f"电话{phone}，谢谢", f"3幢 {phone}"):
        shown = masked(words)
        assert "****" in shown
        known = {"0571", "0086", "1234", "5678", "0086138"}
        assert set(re.findall(r"\d{4,}", shown)) <= known
        assert not {"1234", "5678"} <= set(re.findall(r"\d{4}", shown))


@pytest.mark.parametrize(
    "mark", ["\u200b", "\u00ad", "\u061c", "\u2060", "\u2064", "\ufe0f", "\U000e0101", "\U000e0061", "\u034f", "\u3164"]
)
def test_a_mark_that_nobody_sees_hides_no_number(mark: str) -> None:
    for words, shown in (("13812345678", "138****5678"), ("2单元301室", "2单元***室")):
        assert masked(mark.join(words)) == shown


@given(st.lists(PUBLIC, min_size=1, max_size=4))
def test_what_everybody_may_know_stays(said: list[str]) -> None:
    for words in ("，".join(said), "。".join(said) + "。", "\n".join(said)):
        assert masked(words) == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("２单元３０１", "2单元***"),
        ("二单元三零一室", "二单元***室"),
        ("100室开会", "***室开会"),
        ("3-2-501:漏水", "3-2-***:漏水"),
        ("2单元301.", "2单元***."),
        ("3楼301", "3楼***"),
        ("两室一厅，2室1厅", "两室一厅，2室1厅"),
        ("坐到6幢301路", "坐到6幢301路"),
        ("3号楼2026年交付", "3号楼2026年交付"),
        ("第80-120号，100-250米", "第80-120号，100-250米"),
        ("8-10-12幢，1-120幢", "8-10-12幢，1-120幢"),
        ("工单#1024", "工单#1024"),
        ("18#301，3栋B301，A1-1203", "18#***，3栋B***，A1-***"),
        ("二单元五零一漏水，打一一九", "二单元***漏水，打一一九"),
        ("301、302、303室", "***、***、***室"),
        ("301-303室", "***-***室"),
        ("2单元301和302都漏水", "2单元***和***都漏水"),
        ("3-501，502，503", "3-***，***，***"),
        ("2单元301，120来了，150人，2026年，1500元，12:30", "2单元***，120来了，150人，2026年，1500元，12:30"),
        ("138****8000、301，0571-****8888", "138****8000、301，0571-****8888"),
        ("订单号913812345678901", "订单号913812345678901"),
        ("电表186 2026-03-02，186.50元 2026.03.02", "电表186 2026-03-02，186.50元 2026.03.02"),
        ("2026-03-02 2026-03-12 19:00", "2026-03-02 2026-03-12 19:00"),
        ("LS00042 2026-03-02 13-15幢", "LS00042 2026-03-02 13-15幢"),
        ("共1350 1480 900元", "共1350 1480 900元"),
    ],
)
def test_at_the_border(words: str, shown: str) -> None:
    assert masked(words) == shown


def test_nothing_is_left_of_a_number() -> None:
    said = "小顾 138.1234.5678，座机0571-88886666，证310101199003078888，3幢301，１３８ １２３４ ５６７８"
    assert unnumbered(said) == "小顾 ***，座机***，证***，3幢301，***"


def test_mobiles_however_they_are_written() -> None:
    said = "打13812345678或138-1234-5679，座机0571-88886666，１３８１２３４５６７０"
    assert sorted(mobiles(said)) == ["138****5670", "138****5678", "138****5679"]


def test_places_and_sentences_stay() -> None:
    """What handlers may tell a group: the town's places, and the bot's own words."""
    tables = [HERE / "config/demo/places.csv", *HERE.glob("nlu/data/towns/*/places.csv")]
    places = [row["name"] for table in tables for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())]
    assert len(places) > 1000
    assert [name for name in places if masked(name) != name] == []
    urgent = say("opened_urgent", number="LS00042", place="桂雨名苑12幢", category="燃气泄漏")
    assert masked(urgent) == urgent
