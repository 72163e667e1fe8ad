"""One writing for the same character. Keeps the length, so that positions hold in the text as it was written."""

import re
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    table = {0x3000: " ", 0x00A0: " ", 0x200B: " ", 0xFE0F: " "}
    table.update({code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})  # full-width ASCII
    pairs = "".join(
        line
        for line in (Path(__file__).parent / "variants.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    table.update({ord(pairs[i]): pairs[i + 1] for i in range(0, len(pairs), 2)})
    table.update({ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    table.update({0xFF10 + digit: str(digit) for digit in range(10)})
    return table


def normalize(text: str) -> str:
    """Simplified characters, half-width ASCII, lower case; as long as `text`."""
    return text.translate(_table())


_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1, "廿": 2}
_NUMBER = re.compile(r"\d+|[零〇一二两三四五六七八九十百廿幺]+")


def number(text: str) -> str:
    """The number in a piece of a place, as ASCII digits: 十二 → 12, 五零一 → 501, 廿三 → 23; letters stay: a → A.

    Returns "" when there is none.
    """
    found = _NUMBER.search(text)
    if not found:
        return text.upper() if len(text) == 1 and text.isascii() and text.isalpha() else ""
    digits = found.group()
    if digits.isdigit():
        return str(int(digits))
    if "百" in digits:
        hundreds, _, rest = digits.partition("百")
        return str(_DIGITS.get(hundreds, 1) * 100 + int(number(rest.lstrip("零〇")) or 0))
    if "十" in digits:
        tens, _, ones = digits.partition("十")
        return str((_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones[-1]] if ones else 0))
    if digits[0] == "廿":
        return str(20 + (_DIGITS[digits[-1]] if len(digits) > 1 else 0))
    return str(int("".join(str(_DIGITS[c]) for c in digits)))
