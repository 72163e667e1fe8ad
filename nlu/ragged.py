"""Groups of different sizes in one array: the features of many messages, added up in one pass.

One message at a time numpy spends most of its time on being called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlu.head import Floats


@dataclass(frozen=True, slots=True)
class Groups:
    """numbers: rows of a table, group after group. starts: where each group begins; none is empty."""

    numbers: NDArray[np.intp]
    starts: NDArray[np.intp]


def grouped(found: Sequence[Sequence[str]], known: Mapping[str, int], nothing: int) -> Groups:
    """The numbers of names, a group for each list of names. known: names to numbers, others are left out. nothing: the
    number of a row of zeros; each group begins with it, so that there is something to add up."""
    numbers: list[int] = []
    starts: list[int] = []
    for names in found:
        starts.append(len(numbers))
        numbers.append(nothing)
        numbers += [number for number in map(known.get, names) if number is not None]
    return Groups(np.array(numbers, dtype=np.intp), np.array(starts, dtype=np.intp))


def added(table: Floats, groups: Groups) -> Floats:
    """The rows of each group added up, (groups, columns).

    A group's sum is the same whatever stands beside it: rows are added one after another, and not by a matrix product,
    whose library would wake threads for it and then wait for them.
    """
    total: Floats = np.add.reduceat(table.take(groups.numbers, axis=0), groups.starts, axis=0)
    return total
