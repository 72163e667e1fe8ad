"""The deployment's own names in a text."""

from hypothesis import given
from hypothesis import strategies as st

from nlu.gazetteer import NOWHERE, STOP, Gazetteer
from nlu.normalize import normalize

TOWN = Gazetteer(
    [
        ("柳岸花园", "E1"), ("柳岸花园南门", "G1"), ("南门", "G1"), ("梧桐里南门", "G2"), ("南门", "G2"),
        ("Ｍ酒吧", "S1"), ("門口塘", "P1"), ("圆", "P2"), ("小区", "P3"), ("12345", "P4"),
        (" 老井 ", "P5"), ("", "P6"), ("南门", "G1"),
    ]
)  # fmt: skip


def found(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(span.text, span.codes) for span in TOWN.find(normalize(text))]


def test_names_left_to_right() -> None:
    assert found("老井那边 还有柳岸花园") == [("老井", ("P5",)), ("柳岸花园", ("E1",))]


def test_the_longest_name_wins() -> None:
    assert found("柳岸花园南门堵了") == [("柳岸花园南门", ("G1",))]


def test_a_name_of_several_places() -> None:
    assert found("南门堵了") == [("南门", ("G1", "G2"))]


def test_names_are_normalised_as_texts_are() -> None:
    assert found("m酒吧太吵") == [("m酒吧", ("S1",))]
    assert found("门口塘") == [("门口塘", ("P1",))]


def test_what_is_no_name() -> None:
    assert found("圆 小区 12345 ") == []
    assert all(not Gazetteer([(word, "X")]).find(f"在{word}这里") for word in STOP)


def test_the_same_row_twice_is_once() -> None:
    assert len(TOWN) == len({"柳岸花园", "柳岸花园南门", "南门", "梧桐里南门", "m酒吧", "门口塘", "老井"})


def test_no_names_at_all() -> None:
    assert len(NOWHERE) == 0
    assert NOWHERE.find("柳岸花园") == []


@given(
    st.lists(st.sampled_from(["柳岸花园", "南门", "老井", "😀", "x", " ", "梧桐里南门", "的"]), max_size=12).map(
        "".join
    )
)
def test_positions_hold_and_do_not_overlap(text: str) -> None:
    end = 0
    for span in TOWN.find(text):
        assert span.start >= end
        assert text[span.start : span.end] == span.text
        assert span.kind == "location"
        end = span.end
