"""Names by their sound: what a voice transcript writes with other characters (金益水岸 for 金邑水岸).

Every character becomes its syllable, syllables that many speakers do not tell apart become one, and an automaton
(Aho-Corasick) looks for the town's names in that. Which sounds are one: z/zh, c/ch, s/sh, l/n, and a last n/ng
(南方普通话); f/h where a deployment asks for it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path

from ahocorasick_rs import AhoCorasick, MatchKind

from nlu.normalize import normalize
from nlu.types import Span

SHORTEST = 3  # characters; a name of two sounds like too many words
FIRST = 0xE100  # syllables as characters of the private use area
# Two readings that names of places really have; the other one of each stands in the table.
READINGS = {
    "长": "chang zhang", "重": "chong zhong", "行": "xing hang", "厦": "sha xia", "都": "dou du", "乐": "le yue",
    "朝": "chao zhao", "曾": "zeng ceng", "单": "dan shan", "盛": "sheng cheng", "会": "hui kuai", "调": "diao tiao",
    "弄": "nong long", "六": "liu lu", "堡": "bao bu pu", "埔": "pu bu", "泊": "po bo", "卜": "bu bo",
    "藏": "cang zang", "传": "chuan zhuan", "柏": "bai bo", "番": "fan pan", "圩": "wei xu", "涌": "yong chong",
}  # fmt: skip
# What ordinary talk has that sounds like a name of some town: 单元门口 holds 院门口, 人才市场 holds 菜市场. Measured on
# the training towns, each town's names in every other town's talk.
STOP = frozenset({
    "元门口", "场门口", "小门口", "才市场", "何老师", "老师节", "快递员", "动车碰", "电动车碰", "在巷子", "桂花姐",
    "家有粘", "去讲的", "从五点", "层信箱", "到码头", "工医院", "垃圾放", "电瓶车碰", "卫生是", "卫生事", "打门口",
})  # fmt: skip
_MERGED = ((re.compile(r"^([zcs])h"), r"\1"), (re.compile(r"^l"), "n"), (re.compile(r"([aei])ng$"), r"\1n"))


def merged(syllable: str, *, f_is_h: bool = False) -> str:
    """The syllable that stands for all that are heard alike: zhang, zang → zan; lan, nang → nan."""
    for pattern, instead in _MERGED:
        syllable = pattern.sub(instead, syllable)
    return f"h{syllable[1:]}" if f_is_h and syllable.startswith("f") else syllable


@lru_cache(maxsize=2)
def _table(f_is_h: bool) -> tuple[dict[int, str], dict[str, str]]:
    """(character to its sound, merged syllable to the same): a sound is one character."""
    sounds: dict[str, str] = {}
    table: dict[int, str] = {}
    for line in (Path(__file__).parent / "syllables.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        syllable, characters = line.split(" ", 1)
        one = sounds.setdefault(merged(syllable, f_is_h=f_is_h), chr(FIRST + len(sounds)))
        table.update(dict.fromkeys(map(ord, characters), one))
    return table, sounds


class Sounds:
    """The town's names by their sound."""

    def __init__(self, names: Iterable[tuple[str, Sequence[str]]], *, f_is_h: bool = False) -> None:
        """names: (name or alias, place codes). Those under three characters are left out, and those with anything but
        Chinese characters in them. Two names that sound alike share their codes."""
        self._heard, self._sounds = _table(f_is_h)
        alike: dict[str, list[tuple[str, Sequence[str]]]] = {}
        for written, codes in names:
            name = normalize(written).strip()
            for key in self._keys(name, f_is_h=f_is_h):
                alike.setdefault(key, []).append((name, codes))
        self._alike = list(alike.values())
        self._automaton = AhoCorasick(list(alike), matchkind=MatchKind.LeftmostLongest) if alike else None

    def __len__(self) -> int:
        return len(self._alike)

    def _keys(self, name: str, *, f_is_h: bool) -> list[str]:
        if len(name) < SHORTEST or any(ord(c) not in self._heard for c in name):
            return []
        readings = [
            [self._sounds[merged(one, f_is_h=f_is_h)] for one in READINGS[c].split()] if c in READINGS
            else [self._heard[ord(c)]] for c in name
        ]  # fmt: skip
        return ["".join(key) for key in product(*readings)]

    def find(self, text: str, taken: Sequence[Span] = ()) -> list[Span]:
        """Names in a normalised text that it writes with other characters, left to right, not overlapping.

        taken: what is found already. None of it is found again; only a piece of a longer name (新苑 in 百石新苑, for
        白石新苑) gives way. Each span says `how="sound"`.
        """
        if self._automaton is None:
            return []
        found = []
        for index, start, end in self._automaton.find_matches_as_indexes(text.translate(self._heard)):
            written = text[start:end]
            free = all(end <= span.start or span.end <= start or _within(span, start, end) for span in taken)
            if free and written not in STOP and (codes := self._codes(index, written)):
                found.append(Span(start, end, "location", written, codes, "sound"))
        return found

    def beside(self, text: str, exact: Sequence[Span]) -> list[Span]:
        """Both: what `exact` names and what is only heard, left to right, not overlapping. For voice transcripts."""
        heard = self.find(text, exact)
        kept = [span for span in exact if not any(_within(span, one.start, one.end) for one in heard)]
        return sorted([*kept, *heard], key=lambda span: span.start)

    def _codes(self, index: int, written: str) -> tuple[str, ...]:
        """Of the names that sound so, those that share a character with what is written: a transcript seldom misses
        all of a name, and 来差点 is no 奶茶店."""
        names = self._alike[index]
        if any(name == written for name, _ in names):
            return ()  # not by its sound
        shared = (codes for name, codes in names if any(map(str.__eq__, name, written)))
        return tuple(dict.fromkeys(code for codes in shared for code in codes))


def _within(span: Span, start: int, end: int) -> bool:
    """A piece of it, not all of it."""
    return start <= span.start and span.end <= end and span.end - span.start < end - start
