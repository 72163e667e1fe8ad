"""Where, in the demo town: what residents of 清溪街道 say, and which place is meant."""

from collections.abc import Callable
from typing import Any

import pytest

from handlers.place import CHAT, SAID, Placement, Where, locate, said
from handlers.town import Town
from nlu.features import places
from nlu.normalize import normalize
from nlu.types import Span

SOUTH, NORTH, WEST, EAST = "QX-01-01-01", "QX-01-01-02", "QX-02-01-01", "QX-02-01-02"
GRAIN, WORKS, NEW = "QX-01-02-01", "QX-01-02-02", "QX-03-01-01"
Ask = Callable[..., Placement]


@pytest.fixture
def where(shared_town: Town) -> Ask:
    """`where("3幢停水", group=…, home=…)`: the names are found as the engine finds them."""

    def ask(text: str, group: str | None = None, home: str | None = None, **pin: Any) -> Placement:
        spans = tuple(places(normalize(text), shared_town.names))
        return locate(shared_town, Where(text=text, spans=spans, chat_grid=group, home=home, **pin))

    return ask


@pytest.mark.parametrize(
    ("group", "place"),
    [(SOUTH, "P-LA-B03"), (WEST, "P-GY-B03"), (GRAIN, "P-LZ-B03"), (WORKS, "P-JX-B03"), (NEW, "P-BS-B03")],
)
def test_a_number_is_one_of_the_groups_own(where: Ask, group: str, place: str) -> None:
    found = where("3幢楼道灯坏了", group)
    assert (found.place, found.grid, found.options) == (place, group, ())


@pytest.mark.parametrize("said", ["3幢", "三栋", "3号楼", "3#", "３幢", "3 幢", "柳岸花园3幢", "柳岸3号楼"])
def test_one_building_many_ways_to_write_it(where: Ask, said: str) -> None:
    assert where(f"{said}楼道灯坏了", SOUTH).place == "P-LA-B03"


def test_a_number_in_a_direct_chat_is_near_the_home(where: Ask) -> None:
    assert where("3幢楼道灯坏了", None, "P-GY-B02").place == "P-GY-B03"
    assert where("3幢楼道灯坏了", None, "P-LZ-B01").place == "P-LZ-B03"
    assert where("3幢楼道灯坏了", None, "P-LA-B03").place == "P-LA-B03"


def test_a_number_that_the_group_has_not_is_the_nearest(where: Ask) -> None:
    # 7幢 stands in the north of the same estate and in another community; 4幢 next to 粮站宿舍 is 机械厂新村's.
    assert (where("7幢停水", SOUTH).place, where("7幢停水", SOUTH).options) == ("P-LA-B07", ())
    assert (where("4幢停水", GRAIN).place, where("4幢停水", GRAIN).options) == ("P-JX-B04", ())


def test_equally_near_numbers_are_asked_about(where: Ask) -> None:
    found = where("4幢停水", "QX-01")
    assert found.unsure
    assert set(found.options) == {"P-LA-B04", "P-JX-B04"}
    assert found.place in found.options


def test_never_more_than_three_to_choose_from(where: Ask) -> None:
    found = where("3幢停水了", "QX")
    assert len(found.options) == 3


def test_a_number_that_nobody_has(where: Ask) -> None:
    found = where("99幢停水", SOUTH)
    assert (found.place, found.grid, found.options) == (None, SOUTH, ())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("丝厂公寓2幢电梯坏了", "P-SC-B02"),
        ("丝厂2幢电梯坏了", "P-SC-B02"),
        ("桂花糕店门口积水", "P-GHJ-GG"),
        ("白石新苑的垃圾房臭死了", "P-BS-LJ"),
        ("我在粮站宿舍 3号楼这边 下水道堵了", "P-LZ-B03"),
    ],
)
def test_a_named_place_beats_the_group(where: Ask, text: str, place: str) -> None:
    found = where(text, SOUTH, "P-LA-B01")
    assert (found.place, found.options) == (place, ())
    assert found.grid != SOUTH


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("不是4幢 是5幢", "P-LA-B05"),
        ("说错了 是2幢 不是1幢", "P-LA-B02"),
        ("1幢停水了 打错了 2幢", "P-LA-B02"),
        ("是6幢，不是5幢", "P-LA-B06"),
        ("讲错了 5幢", "P-LA-B05"),
        ("漏水的不是车库 是3幢", "P-LA-B03"),
        ("弗是2幢，是3幢", "P-LA-B03"),
    ],
)
def test_a_correction(where: Ask, text: str, place: str) -> None:
    found = where(text, SOUTH)
    assert (found.place, found.wide, found.options) == (place, False, ())


