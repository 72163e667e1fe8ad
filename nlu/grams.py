"""Character n-grams: of a text, and the numbers that a vocabulary has for them."""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import add

import numpy as np
from numpy.typing import NDArray

from nlu.ragged import Groups

SIZES, BITS = 3, 21  # a character has less than 21 bits


def grams(masked: str) -> list[str]:
    """Character 1- to 3-grams, each once. 4-grams were tried and taught nothing (docs/nlu.md)."""
    text = f"^{masked}$"
    pairs = list(map(add, text, text[1:]))
    return list(dict.fromkeys(chain(masked, pairs, map(add, pairs, text[2:]))))


class Grams:
    """A vocabulary's n-grams as sorted numbers, so that all those of many texts are looked up at once.

    Three times as fast as a dictionary, whose strings lie all over the memory.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        found = [(gram, index) for gram, index in vocabulary.items() if 1 <= len(gram) <= SIZES]
        keys = _keys_of([gram for gram, _ in found])
        order = keys.argsort()
        # The last key is larger than any: what is sought is never behind the end.
        self._keys = np.append(keys[order], (1 << 63) - 1)
        self._numbers = np.append(np.array([index for _, index in found], dtype=np.intp)[order], 0)
        self._nothing = len(vocabulary)

    def once(self, texts: Sequence[str]) -> Groups:
        """The numbers of `grams` of each text that the vocabulary has, behind that of nothing: its length."""
        one, two, three = _keys("".join([f"^{text}$" for text in texts]))
        sizes = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts)) + 2
        stops = sizes.cumsum()
        # Where an n-gram may begin: none reaches over the end of its text, and the ends alone are no characters.
        within = np.ones(len(one), dtype=np.bool_)
        within[stops - 1] = False
        pairs = within[:-1]
        threes = pairs[:-1] & pairs[1:]
        singles = within.copy()
        singles[stops - sizes] = False
        owner = np.repeat(np.arange(len(texts)), sizes)
        sought = np.concatenate((one[singles], two[pairs], three[threes]))
        owners = np.concatenate((owner[singles], owner[:-1][pairs], owner[:-2][threes]))
        at = self._keys.searchsorted(sought)
        known = self._keys.take(at) == sought
        # In order by text, then by n-gram; 0 stands before them all.
        width = len(self._keys) + 1
        ranks = np.concatenate((owners[known] * width + at[known] + 1, np.arange(len(texts)) * width))
        ranks.sort()
        first = np.ones(len(ranks), dtype=np.bool_)
        first[1:] = ranks[1:] != ranks[:-1]
        places = ranks[first] % width
        starts = np.flatnonzero(places == 0)
        numbers = self._numbers.take(places - 1)  # 0 becomes the last one, and is put right
        numbers[starts] = self._nothing
        return Groups(numbers, starts)

    def all(self, masked: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The numbers of the n-grams inside `masked`, without its ends and as often as they are there: single
        characters left to right, then pairs, then threes; and which of all those places hold a known one."""
        sought = np.concatenate(_keys(masked))
        at = self._keys.searchsorted(sought)
        known = self._keys.take(at) == sought
        return self._numbers.take(at[known]), known


def _keys_of(grams: Sequence[str]) -> NDArray[np.int64]:
    """N-grams as numbers: their characters from the left, 0 for none."""
    codes = np.frombuffer("".join(grams).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64) + 1
    sizes = np.fromiter(map(len, grams), dtype=np.intp, count=len(grams))
    starts = sizes.cumsum() - sizes
    keys = np.zeros(len(grams), dtype=np.int64)
    for place in range(SIZES):
        there = sizes > place
        keys[there] |= codes[starts[there] + place] << (SIZES - 1 - place) * BITS
    return keys


def _keys(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The same for all single characters, pairs and threes of a text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64) + 1
    one = codes << 2 * BITS
    two = one[:-1] | codes[1:] << BITS
    return one, two, two[:-1] | codes[2:]
