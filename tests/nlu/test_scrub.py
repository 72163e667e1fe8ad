"""What is kept beside an artefact tells neither who wrote it nor where she lives."""

import pytest

from nlu import features
from nlu.gazetteer import Gazetteer
from nlu.grams import grams
from nlu.normalize import normalize
from nlu.scrub import scrub

PEOPLE = ("王建国", "朵朵妈")
NAMES = Gazetteer([("柳岸花园", "P"), ("柳岸花园3栋", "P3")])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("我是柳岸花园3栋2单元501的王建国 电话138 1234 5678", "我是柳岸花园3栋2单元000的某某某 电话000 0000 0000"),
        ("3-2-501漏水 微信：abc_12345 加我", "3-2-000漏水 微信：000000000 加我"),
        ("@朵朵妈 你家楼上1203室太吵", "@某某某 你家楼上0000室太吵"),
        ("@小邻 @阿杰 路灯坏了", "@小邻 @某某 路灯坏了"),
        ("浙A12345停在消防通道", "浙000000停在消防通道"),
        ("张女士 １３８１２３４５６７８", "某女士 00000000000"),
        ("五零一室漏水 打一三八一二三四五六七八", "000室漏水 打00000000000"),
        ("我叫张伟 身份证33010219900101123x", "我叫某某 身份证000000000000000000"),
        ("楼上1801天天吵", "楼上0000天天吵"),
        ("6号楼 101 漏水 电话0571-88123456", "6号楼 000 漏水 电话0000-00000000"),
    ],
)
def test_names_numbers_and_flats_go(text: str, kept: str) -> None:
    assert scrub(text, PEOPLE) == kept


@pytest.mark.parametrize(
    "text",
    ["报110了 打12345没人理", "我叫了物业来 没人管", "2026年水费交了300元", "电梯停在18楼", "12栋顶楼", "8号楼的路灯"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text, PEOPLE) == text


@pytest.mark.parametrize(
    "text", ["柳岸花园3栋2单元501漏水 13812345678", "3-2-501漏水", "我家1203室 楼上太吵", "6号楼101漏水"]
)
def test_the_engine_learns_the_same_from_it(text: str) -> None:
    def seen(said: str) -> list[str]:
        plain = normalize(said)
        return grams(features.mask(plain, features.places(plain, NAMES)))

    assert seen(scrub(text)) == seen(text)


def test_a_name_of_one_character_is_no_name() -> None:
    assert scrub("王府井的灯", ["王", ""]) == "王府井的灯"