@pytest.mark.parametrize(
    ("text", "place", "grid"),
    [
        ("1-3幢都停水了", "P-LAS", SOUTH),
        ("5幢6幢都停水", "P-LAS", SOUTH),
        ("5幢、7幢都没水", "P-LA", "QX-01-01"),
        ("1到10幢全停电", "P-LA", "QX-01-01"),
    ],
)
def test_several_buildings_are_what_holds_them_all(where: Ask, text: str, place: str, grid: str) -> None:
    found = where(text, SOUTH)
    assert found.wide
    assert (found.place, found.grid) == (place, grid)


def test_the_finer_place_inside_a_named_one(where: Ask) -> None:
    assert where("柳岸花园南区垃圾亭满了", NORTH).place == "P-LA-RS"
    assert where("柳岸花园停水了", NORTH).place == "P-LA"


@pytest.mark.parametrize(
    ("text", "group", "place"),
    [
        ("扔垃圾那里臭死了", SOUTH, "P-LA-RS"),
        ("大圆盘那边地砖翘了", SOUTH, "P-LA-SQ"),
        ("西区地库进水了", WEST, "P-GY-UW"),
        ("拿快递那里灯不亮", EAST, "P-GY-YZ"),
        ("樟树底下有人烧垃圾", "QX-03-02-01", "P-SB-ZS"),
    ],
)
def test_nicknames(where: Ask, text: str, group: str, place: str) -> None:
    assert where(text, group).place == place


@pytest.mark.parametrize(
    ("text", "group", "place"),
    [
        ("南门道闸坏了", NEW, "P-BS-GD"),  # no alias: its name is all there is
        ("大门那里积水", WORKS, "P-JX-GD"),
        ("垃及亭满出来了", SOUTH, "P-LA-RS"),  # keyboards write by sound
    ],
)
def test_what_stands_there_once_needs_no_full_name(where: Ask, text: str, group: str, place: str) -> None:
    found = where(text, group, "P-LA-B01" if group == SOUTH else None)
    assert (found.place, found.options) == (place, ())


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("单元大门锁坏了 关不上", WORKS),
        ("3单元大门门禁坏了", WORKS),
        ("有人天天把垃圾放楼道里", SOUTH),
        ("楼道卫生是谁负责的", SOUTH),
        ("十一号楼停水了", WORKS),
    ],
)
def test_everyday_words_are_no_place(where: Ask, text: str, group: str) -> None:
    found = where(text, group).place
    assert found is None or found == "P-LA-B11", text


def test_the_flat_behind_a_named_building_is_no_other_building(where: Ask) -> None:
    for text in ("桂雨名苑3幢302打了隔断", "柳岸花园3幢2单元501漏水"):
        assert where(text, None).place == ("P-GY-B03" if "桂雨" in text else "P-LA-B03")


def test_words_that_put_another_place_right_say_so(where: Ask) -> None:
    assert where("说错了 是2幢 不是1幢", SOUTH).corrects
    assert where("是2幢 不是那边", SOUTH).corrects
    assert where("漏水的不是车库 是3幢", SOUTH).corrects
    assert not where("2幢停水", SOUTH).corrects
    assert not where("搞错了吧 我们5幢没停", SOUTH).corrects


def test_a_nickname_of_several_is_the_groups_own(where: Ask) -> None:
    assert where("南门堵了", SOUTH).place == "P-LA-GS"
    assert where("垃圾房臭", NEW).place == "P-BS-LJ"
    assert set(where("居委会门口", "QX").options) == {"P-JX-JW", "P-SC-JW", "P-BS-JW"}


