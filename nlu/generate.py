"""Fills the slots of written frames: the same complaint at other places and hours. A little of it, and repeatable.

`nlu/data/frames.yml` holds the frames, in the format of all utterances, and the words of the slots.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from nlu.corpus import Example

FILE = "frames.yml"
SEED = 20260302
# Generated lines for each written utterance; never more than MOST, or the frames would outweigh people's own words.
MOST = 0.2
# None: on towns left out, a fifth taught nothing that was not noise (docs/training-data.md has the figures).
SHARE = 0.0
SLOT = re.compile(r"\{(\w+)\}")
TRIES = 20  # so often a frame is filled anew before it has nothing new to say


class BadFrames(Exception):
    """The frames cannot be filled; the message names the file and the slot or the line."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Words that may stand in a slot. entity: what each of them is, or "" for none."""

    words: tuple[str, ...]
    entity: str = ""


def slots(file: Path) -> dict[str, Slot]:
    """The slots of a frames file by name. Raises BadFrames for one without words."""
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    found = {}
    for name, row in (content.get("slots") or {}).items():
        words = tuple(str(word) for word in row.get("words") or ())
        if not words:
            raise BadFrames(f"{file.name}: slots: {name}: there are no words")
        found[name] = Slot(words, row.get("entity") or "")
    return found


def fill(frame: "Example", known: Mapping[str, Slot], draw: random.Random) -> "Example":
    """One line: every slot of the frame's text gets a word, and the spans move with it. Raises BadFrames."""
    parts: list[str] = []
    moves: list[tuple[int, int]] = []  # (a slot's end in the frame, by how much it is longer than its word)
    spans: list[tuple[int, int, str]] = []
    last = length = 0
    for match in SLOT.finditer(frame.text):
        slot = known.get(match[1])
        if slot is None:
            raise BadFrames(f"{frame.source}: there is no slot {match[1]!r}: {frame.text!r}")
        if slot.entity and any(start < match.end() and match.start() < end for start, end, _ in frame.spans):
            raise BadFrames(f"{frame.source}: the slot {match[1]!r} stands in an annotation: {frame.text!r}")
        word = draw.choice(slot.words)
        parts += [frame.text[last : match.start()], word]
        length += match.start() - last + len(word)
        if slot.entity:
            spans.append((length - len(word), length, slot.entity))
        moves.append((match.end(), len(match.group()) - len(word)))
        last = match.end()

    def moved(position: int) -> int:
        return position - sum(by for end, by in moves if end <= position)

    spans += [(moved(start), moved(end), entity) for start, end, entity in frame.spans]
    text = "".join([*parts, frame.text[last:]])
    return replace(frame, text=text, spans=tuple(sorted(spans)))


def filled(
    frames: Sequence["Example"],
    known: Mapping[str, Slot],
    written: Sequence["Example"],
    *,
    share: float = SHARE,
    seed: int = SEED,
) -> list["Example"]:
    """New lines, as many as `share` (at most MOST) of the written utterances, each frame in turn; the same each time.

    No line is one of `written`, and none comes twice: a frame that has said all it can is passed over.
    Raises BadFrames.
    """
    count = int(min(share, MOST) * len(written))
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    said = {example.text for example in written}
    left = list(frames)
    draw.shuffle(left)
    found: list[Example] = []
    while left and len(found) < count:
        frame = left.pop(0)
        for _ in range(TRIES):
            line = fill(frame, known, draw)
            if line.text not in said:
                said.add(line.text)
                found.append(line)
                left.append(frame)
                break
    return found
