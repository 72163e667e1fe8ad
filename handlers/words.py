"""The words of a message beside those of a ticket. What is the same for every ticket is read once."""

import re
from dataclasses import dataclass

from handlers.contrast import contrasts, of_long_ago, set_apart
from models.message import Incoming
from nlu.features import LONGEST
from nlu.look import OBJECT
from nlu.normalize import normalize

SHORT_RUN, LONG_RUN = 3, 5  # characters
WORDS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says, normalised. text: as far as it is compared. written: all of it, in which a number may stand.
    things: what it names. pairs: its pairs of characters. told_apart: what it says of where a neighbour's matter is not
    hers: `apart` from it, or `long ago`."""

    text: str
    written: str
    things: frozenset[str]
    pairs: frozenset[str]
    told_apart: tuple[str, ...]

    @classmethod
    def of(cls, m: Incoming, joined: str = "") -> "Words":
        """joined: the words of several messages that are read as one, instead of its own."""
        text = normalize(joined or m.words)[:LONGEST]
        return cls(
            text,
            normalize(m.text),
            frozenset(OBJECT.findall(text)),
            frozenset(text[i : i + 2] for i in range(len(text) - 1)),
            tuple(name for name, found in (("apart", set_apart(text)), ("long ago", of_long_ago(text))) if found),
        )

    def beside(self, summary: str, report: float) -> dict[str, float]:
        """The signs of these words and of a ticket's; those that are missing are 0. report: how surely it is one."""
        theirs = normalize(summary)
        found = {}
        if self.things:
            found["object" if self.things & set(OBJECT.findall(theirs)) else "other object"] = 1.0
        if self.pairs:
            found["same words"] = sum(pair in theirs for pair in self.pairs) / len(self.pairs)
        if run := same_run(self.text, theirs):
            found["same run"] = run
        found |= contrasts(self.text, theirs)
        if "turns" in found:
            found["turns, report"] = report
        return found


def same_run(mine: str, theirs: str) -> float:
    """How long the longest piece of words is that both hold: 面包车 0.33, from five characters on 1."""
    for length in range(LONG_RUN, SHORT_RUN - 1, -1):
        for at in range(len(mine) - length + 1):
            piece = mine[at : at + length]
            if piece in theirs and WORDS.fullmatch(piece):
                return (length - SHORT_RUN + 1) / (LONG_RUN - SHORT_RUN + 1)
    return 0.0
