"""One writing for the same character, and numbers as people write them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nlu.normalize import normalize, number


@given(st.text())
@example("３幢　Ａ座，樓梯間\u200b\ufe0f")
@example("İﬀß👨‍👩‍👧")
def test_the_length_is_kept(text: str) -> None:
    assert len(normalize(text)) == len(text)


@given(st.text())
@example("Ａ座")
def test_twice_is_once(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("３幢", "3幢"),
        ("Ａ座", "a座"),
        ("B座", "b座"),
        ("樓道燈壞了", "楼道灯坏了"),
        ("電梯　停　了", "电梯 停 了"),
        ("（急）！", "(急)!"),
        ("3\u00a0幢", "3 幢"),
        ("垃圾桶", "垃圾桶"),
    ],
)
def test_one_writing(written: str, same: str) -> None:
    assert normalize(written) == same


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", "3"), ("03", "3"), ("12", "12"), ("三", "3"), ("两", "2"), ("幺", "1"), ("〇", "0"),
        ("十", "10"), ("十二", "12"), ("二十", "20"), ("三十五", "35"), ("廿", "20"), ("廿三", "23"),
        ("一百", "100"), ("百", "100"), ("一百零五", "105"), ("一百一十", "110"),
        ("二百三十四", "234"), ("一百二", "120"), ("五零一", "501"), ("幺零二", "102"), ("3幢", "3"),
        ("第十二栋", "12"), ("a", "A"), ("南", ""), ("", ""), ("ab", ""),
    ],
)  # fmt: skip
def test_numbers(written: str, value: str) -> None:
    assert number(written) == value


@given(st.text(alphabet="零〇一二两三四五六七八九十百廿幺0123456789第号", max_size=6))
@example("二三十")
@example("十十")
def test_whatever_is_written_a_number_or_nothing_comes_out(written: str) -> None:
    # 二三十栋 is what people say; whoever says it must not stop the bot.
    found = number(written)
    assert found == "" or found.isascii()
    assert found == "" or found.isdigit()
