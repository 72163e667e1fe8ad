"""What the task page must not show."""

import pytest

from bot.task_view import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("电话 138 1234 5678。", "电话 [电话]。"),
        ("+86-13912345678", "[电话]"),
        ("打0570-8123456", "打[电话]"),
        ("１３８１２３４５６７８", "[电话]"),
        ("单号2026030212345678", "单号2026030212345678"),
        ("3幢1302室", "3幢1302室"),
    ],
)
def test_a_phone_is_masked_and_other_numbers_are_not(text: str, shown: str) -> None:
    assert masked(text) == shown
