"""What does not belong into a group: numbers of telephones, of identity cards and of flats. PIPL 25, 28.

Buildings, units, dates, times, tickets' numbers and the hotlines stay. A number that may be flat or count (1202户) is
taken for a flat, unless it is round (300户). Marks that nobody sees are taken out first: one within a number would hide
it from us, and from nobody else.
"""

import re
import unicodedata
from functools import lru_cache

# What no screen shows: controls, formats (also what turns the direction of writing), line and paragraph separators;
# and, of other kinds, joiners, fillers and variation selectors.
_KINDS = ("Cc", "Cf", "Zl", "Zp")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
_BREAKS = "\t\n\r"

_FIGURE = re.compile(r"[^\D0-9]")  # the ten figures in another script, or of another width
_WIDE = str.maketrans("－＋Ｘｘ", "-+Xx")
_BY = r"[ \t\xa0\u3000.．·・•_＿‐-―−-]{0,3}"  # what may part the figures of one number
_APART = _BY.replace("{0,3}", "{1,3}")
_MOBILE = tuple(
    re.compile(rf"(?<!\d)((?:(?:00)?86{_BY})?1[3-9]\d){_BY}{tail}(?!\d)")
    # Only as people group them: a figure and a date (186 2026-03-02) are none.
    for tail in (
        rf"\d{{4}}{_BY}(\d{{4}})",  # 138 1234 5678
        rf"\d{_BY}\d{{3}}{_BY}(\d{{4}})",  # 1381 234 5678
        rf"\d\d{_BY}\d{{3}}{_BY}(\d{{3}})",  # 138 12345 678, 13812 345 678
        rf"\d\d{_APART}\d\d{_APART}(\d\d{_APART}\d\d)",
    )
)
_PHONE_SHOWN = r"\1****\2"
_LANDLINE = re.compile(rf"(?<!\d)(0\d{{2,3}}[)）]?{_BY})\d{{3,4}}{_BY}(\d{{4}})(?!\d)")
# 18 figures in one, or parted where the year of birth begins and ends, or by fours.
_CITIZEN = (
    re.compile(r"(?<!\d)(\d{3})\d{13}(\d[\dXx])(?!\d)"),
    re.compile(rf"(?<!\d)(\d{{3}})\d{{3}}{_BY}(?:18|19|20)\d\d{_BY}\d{{4}}{_BY}\d\d(\d[\dXx])(?!\d)"),
    re.compile(rf"(?<!\d)(\d{{3}})\d{_BY}\d\d(?:18|19|20){_BY}(?:\d{{4}}{_BY}){{2}}(\d[\dXx])(?!\d)"),
)

_DASH = " ?[-—–杠] ?"
_FLAT = r"[1-9]\d?(?!00)\d\d(?!\d)"  # floor and flat: 301, 1202; no floor has a flat 00
_NOT_SO = r"(?!\s?[元块个米年月天斤分秒平多万路]|[:：.]\d|-\d\d?-\d)"  # 3号楼2026年, 6幢301路, 3幢 2026-03-02
_NO_HOUSE = r"(?!\s?(?:号楼|[幢栋座]))"  # 8-10-12幢
_NO_HOTLINE = r"(?!1(?:10|19|20|22)(?!\d))"
_FLATS = tuple(
    re.compile(rf"(?P<stays>{before}){flat}")
    for before, flat in (
        (r"(?<!\d)", r"\d{1,4}(?=\s?室(?!.?厅))"),  # and no 2室1厅
        (r"(?<!\d)", rf"(?:\d{{3,4}}(?=\s?房)|{_FLAT}(?=\s?户))"),
        (r"", r"[零〇一二三四五六七八九幺两]{3,4}(?=[室户房])"),
        (r"(?:[幢栋座楼]|\d#|单元门?|弄\d{1,4}号)[ #-]?[A-Za-z]?", rf"{_NO_HOTLINE}{_FLAT}{_NOT_SO}"),
        (r"(?:[幢栋座楼]|单元门?)", r"[一二三四五六七八九]{1,2}[零〇][一二三四五六七八九]"),
        # 3-2-501, 3幢-2-501; a date begins with its year, and the 03-02 of one has a nought.
        (
            rf"(?<![\dA-Za-z:])[\dA-Za-z]\d{{0,2}}[幢栋座]?{_DASH}\d{{1,2}}(?:单元)?{_DASH}",
            rf"[1-9]\d{{1,3}}(?!\d|:\d){_NO_HOUSE}",
        ),
        # 3-501; 福民路80-120号 are houses.
        (rf"(?<![\dA-Za-z:路街道巷弄-])[A-Za-z]?\d{{1,2}}{_DASH}", rf"{_FLAT}(?!号){_NO_HOUSE}{_NOT_SO}"),
    )
)
# 301、302、303室, 2单元301和302: whatever stands in a row with a flat is one.
_AND = r"\s?(?:[、，,/~～—–-]|[和及跟与至到])\s?"
_HIDDEN = r"(?<!\*)\*{3}(?!\*)"  # no telephone's
_NO_COUNT = r"(?!\s?[人只次辆名位])"
TURNS = 5  # of twenty flats each, behind one that is known and before it: no row is longer
_ONE = rf"{_NO_HOTLINE}{_FLAT}{_NO_HOUSE}{_NOT_SO}{_NO_COUNT}"
_ROW = re.compile(
    rf"(?:(?<![\dA-Za-z:.-]){_ONE}{_AND}){{0,20}}{_HIDDEN}[室户房号]?(?:{_AND}(?:{_ONE}|{_HIDDEN})[室户房号]?){{0,20}}"
)
_IN_ROW = re.compile(rf"(?<!\d){_ONE}")


def visible(text: str) -> str:
    """`text` without the marks that nobody sees; line breaks and tabs stay."""
    return "".join(filter(_seen, text))


@lru_cache(maxsize=8_192)
def _seen(mark: str) -> bool:
    return mark in _BREAKS or not (mark in _BLANK or unicodedata.category(mark) in _KINDS)


def masked(text: str) -> str:
    """`text` without them: 138****5678, 0571-****5678, 310*************2X, 2单元***."""
    text = _plain(text)
    for citizen in _CITIZEN:
        text = citizen.sub(r"\1*************\2", text)
    for phone in (*_MOBILE, _LANDLINE):
        text = phone.sub(_PHONE_SHOWN, text)
    for flat in _FLATS:
        text = flat.sub(r"\g<stays>***", text)
    for _ in range(TURNS):
        text = _ROW.sub(lambda row: _IN_ROW.sub("***", row[0]), text)
    return text


def unnumbered(text: str) -> str:
    """`text` where nothing is left of telephones' and identity cards' numbers: *** stands for each. Flats stay."""
    text = _plain(text)
    for number in (*_CITIZEN, *_MOBILE, _LANDLINE):
        text = number.sub("***", text)
    return text


def mobiles(text: str) -> list[str]:
    """The mobile numbers in it, as they may be shown: 138****5678."""
    plain, shown = _plain(text), []
    for phone in _MOBILE:
        shown += [found.expand(_PHONE_SHOWN) for found in phone.finditer(plain)]
        plain = phone.sub("*", plain)  # one number is found once
    return shown


def _plain(text: str) -> str:
    """`text` as it is looked through: no unseen marks, all figures those of ASCII."""
    return _FIGURE.sub(lambda figure: str(unicodedata.decimal(figure[0])), visible(text)).translate(_WIDE)
