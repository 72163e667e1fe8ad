"""Places that neither the gazetteer nor the grammar knows, found by their form: 老榕树那里, 菜场后门, 快递点旁边.

A linear-chain CRF over characters (CRFsuite through python-crfsuite). What it finds names no place of the town; it is
what the resident said of where, for the staff to read and for nicknames to be learned from.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

import pycrfsuite

from nlu.types import Span

FORM = "form"  # `Span.how` of what was found here
FILE = "spans.crf"
SHORTEST, LONGEST = 2, 120  # characters of a span; of a text, the rest of it is not looked at
EDGES = " 的那在,，。.、;；:：!！?？~～\n\t"

# Where something is, seen from what stands before it.
RELATION = re.compile(
    r"门口|旁边|旁|边上|那里|那边|那儿|那块|那头|那片|这边|这里|附近|对面|后面|前面|后头|前头|里面|里头|上面|下面|楼下|楼上|"
    r"拐角|拐弯|转角|路口|尽头|背后|中间|隔壁|东边|西边|南边|北边|东头|西头|东侧|西侧|南侧|北侧|入口|出口|外面|外头|底下|顶上"
)
_CLASSES = {
    "u": "栋幢座排号院楼单元层室户梯洞#",
    "t": "路街巷弄道村庄桥站场园苑店馆厂校门库棚亭所房塔河湖塘堤坡坝岗坊里区城堂庙口屋厅坛池沟岸坪坎墙",
    "n": "零〇一二两三四五六七八九十百廿甲乙丙丁",
    "s": "东西南北上下左右前后中内外旁边侧角头底顶",
    "p": "在到去从往离于把被就是有那这",
    "m": ",，。.、;；:：!！?？~～()（）…—-",
}
# Texts without a word or a character of these are not asked: a third of all, and in ten towns left out five of the six
# spans found in such were no places (九月, 半片).
PLACE = re.compile(f"[{_CLASSES['u']}{_CLASSES['t']}市学井栏树]|空地|工地|斑马线|银行|{RELATION.pattern}")
_KIND = {character: kind for kind, characters in _CLASSES.items() for character in characters}


@lru_cache(maxsize=8192)
def _kind(character: str) -> str:
    if character.isdigit() and character.isascii():
        return "d"
    if character.isspace():
        return "_"
    if character.isascii() and character.isalpha():
        return "a"
    return _KIND.get(character, "h")


def observed(text: str) -> list[list[str]]:
    """The features of each character of a normalised text: characters and their classes around it, pairs of them, and
    how far a word like 门口 is."""
    digits = ["0" if "0" <= c <= "9" else c for c in text]
    c = ["<", "<", *digits, ">", ">"]
    k = ["<", "<", *map(_kind, text), ">", ">"]
    ahead = _ahead(text)
    return [
        [
            "b", f"0{c[i]}", f"-{c[i - 1]}", f"={c[i - 2]}", f"+{c[i + 1]}", f"*{c[i + 2]}",
            f"p{c[i - 1]}{c[i]}", f"n{c[i]}{c[i + 1]}",
            f"k{k[i - 1]}{k[i]}{k[i + 1]}", f"l{k[i - 2]}{k[i - 1]}{k[i]}", f"r{k[i]}{k[i + 1]}{k[i + 2]}",
            ahead[i - 2],
        ]
        for i in range(2, len(text) + 2)
    ]  # fmt: skip


def _ahead(text: str) -> list[str]:
    """For each character, how far the next word of where is: inside it, up to five characters before it, or neither."""
    found = ["w-"] * len(text)
    for match in RELATION.finditer(text):
        for step in range(1, 6):
            if (at := match.start() - step) >= 0 and found[at] == "w-" and _kind(text[at]) not in "_m":
                found[at] = f"w{step}"
            else:
                break
        for at in range(*match.span()):
            found[at] = "wB" if at == match.start() else "wI"
    return found


def tagged(length: int, spans: Iterable[tuple[int, int, str]]) -> list[str]:
    """Spans as one tag a character: B-, I- and the entity's first letter; O elsewhere."""
    tags = ["O"] * length
    for start, end, entity in spans:
        for at in range(start, min(end, length)):
            tags[at] = f"{'B' if at == start else 'I'}-{entity[0]}"
    return tags


def untagged(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Spans of tags: (start, end, entity's letter). An I- that continues nothing begins one."""
    start, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            yield start, at, kind
            kind = ""
        if tag != "O" and not kind:
            start, kind = at, tag[2:]


class Spotter:
    """A trained CRF. model: what CRFsuite wrote. For many threads: the library's tagger holds the sentence it is at,
    so that they wait for one another."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open_inmemory(model)
        self._lock = Lock()

    def tags(self, seen: Sequence[Sequence[str]]) -> list[str]:
        """The likeliest tags of one sequence of features."""
        with self._lock:
            found: list[str] = self._tagger.tag(seen)
        return found

    def find(self, text: str) -> list[Span]:
        """Places in a normalised text by their form, left to right, not overlapping, without codes."""
        text = text[:LONGEST]
        if not PLACE.search(text):
            return []
        found = []
        for start, end, entity in untagged(self.tags(observed(text))):
            first = end - len(text[start:end].lstrip(EDGES))
            last = start + len(text[start:end].rstrip(EDGES))
            if entity == "l" and last - first >= SHORTEST:
                found.append(Span(first, last, "location", text[first:last], how=FORM))
        return found

    def save(self, folder: Path) -> None:
        """Write FILE."""
        (folder / FILE).write_bytes(self.model)

    @classmethod
    def load(cls, folder: Path) -> "Spotter | None":
        """What `save` wrote; None when there is nothing."""
        file = folder / FILE
        return cls(file.read_bytes()) if file.is_file() else None
