"""Character n-grams: of a text, and the numbers that a vocabulary has for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import add

import numpy as np
from numpy.typing import NDArray

from nlu.ragged import Groups

SIZES = 3
NONE, UNKNOWN = 0, 1  # instead of a character's own number: there is none, or no n-gram of the vocabulary has it
# A key's slot is the leading bits of its product with 2**64 by the golden ratio, which lays like keys far apart (Knuth,
# The Art of Computer Programming 3, 6.4). Six slots for each key of ours: one key in fourteen finds its own taken.
SPREAD, SLOT_BITS = np.uint64(0x9E3779B97F4A7C15), 20
BASIC, ALL = 0x10000, 0x110000  # characters of the basic plane, which are nearly always enough; all there are


def grams(masked: str) -> list[str]:
    """Character 1- to 3-grams, each once. 4-grams were tried and taught nothing (docs/nlu.md)."""
    text = f"^{masked}$"
    pairs = list(map(add, text, text[1:]))
    return list(dict.fromkeys(chain(masked, pairs, map(add, pairs, text[2:]))))


@dataclass(frozen=True, slots=True)
class Places:
    """All places where an n-gram of a text may stand: text after text; in each the single characters left to right,
    then the pairs, then the threes.

    known: whether the vocabulary has it. numbers: of those that it has. firsts: (texts, sizes), where in `known` the
    n-grams of a size begin."""

    known: NDArray[np.bool_]
    numbers: NDArray[np.intp]
    firsts: NDArray[np.intp]


class Grams:
    """A vocabulary's n-grams as numbers in a table, so that all those of many texts are looked up at once.

    Several times as fast as a dictionary, whose strings lie all over the memory. A character's number stands for it, in
    an n-gram's key one behind the other.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        found = [(gram, index) for gram, index in vocabulary.items() if 1 <= len(gram) <= SIZES]
        codes, sizes = _codes([gram for gram, _ in found]), _sizes([gram for gram, _ in found])
        alphabet = np.unique(codes)
        self._bits = int(len(alphabet) + UNKNOWN).bit_length()
        astral = len(alphabet) > 0 and int(alphabet[-1]) >= BASIC
        self._letters = np.full(ALL if astral else BASIC, UNKNOWN, dtype=np.int64)
        self._letters[alphabet] = np.arange(len(alphabet)) + UNKNOWN + 1
        letters, starts = self._letters[codes], sizes.cumsum() - sizes
        keys = np.zeros(len(found), dtype=np.int64)
        for place in range(SIZES):
            there = sizes > place
            keys[there] |= letters[starts[there] + place] << (SIZES - 1 - place) * self._bits
        self._keys = np.concatenate(([NONE], keys))  # before all of them that of no n-gram, which has nothing's number
        self._numbers = np.array([len(vocabulary), *(index for _, index in found)], dtype=np.intp)
        slots = _slots(self._keys)
        self._table = np.zeros(1 << SLOT_BITS, dtype=np.int32)
        self._table[slots[::-1]] = np.arange(len(slots))[::-1]  # the first of those that share a slot has it
        lost = np.flatnonzero(self._table[slots] != np.arange(len(slots)))
        self._shared = np.zeros(1 << SLOT_BITS, dtype=np.bool_)
        self._shared[slots[lost]] = True
        self._lost = lost[self._keys[lost].argsort()]  # those without a slot, to be looked for by halving
        # Behind them a key larger than any: what is sought is never behind the end.
        self._lost_keys = np.append(self._keys[self._lost], (1 << 63) - 1)
        self._lost = np.append(self._lost, 0)

    def once(self, texts: Sequence[str]) -> Groups:
        """The numbers of `grams` of each text that the vocabulary has, behind that of nothing: its length."""
        one, two, three = self._of([f"^{text}$" for text in texts])
        sizes = _sizes(texts) + 2
        stops = sizes.cumsum()
        # Where an n-gram may begin: none reaches over the end of its text, and the ends alone are no characters.
        within = np.ones(len(one), dtype=np.bool_)
        within[stops - 1] = False
        pairs = within[:-1]
        threes = pairs[:-1] & pairs[1:]
        singles = within.copy()
        singles[stops - sizes] = False
        texts_own = np.arange(len(texts)) << SIZES * self._bits
        owner = np.repeat(texts_own, sizes)
        sought = np.concatenate(
            (texts_own, (one | owner)[singles], (two | owner[:-1])[pairs], (three | owner[:-2])[threes])
        )
        sought.sort()  # by text, then by n-gram: what is there twice stands side by side
        first = np.ones(len(sought), dtype=np.bool_)
        first[1:] = sought[1:] != sought[:-1]
        at, known = self._sought(sought[first] & ((1 << SIZES * self._bits) - 1))
        at = at[known]
        return Groups(self._numbers.take(at), np.flatnonzero(at == 0))

    def all(self, masked: Sequence[str]) -> Places:
        """The n-grams inside texts, without their ends and as often as they are there."""
        one, two, three = self._of(masked)
        sizes = _sizes(masked)
        counts = np.maximum(sizes[:, None] - np.arange(SIZES), 0)
        firsts = (counts.ravel().cumsum() - counts.ravel()).reshape(counts.shape)
        left = np.repeat(sizes.cumsum(), sizes) - np.arange(len(one))  # characters up to the end of its text
        begins = np.repeat(sizes.cumsum() - sizes, sizes)
        sought = np.zeros(counts.sum(), dtype=np.int64)
        for size, keys in enumerate((one, two, three)):
            inside = np.flatnonzero(left > size)
            sought[np.repeat(firsts[:, size], counts[:, size]) + inside - begins[inside]] = keys[inside]
        at, known = self._sought(sought)
        return Places(known, self._numbers.take(at[known]), firsts)

    def _sought(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where each key stands among ours, and whether it does."""
        slots = _slots(keys)
        at = self._table.take(slots).astype(np.intp)
        known: NDArray[np.bool_] = self._keys.take(at) == keys
        again = np.flatnonzero(self._shared.take(slots) & ~known)
        if len(again):
            lost = self._lost_keys.searchsorted(keys[again])
            at[again], known[again] = self._lost[lost], self._lost_keys[lost] == keys[again]
        return at, known

    def _of(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of all single characters, pairs and threes of texts side by side."""
        codes = _codes(texts)
        beyond = codes >= len(self._letters)
        letters = self._letters.take(codes, mode="clip")
        letters[beyond] = UNKNOWN
        one = letters << 2 * self._bits
        two = one[:-1] | letters[1:] << self._bits
        return one, two, two[:-1] | letters[2:]


def _slots(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each key may be kept."""
    return ((keys.view(np.uint64) * SPREAD) >> np.uint64(64 - SLOT_BITS)).astype(np.intp)


def _codes(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The characters of texts side by side."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _sizes(texts: Sequence[str]) -> NDArray[np.intp]:
    return np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
