"""Bags of features as rows of numbers: named once, cut into parts and weighed by the library."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

MIN_COUNT = 2
CONTEXT_WEIGHT = 9.0
Bag = tuple[list[str], list[str]]  # features of the words, and of the context


@dataclass(frozen=True)
class Bags:
    """The same bags as a matrix of ones and zeros, (bags, names). names: sorted. both: with the context."""

    names: Sequence[str]
    words: csr_matrix
    both: csr_matrix

    @classmethod
    def of(cls, bags: Sequence[Bag]) -> "Bags":
        """These bags, by the names that are in them."""
        numbers: dict[str, int] = defaultdict(count().__next__)
        words = [[numbers[name] for name in words] for words, _ in bags]
        context = [[numbers[name] for name in context] for _, context in bags]
        names = sorted(numbers)
        places = np.empty(len(names), dtype=np.int32)
        places[[numbers[name] for name in names]] = np.arange(len(names))
        return cls(names, *_both(words, context, places))

    def others(self, bags: Sequence[Bag]) -> "Bags":
        """Other bags by the same names; what has none is left out."""
        known = {name: number for number, name in enumerate(self.names)}
        words = [[known[name] for name in words if name in known] for words, _ in bags]
        context = [[known[name] for name in context if name in known] for _, context in bags]
        return Bags(self.names, *_both(words, context, np.arange(len(known), dtype=np.int32)))

    def part(self, picked: Sequence[int]) -> "Bags":
        """Some of them, under the same names."""
        return Bags(self.names, self.words[picked], self.both[picked])


def _both(
    words: Sequence[Sequence[int]], context: Sequence[Sequence[int]], places: NDArray[np.int32]
) -> tuple[csr_matrix, csr_matrix]:
    ones = _ones(words, places)
    return ones, ones + _ones(context, places)  # no name is of both


def _ones(rows: Sequence[Sequence[int]], places: NDArray[np.int32]) -> csr_matrix:
    """A one for every number of a row, at its place."""
    stops = np.cumsum([0, *map(len, rows)])
    numbers = places[np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(stops[-1]))]
    found = csr_matrix((np.ones(len(numbers), dtype=np.float32), numbers, stops), shape=(len(rows), len(places)))
    found.sum_duplicates()
    found.data[:] = 1
    return found


class Matrix:
    """What is kept of the names, and what they weigh: those in at least MIN_COUNT bags, ones times idf, rows of length
    1. Learned from bags, and used for others under the same names."""

    def __init__(self, bags: Bags) -> None:
        counts = bags.both.getnnz(axis=0)
        self._kept: NDArray[np.intp] = np.flatnonzero(counts >= MIN_COUNT)
        kept = [bags.names[number] for number in self._kept.tolist()]
        self.vocabulary = {name: index for index, name in enumerate(kept)}
        idf = np.log((1 + bags.both.shape[0]) / (1 + counts[self._kept])) + 1
        # Context tokens are few and common; a weight of their own keeps them from drowning among the n-grams.
        idf[[name.startswith("~") for name in kept]] = CONTEXT_WEIGHT
        self.idf = idf.astype(np.float32)

    def rows(self, ones: csr_matrix) -> csr_matrix:
        """`words` or `both` of bags, weighed: (bags, vocabulary)."""
        weighed = ones[:, self._kept].multiply(self.idf[None, :]).tocsr()
        lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        return csr_matrix(diags(1 / np.where(lengths > 0, lengths, 1)) @ weighed, dtype=np.float32)
