"""The deployment's own names in a text, all at once (Aho-Corasick, leftmost-longest)."""

from collections.abc import Iterable
from functools import cached_property

from ahocorasick_rs import AhoCorasick, MatchKind

from nlu.normalize import normalize
from nlu.sounds import Sounds
from nlu.types import Span

# Names too common to be a place wherever they stand; a deployment's alias of this form is kept out of the automaton.
STOP = frozenset({"小区", "门口", "楼下", "路口", "大门", "社区", "街道", "网格", "楼上", "隔壁", "对面"})


class Gazetteer:
    """Names to place codes. One name may belong to several places: 南门 of two estates."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """names: (name or alias, place code). Names under two characters and stop words are left out."""
        codes: dict[str, list[str]] = {}
        for name, code in names:
            key = normalize(name).strip()
            if len(key) >= 2 and key not in STOP and not key.isdigit():
                known = codes.setdefault(key, [])
                if code not in known:
                    known.append(code)
        self._names = list(codes)
        self._codes = [tuple(codes[name]) for name in self._names]
        self._automaton = AhoCorasick(self._names, matchkind=MatchKind.LeftmostLongest) if self._names else None

    def __len__(self) -> int:
        return len(self._names)

    @cached_property
    def sounds(self) -> Sounds:
        """The same names by their sound, for voice transcripts; built when the first one comes."""
        return Sounds(zip(self._names, self._codes, strict=True))

    def find(self, text: str) -> list[Span]:
        """Names in a normalised text, left to right, the longest at each place, not overlapping."""
        if self._automaton is None:
            return []
        return [
            Span(start, end, "location", text[start:end], self._codes[index])
            for index, start, end in self._automaton.find_matches_as_indexes(text)
        ]


NOWHERE = Gazetteer(())
