"""Parts of a message read as differences of running sums, against each part read by itself."""

import numpy as np
import pytest

from nlu import cuts, features
from nlu.head import Head
from nlu.heads import Heads
from nlu.types import INTENTS

TEXT = "3栋电梯坏了 还有门口垃圾没人收 旁边路灯也不亮"
LEAVES = ("facility.elevator", "sanitation.garbage", "facility.lighting")


@pytest.fixture(scope="module")
def heads() -> Heads:
    """Heads with weights out of thin air for every second n-gram of TEXT."""
    draw = np.random.default_rng(1)
    grams = [*features.grams(TEXT)[::2], "~direct:True"]
    columns = len(INTENTS) + len(LEAVES)
    weights = draw.normal(size=(len(grams), columns)).astype(np.float32)
    idf = draw.uniform(1, 8, size=len(grams)).astype(np.float32)
    found = [Head("intent", INTENTS, 0, 0.8, True), Head("leaf", LEAVES, len(INTENTS), 1.1, False)]
    bias = draw.normal(size=columns).astype(np.float32)
    return Heads({gram: number for number, gram in enumerate(grams)}, idf, weights, bias, found, {})


def test_a_part_is_the_sum_of_its_n_grams(heads: Heads) -> None:
    context = heads.sums(["~direct:True"])
    reader = cuts.Reader(heads, TEXT, context)
    wanted = [(start, end) for start in range(len(TEXT)) for end in range(start, len(TEXT) + 1)]
    for (start, end), part in zip(wanted, reader.parts(wanted), strict=True):
        piece = TEXT[start:end]
        grams = [piece[at : at + size] for size in (1, 2, 3) for at in range(len(piece) - size + 1)]
        logits = heads.joined(heads.sums(grams), context)
        leaves = heads.probabilities("leaf", logits)
        assert part.leaves == pytest.approx(leaves, abs=1e-5)
        assert part.share == pytest.approx(leaves.max(), abs=1e-5)
        assert part.leaves[part.kind] == part.leaves.max()
        assert part.report == pytest.approx(heads.probabilities("intent", logits)[1], abs=1e-5)
    assert np.ptp([part.report for part in reader.parts(wanted)]) > 0.1, "all parts look alike: nothing was compared"


def test_one_part_alone(heads: Heads) -> None:
    reader = cuts.Reader(heads, TEXT, heads.sums([]))
    assert reader.part(2, 9).report == reader.parts([(0, 3), (2, 9)])[1].report


def test_a_text_without_a_known_n_gram_is_the_bias(heads: Heads) -> None:
    part = cuts.Reader(heads, "xyz", heads.sums([])).part(0, 3)
    assert part.leaves == pytest.approx(heads.probabilities("leaf", heads.bias))


@pytest.mark.parametrize("text", ["", "3", "3栋"])
def test_a_text_shorter_than_its_n_grams(heads: Heads, text: str) -> None:
    reader = cuts.Reader(heads, text, heads.sums([]))
    known = [text[at : at + size] for size in (1, 2) for at in range(len(text) - size + 1)]
    alone = heads.probabilities("leaf", heads.logits(known, []))
    assert reader.part(0, len(text)).leaves == pytest.approx(alone, abs=1e-5)


def test_too_short_to_cut_is_not_read() -> None:
    assert cuts.cut("坏了 亮", lambda wanted: pytest.fail("read"), cuts.ALSO) == [(0, 4)]
