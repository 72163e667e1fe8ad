"""Cuts a text into the pieces an encoder knows: the Unigram model of SentencePiece, over a vocabulary cut to ours.

The library `tokenizers` gives the same pieces (a test holds that where it is installed), but brings an HTTP client and
a hub client with it; this costs a fifteenth of a millisecond a message.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

BOS, PAD, EOS, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
SPECIALS = (BOS, PAD, EOS, UNKNOWN)  # numbers 0 to 3
BLANK = "\u2581"
# The words that multilingual-e5 was trained to see before a short text (its model card).
PREFIX = "query: "
LONGEST = 48
_NEVER = -1e30
_BLANKS = re.compile(" +")


class Pieces:
    """A vocabulary.

    pieces: by number, the SPECIALS first. scores: logarithms of their probabilities, one each.
    unknown: the score of a character that has no piece; below all others of the *whole* vocabulary, also after a cut.
    folds: what stands for a character before it is cut (full-width forms, ligatures: the model's own normalisation).
    Raises ValueError when the parts do not fit.
    """

    def __init__(
        self, pieces: Sequence[str], scores: Sequence[float], unknown: float, folds: Mapping[str, str]
    ) -> None:
        if tuple(pieces[: len(SPECIALS)]) != SPECIALS or len(pieces) != len(scores):
            raise ValueError(f"a vocabulary begins with {' '.join(SPECIALS)}, and has a score for each piece")
        self.pieces = tuple(pieces)
        self.scores = tuple(scores)
        self.unknown = unknown
        self.folds = dict(folds)
        self._folds = str.maketrans(self.folds)
        self._known = {piece: number for number, piece in enumerate(pieces) if number >= len(SPECIALS)}
        self._longest = max(map(len, self._known), default=1)

    def __len__(self) -> int:
        return len(self.pieces)

    def read(self, text: str, longest: int = LONGEST) -> list[int]:
        """What an encoder is given: PREFIX and `text` between the marks of beginning and end, at most `longest`."""
        return [0, *self.cut(PREFIX + text)[: longest - 2], 2]

    def cut(self, text: str) -> list[int]:
        """The likeliest pieces of `text`, by number. A character that no piece holds is UNKNOWN; they are not fused."""
        text = _BLANKS.sub(BLANK, text.translate(self._folds))
        text = text if text.startswith(BLANK) else BLANK + text
        size = len(text)
        best = [0.0] + [_NEVER] * size
        came: list[tuple[int, int]] = [(0, 0)] * (size + 1)  # from where, by which piece
        for start in range(size):
            so_far = best[start]
            for end in range(start + 1, min(size, start + self._longest) + 1):
                number = self._known.get(text[start:end])
                if number is not None and so_far + self.scores[number] > best[end]:
                    best[end] = so_far + self.scores[number]
                    came[end] = (start, number)
            if so_far + self.unknown > best[start + 1]:
                best[start + 1] = so_far + self.unknown
                came[start + 1] = (start, SPECIALS.index(UNKNOWN))
        found: list[int] = []
        at = size
        while at:
            at, number = came[at]
            found.append(number)
        return found[::-1]

    def kept(self, numbers: Sequence[int]) -> "Pieces":
        """The vocabulary of these pieces alone, in this order. Raises ValueError unless the SPECIALS come first."""
        return Pieces([self.pieces[i] for i in numbers], [self.scores[i] for i in numbers], self.unknown, self.folds)

    def about(self) -> dict[str, Any]:
        """For a JSON file; `Pieces(**about)` is the same again. Scores keep all their digits: fewer break ties."""
        return {"pieces": self.pieces, "scores": self.scores, "unknown": self.unknown, "folds": self.folds}