def test_a_pin_near_a_place(where: Ask) -> None:
    found = where("井盖没了", None, lon=118.9091, lat=28.9547)
    assert (found.place, found.grid) == ("P-LA-GS", SOUTH)
    # The pin beats the group's grid and the home.
    assert where("井盖没了", NORTH, "P-GY-B02", lon=118.9091, lat=28.9547).place == "P-LA-GS"
    # What is named beats the pin.
    assert where("10幢井盖没了", NORTH, lon=118.9091, lat=28.9547).place == "P-LA-B10"


def test_a_pin_inside_a_grid_and_a_pin_far_away(where: Ask, shared_town: Town) -> None:
    inside = next(
        (lon / 10_000, lat / 10_000)
        for lon in range(1_189_020, 1_189_270, 3)
        for lat in range(289_545, 289_750, 3)
        if shared_town.at(lon / 10_000, lat / 10_000) == WEST
        and all(
            abs(lon / 10_000 - (p.lon or 0)) > 0.0007 or abs(lat / 10_000 - (p.lat or 0)) > 0.0006
            for p in shared_town.places.values()
        )
    )
    found = where("", None, lon=inside[0], lat=inside[1])
    assert (found.place, found.grid) == (None, WEST)
    away = where("", SOUTH, lon=0.0, lat=0.0)
    assert (away.place, away.grid) == (None, SOUTH)


@pytest.mark.parametrize("text", ["我家楼下有人吵", "我们这栋停水了", "阿拉楼里灯坏了", "家门口被堵了"])
def test_the_own_home(where: Ask, text: str) -> None:
    for group in (SOUTH, None):
        found = where(text, group, "P-LA-B03")
        assert (found.place, found.grid) == ("P-LA-B03", SOUTH)


def test_the_own_home_of_somebody_unregistered(where: Ask) -> None:
    assert (where("我家楼下有人吵", SOUTH).place, where("我家楼下有人吵", SOUTH).grid) == (None, SOUTH)
    assert (where("我家楼下有人吵").place, where("我家楼下有人吵").grid) == (None, None)
    assert where("我家楼下有人吵", SOUTH, "P-XX-B99").place is None  # a home that was taken off the map


def test_a_home_that_nobody_spoke_of_is_a_guess(where: Ask) -> None:
    # Of the training towns' residents who name no place, most mean their own building: worth a guess, never a word.
    found = where("楼道灯坏了", SOUTH, "P-LA-B03")
    assert (found.place, found.weight, found.from_home) == ("P-LA-B03", CHAT, True)
    direct = where("路灯坏了", None, "P-LA-B03")
    assert (direct.grid, direct.weight) == (SOUTH, CHAT)


def test_the_spot_has_unit_and_floor_but_no_room(where: Ask) -> None:
    assert where("3幢2单元5楼灯坏了", SOUTH).spot == "2单元5楼"
    found = where("3-2-501漏水", SOUTH)
    assert (found.place, found.spot) == ("P-LA-B03", "2单元")
    assert "501" not in "".join(found.evidence)


def test_words_for_a_place_that_nobody_knows_are_evidence(shared_town: Town) -> None:
    def ask(text: str, words: str, **more: Any) -> Placement:
        start = text.index(words)
        form = Span(start, start + len(words), "location", words, how="form")
        found = (*places(normalize(text), shared_town.names), form)
        return locate(shared_town, Where(text=text, spans=found, chat_grid=SOUTH, **more))

    unknown = ask("老榕树那里路灯不亮", "老榕树那里")
    assert unknown.evidence[-1] == f"{SAID}«老榕树那里»"
    assert said(unknown.evidence) == ["老榕树那里"]
    assert (unknown.place, unknown.grid) == (locate(shared_town, Where(text="路灯不亮", chat_grid=SOUTH)).place, SOUTH)
    assert said(ask("圆盘老榕树那里路灯不亮", "老榕树那里").evidence) == [], "the place is named"
    assert said(ask("老榕树那里1102室漏水", "老榕树那里1102室").evidence) == ["老榕树那里0000室"]


@pytest.mark.parametrize("text", ["", "   ", "😀", "。。。", "二三十栋楼都停了", "十十幢", "第三百零零栋", "9999999幢"])
def test_words_that_are_no_place_are_no_fault(where: Ask, text: str) -> None:
    assert where(text, SOUTH).grid is not None
