"""What sets a message apart from the matter it follows."""

import pytest

from handlers.contrast import contrasts, of_long_ago, set_apart
from nlu.normalize import normalize


def signs(mine: str, theirs: str) -> set[str]:
    return set(contrasts(normalize(mine), normalize(theirs)))


@pytest.mark.parametrize(
    "text",
    [
        "对了 楼道窗户也没关",
        "另外门口那堆沙没人管",
        "哦还有，车棚漏雨",
        "再就是南头的箅子冒水",
        "还有２单元的门也打不开",
    ],
)
def test_a_turn_begins_something_else(text: str) -> None:
    assert signs(text, "电梯停了") == {"turns"}


@pytest.mark.parametrize(
    "text",
    [
        "还没来人吗", "这事对了没", "你说的另外一部", "要是今天能来就好", "", "   ", "还有没有人来", "还有多久",
        "还有人管吗", "还有水吗", "说到底还没修", "另外一部也停了",
    ],
)  # fmt: skip
def test_no_turn(text: str) -> None:
    assert signs(text, "电梯停了") == set()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("西边那个楼梯也不亮", "东边楼梯间摸黑"),
        ("右边那部关门得关三回", "左边那个停在5跟6当间"),
        ("南门的杆子抬不起来", "北门道闸坏了"),
        ("三单元的灯也不亮", "1单元灯坏了"),
        ("二号电梯晃得厉害", "1号电梯不动了"),
        ("二十一单元门禁坏了", "十一单元门禁坏了"),
    ],
)
def test_another_side_is_another_thing(mine: str, theirs: str) -> None:
    assert signs(mine, theirs) == signs(theirs, mine) == {"other side"}


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("东边那部也是", "东边那部停了"),  # the same one
        ("你那是西边 我说的东边", "西边楼梯不亮"),  # names both
        ("左边那个", "东边那个"),  # not to be compared
        ("1单元2单元都停了", "2单元停电"),
        ("三楼也没水", "五楼没水"),  # a matter spreads over storeys
        ("江南门店门口", "北门坏了"),  # half of another word
    ],
)
def test_no_other_side(mine: str, theirs: str) -> None:
    assert signs(mine, theirs) == set()


def test_what_is_said_not_to_be_it() -> None:
    assert signs("我家也烦 不过不是水 是网", "停水了？还是就我家") == {"not that"}
    assert signs("不是水的事 是电", "3幢停水了") == {"not that"}


@pytest.mark.parametrize(
    "text", ["是不是停水", "这不是水吗", "不是修了吗", "不是的 还没好", "不是3幢是6幢", "不是没水"]
)
def test_what_only_sounds_like_it(text: str) -> None:
    assert signs(text, "3幢停水了 没修 的确") == set()


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("我们这栋反过来 门关不上", True),
        ("我说另一个 小花园边上那辆", True),
        ("4号楼也不亮 跟你们不是一路线", True),
        ("我这边是漏 顶楼洇了一大片", True),
        ("我们这栋也是", False),
        ("另外一部也停了", False),
        ("跟物业说了不是一次两次了", False),
        ("声音跟平时不一样", False),
        ("我们这边是5幢", False),
        ("这边是不是也停了", False),
        ("里面还有另一个老人", False),
        ("", False),
    ],
)
def test_what_says_that_it_is_something_else(text: str, apart: bool) -> None:
    assert set_apart(normalize(text)) is apart


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("去年城里那家也是", True),
        ("上次修了三天", True),
        ("我们以前也这样", True),
        ("上个月才换的", True),
        ("晚上回家也是黑的", False),
        ("马上回去看看", False),
        ("天黑以前能修好吗", False),
        ("9点以前", False),
        ("跟以前一样黑", False),
        ("刚才又这样", False),
        ("", False),
    ],
)
def test_another_time(text: str, long: bool) -> None:
    assert of_long_ago(normalize(text)) is long
