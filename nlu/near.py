"""Lines that say the same in nearly the same words, once places and numbers are masked."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlu import features
from nlu.corpus import Example
from nlu.normalize import normalize
from nlu.types import Span

LEAST = 0.85  # Jaccard of the character bigrams
SHORT = 6  # characters of a masked line; below that everybody says the same
UTTERANCES = ""  # where a lone line stands, beside the names of towns
ZEROS = re.compile("0+")
PLACES = str.maketrans("", "", f"{features.NAME}{features.BUILDING} ")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lines by their index, first < second, and how alike they are: LEAST to 1."""

    first: int
    second: int
    share: float


def key(example: Example) -> str:
    """The words of a line alone: normalised, without its places, numbers alike, no blanks and marks."""
    text = normalize(example.text)
    spans = features.places(text, example.names)
    for start, end, entity in example.spans:
        if entity == "location" and not any(span.start < end and start < span.end for span in spans):
            spans.append(Span(start, end, "location", text[start:end]))
    spans.sort(key=lambda span: span.start)
    return ZEROS.sub("0", features.mask(text, spans).translate(PLACES))


def bigrams(text: str) -> frozenset[str]:
    """Character pairs of a text."""
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def pairs(keys: Sequence[str], homes: Sequence[str], least: float = LEAST) -> list[Pair]:
    """Near-duplicates among lines, without those within one town, where neighbours may repeat one another.

    keys: as `key` gives them; those under SHORT are passed over. homes: the town of each line, or UTTERANCES. Of a
    group that is equal in its key, every line is paired with the first one only, and only the first one with others.
    """
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(keys):
        if len(text) >= SHORT:
            alike[text].append(index)
    found = [Pair(group[0], other, 1.0) for group in alike.values() for other in _once(group, homes)]
    firsts = [group[0] for group in alike.values()]
    for a, b, share in _similar([bigrams(keys[index]) for index in firsts], least):
        one, two = sorted((firsts[a], firsts[b]))
        if _apart(homes[one], homes[two]):
            found.append(Pair(one, two, share))
    return sorted(found, key=lambda pair: (-pair.share, pair.first, pair.second))


def _apart(one: str, two: str) -> bool:
    return one == UTTERANCES or one != two


def _once(group: Sequence[int], homes: Sequence[str]) -> Iterator[int]:
    """The others of a group, each town once."""
    told = {homes[group[0]]} - {UTTERANCES}
    for other in group[1:]:
        if homes[other] not in told:
            told |= {homes[other]} - {UTTERANCES}
            yield other


def _similar(sets: Sequence[frozenset[str]], least: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of sets with a Jaccard index of at least `least`; exact.

    Prefix filter: two sets that are so alike share one of their rarest |x| - ceil(least |x|) + 1 members (Chaudhuri,
    Ganti, Kaushik: A Primitive Operator for Similarity Joins, 2006), so only those are looked up.
    """
    counts = Counter(member for members in sets for member in members)
    index: defaultdict[str, list[int]] = defaultdict(list)
    for this, members in enumerate(sets):
        size = len(members)
        rare = sorted(members, key=lambda member: (counts[member], member))[: size - math.ceil(least * size - 1e-9) + 1]
        candidates = {other for member in rare for other in index[member]}
        for other in sorted(candidates):
            others = len(sets[other])
            if min(size, others) < least * max(size, others):
                continue
            both = len(members & sets[other])
            if (share := both / (size + others - both)) >= least:
                yield other, this, share
        for member in rare:
            index[member].append(this)
