"""One writing for the same character. Keeps the length, so that positions hold in the text as it was written."""

import re
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def _table() -> str:
    """What each character of the basic plane becomes, by its number. A string: characters that a dictionary does not
    have would each raise an error inside `str.translate`, six times slower."""
    table = {0x3000: " ", 0x00A0: " ", 0x200B: " ", 0xFE0F: " "}
    table.update({code: chr(code - 0xFEE0).lower() for code in range(0xFF01, 0xFF5F)})  # full-width ASCII
    pairs = "".join(
        line
        for line in (Path(__file__).parent / "variants.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    table.update({ord(pairs[i]): pairs[i + 1] for i in range(0, len(pairs), 2)})
    table.update({ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    table.update({0xFF10 + digit: str(digit) for digit in range(10)})
    return "".join(table.get(code, chr(code)) for code in range(0x10000))


def normalize(text: str) -> str:
    """Simplified characters, half-width ASCII, lower case; as long as `text`."""
    return text.translate(_table())


_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1, "廿": 2}
_SHAPE = re.compile(
    r"(?:(?P<hundreds>[一二两三四五六七八九])?百[零〇]?)?(?:(?P<tens>[一二三四五六七八九])?十|(?P<score>廿))?(?P<ones>[一二两三四五六七八九])?"
)
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
    return _chinese(digits)


def _chinese(digits: str) -> str:
    """A Chinese number up to 999; "" for what is none (十十, 二三十)."""
    match = _SHAPE.fullmatch(digits)
    if match is None:
        return str(int("".join(str(_DIGITS[c]) for c in digits))) if all(c in _DIGITS for c in digits) else ""
    hundreds, tens, ones = match["hundreds"], match["tens"], match["ones"]
    value = 100 * _DIGITS.get(hundreds, 1) if "百" in digits else 0
    if "十" in digits:
        value += 10 * _DIGITS.get(tens, 1)
    elif match["score"]:
        value += 20
    if ones:
        # 一百二 is 120, 一百零二 is 102.
        value += _DIGITS[ones] * (10 if digits[-2:-1] == "百" else 1)
    return str(value)
