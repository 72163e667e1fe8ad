"""Parts of a message read as differences of running sums, against each part read by itself."""

from collections.abc import Sequence

import numpy as np
import pytest

from nlu import cuts
from nlu.grams import grams as grams_of
from nlu.head import Head
from nlu.heads import Heads
from nlu.types import INTENTS

OTHER = "不亮了 3栋门口"
TEXT = "3栋电梯坏了 还有门口垃圾没人收 旁边路灯也不亮"
LEAVES = ("facility.elevator", "sanitation.garbage", "facility.lighting")


@pytest.fixture(scope="module")
def heads() -> Heads:
    """Heads with weights out of thin air for every second n-gram of TEXT."""
    draw = np.random.default_rng(1)
    grams = [*grams_of(TEXT)[::2], "~direct:True"]
    columns = len(INTENTS) + len(LEAVES)
    weights = draw.normal(size=(len(grams), columns)).astype(np.float32)
    idf = draw.uniform(1, 8, size=len(grams)).astype(np.float32)
    found = [Head("intent", INTENTS, 0, 0.8, True), Head("leaf", LEAVES, len(INTENTS), 1.1, False)]
    bias = draw.normal(size=columns).astype(np.float32)
    return Heads({gram: number for number, gram in enumerate(grams)}, idf, weights, bias, found, {})


def test_a_part_is_the_sum_of_its_n_grams(heads: Heads) -> None:
    context = heads.sums([["~direct:True"], []])
    reader = cuts.Reader(heads, [TEXT, OTHER], context)
    wanted = [
        (number, start, end)
        for number, text in enumerate((TEXT, OTHER))
        for start in range(len(text))
        for end in range(start, len(text) + 1)
    ]
    for (number, start, end), part in zip(wanted, reader.parts(wanted), strict=True):
        piece = (TEXT, OTHER)[number][start:end]
        grams = [piece[at : at + size] for size in (1, 2, 3) for at in range(len(piece) - size + 1)]
        logits = heads.joined(heads.sums([grams]), context[[number]])
        (leaves,) = heads.probabilities("leaf", logits)
        assert part.leaves == pytest.approx(leaves, abs=1e-5)
        assert part.share == pytest.approx(leaves.max(), abs=1e-5)
        assert part.leaves[part.kind] == part.leaves.max()
        assert part.report == pytest.approx(heads.probabilities("intent", logits)[0, 1], abs=1e-5)
    assert np.ptp([part.report for part in reader.parts(wanted)]) > 0.1, "all parts look alike: nothing was compared"


def test_what_stands_beside_it_changes_nothing(heads: Heads) -> None:
    context = heads.sums([[], []])
    (alone,) = cuts.Reader(heads, [TEXT], context[:1]).parts([(0, 2, 9)])
    beside = cuts.Reader(heads, [OTHER, TEXT], context).parts([(0, 0, 3), (1, 0, 5), (1, 2, 9)])[2]
    assert (alone.report, alone.kind, alone.share) == (beside.report, beside.kind, beside.share)


def test_a_text_without_a_known_n_gram_is_the_bias(heads: Heads) -> None:
    (part,) = cuts.Reader(heads, ["xyz"], heads.sums([[]])).parts([(0, 0, 3)])
    assert part.leaves == pytest.approx(heads.probabilities("leaf", heads.bias))


@pytest.mark.parametrize("text", ["", "3", "3栋"])
def test_a_text_shorter_than_its_n_grams(heads: Heads, text: str) -> None:
    (part,) = cuts.Reader(heads, [text], heads.sums([[]])).parts([(0, 0, len(text))])
    known = [text[at : at + size] for size in (1, 2) for at in range(len(text) - size + 1)]
    alone = heads.probabilities("leaf", heads.logits([known], [[]]))
    assert part.leaves == pytest.approx(alone[0], abs=1e-5)


def test_too_short_to_cut_is_not_read() -> None:
    assert cuts.cut(["坏了 亮", ""], lambda wanted: pytest.fail("read"), cuts.ALSO) == [[(0, 4)], [(0, 0)]]


def test_every_piece_is_looked_at_again_until_none_is_cut() -> None:
    """Every message is cut that can be: with points that always say yes."""
    rules = cuts.Model(np.zeros(len(cuts.names()), dtype=np.float32), 9.0, 0.5)
    asked: list[list[cuts.Piece]] = []

    def read(wanted: Sequence[cuts.Piece]) -> list[cuts.Part]:
        asked.append(list(wanted))
        return [cuts.Part(np.zeros(3, dtype=np.float32), 0, 0.5, 0.5) for _ in wanted]

    texts = ["电梯坏了", "电梯坏了 垃圾没收 路灯不亮"]
    found = cuts.cut(texts, read, cuts.ALSO, rules)
    assert found[0] == [(0, 4)]
    assert [texts[1][start:end].strip() for start, end in found[1]] == ["电梯坏了", "垃圾没收", "路灯不亮"]
    assert found[1][0][0] == 0
    assert found[1][-1][1] == len(texts[1])
    assert len(asked) == 2
    assert all(owner == 1 for pieces in asked for owner, _, _ in pieces)
