"""The grammar of where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu import grammar
from nlu.normalize import normalize


def named(text: str) -> list[tuple[str, str, str, str]]:
    """What the grammar finds: number, unit, floor, room."""
    return [(b.no, b.unit, b.floor, b.room) for b in grammar.buildings(normalize(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3幢楼道灯坏了", [("3", "", "", "")]),
        ("十二栋电梯停了", [("12", "", "", "")]),
        ("12#没水", [("12", "", "", "")]),
        ("A座大堂", [("A", "", "", "")]),
        ("b3栋", [("B3", "", "", "")]),
        ("3号楼2单元5楼", [("3", "2", "5", "")]),
        ("3幢2单元501漏水", [("3", "2", "", "501")]),
        ("3-2-501漏水", [("3", "2", "", "501")]),
        ("３幢", [("3", "", "", "")]),
        ("三号楼二单元", [("3", "2", "", "")]),
        ("5幢、6幢都停水", [("5", "", "", ""), ("6", "", "", "")]),
        ("1-3幢停水", [("1", "", "", ""), ("3", "", "", "")]),
        ("1到3号楼停水", [("1", "", "", ""), ("3", "", "", "")]),
        ("第4排中间那家", [("4", "", "", "")]),
        ("染坊弄15号", [("15", "", "", "")]),
        ("两号楼停水", [("2", "", "", "")]),
        ("住在3排", [("3", "", "", "")]),
        ("着火了3排东头冒烟", [("3", "", "", "")]),
        ("10排11排停水", [("10", "", "", ""), ("11", "", "", "")]),
        ("8号灯火通明", [("8", "", "", "")]),
    ],
)
def test_buildings(text: str, found: list[tuple[str, str, str, str]]) -> None:
    assert named(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "坐2号线来的", "3号早上修好", "打这个号码", "楼道灯坏了", "一排队就是半天", "3号开始停水", "我今年60了",
        "wifi连不上", "13号下午来", "3月5号前",
        "3月5号停电通知", "明天5号", "7号到货", "",
        "停了两排车", "又停了3排电动车", "两栋都没水", "二号桩扫不上", "3号灯杆歪了", "一食堂三号窗口", "2号车又晚点",
    ],
)  # fmt: skip
def test_no_buildings(text: str) -> None:
    assert named(text) == []


@given(st.text(alphabet="零一二三四五六七八九十百廿两0123456789幢栋号楼单元层室-~到、a座排院# ", max_size=14))
def test_whatever_stands_there_positions_hold(text: str) -> None:
    for building in grammar.buildings(text):
        assert 0 <= building.start < building.end <= len(text)
        assert building.no


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    normal = normalize(text)
    grammar.buildings(normal)
    assert grammar.says_home(normal) in (True, False)


@pytest.mark.parametrize(
    "text",
    ["我家楼下有人吵", "我们这栋停水了", "阿拉楼里灯坏了", "自家门口", "咱们单元门坏了", "俺家没电", "楼上天天蹦"],
)
def test_the_own_home(text: str) -> None:
    assert grammar.says_home(text)


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("俺这也是 跺脚都不亮", True),
        ("我们那灯也不亮", True),
        ("阿拉这边也停了", True),
        ("我家这边楼道灯也不亮", True),
        ("我们这都停水了", True),
        ("我这里人", False),
        ("我这个月的物业费", False),
        ("我这才发现路灯坏了一大排", False),
        ("我这刚路过 井盖翘起来了", False),
        ("我们这条路的路灯都坏了", False),
        ("我们这小区路灯坏了一排", False),
        ("我们那几栋都停水了", False),
        ("我那儿子", False),
        ("我那快递", False),
        ("我这不是刚下班吗", False),
        ("余额这边查不到", False),
        ("我那么早就报了", False),
        ("我这人不爱说", False),
        ("这边也停了", False),
        ("", False),
    ],
)
def test_where_the_writer_is(text: str, here: bool) -> None:
    assert grammar.says_here(text) is here


@pytest.mark.parametrize("text", ["隔壁那栋太吵了", "3幢没电", "路口灯坏了", "我家对面那栋装修", ""])
def test_not_the_own_home(text: str) -> None:
    assert not grammar.says_home(text)


@pytest.mark.parametrize("text", ["不对 是5幢", "打错了 5幢", "说错了是南门", "更正一下"])
def test_a_correction(text: str) -> None:
    assert grammar.CORRECTION.search(text)


def test_what_is_taken_back() -> None:
    assert grammar.NOT_THERE.search("不是")
    assert grammar.NOT_THERE.search("不在我们")
    assert not grammar.NOT_THERE.search("是")
