"""The judge at run time against the library that trained it, and the folds from which it learns."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlu import judge, judgefit
from nlu.calibrate import temperature
from nlu.corpus import Example
from nlu.head import Floats, Head
from nlu.judge import Judge
from nlu.types import INTENTS

pytestmark = pytest.mark.xdist_group("judge")  # one process makes what they share

HEADS = {
    "intent": Head("intent", INTENTS, 0, 1.0, context=True),
    "words": Head("words", INTENTS, 15, 1.0, context=False),
    "leaf": Head("leaf", ("a.x", "a.y", "b.x", "b.y"), 30, 1.0, context=False),
    "urgent": Head("urgent", ("True",), 34, 1.0, context=False),
    "sensitive": Head("sensitive", ("True",), 35, 1.0, context=False),
    "danger": Head("danger", ("True",), 36, 1.0, context=False),
}
YES_NO = np.array([[1, 0]], dtype=np.float32)  # which lists fired
Learned = tuple[judgefit.Judged, list[Example], Floats, list[list[str]]]
TOWNS = ("alpha", "beta", "gamma", "delta", "epsilon")


def _examples(count: int = 400) -> list[Example]:
    draw = np.random.default_rng(7)
    kinds = ("report", "chatter", "detail")
    return [
        Example("在吗", kinds[draw.integers(3)], leaf="a.x", urgent=bool(draw.random() < 0.2),
                sensitive=bool(draw.random() < 0.2), town=TOWNS[number % 6] if number % 6 < 5 else "")
        for number in range(count)
    ]  # fmt: skip


def _answers(examples: list[Example]) -> Floats:
    """Heads that are half right about everything."""
    draw = np.random.default_rng(8)
    logits = draw.normal(size=(len(examples), 37)).astype(np.float32)
    for row, example in zip(logits, examples, strict=True):
        row[INTENTS.index(example.intent)] += 1.5
        row[34] += 2 * example.urgent
        row[35] += 2 * example.sensitive
    return logits


@pytest.fixture(scope="module")
def judged() -> Learned:
    """A judge of five towns, with what it learned from."""
    examples = _examples()
    logits = _answers(examples)
    contexts = [["~direct:True"] if number % 3 else ["~direct:False", "~quote:"] for number in range(len(examples))]
    outside = judgefit.Outside(logits, judgefit.folds(examples))
    found = judgefit.learn(examples, contexts, HEADS, outside, lambda of, lone: np.ones(len(of)))
    return found, examples, logits, contexts


def test_it_hears_what_the_heads_say_together(
    judged: Learned,
) -> None:
    found, examples, logits, contexts = judged
    said = judge.said(HEADS, logits, np.zeros((len(examples), 2), dtype=np.float32))
    shares = found.judge.probabilities("intent", found.judge.weigh(said, contexts))
    likeliest = [INTENTS[number] for number in shares.argmax(axis=1).tolist()]
    right = np.mean([name == example.intent for name, example in zip(likeliest, examples, strict=True)])
    alone = np.mean([INTENTS[int(row[:15].argmax())] == e.intent for row, e in zip(logits, examples, strict=True)])
    assert right > alone + 0.1
    assert set(found.judge.heads) == {"intent", "urgent", "sensitive"}
    assert set(found.scores) == {"chatter", "matter"}


def test_the_same_as_the_librarys_decision_function() -> None:
    draw = np.random.default_rng(9)
    said = draw.normal(3.0, 2.0, size=(300, 6)).astype(np.float32)
    around = (draw.random((300, 4)) < 0.5).astype(np.float32)
    for labels in (2, 3):
        truth = np.clip(said[:, 0] - 2 + around[:, 1] + draw.normal(size=300), 0, labels - 0.01).astype(np.int64)
        everyone = np.ones(300, dtype=bool)
        rows = judgefit._Rows(said, around, truth, np.ones(300), everyone)
        model = rows.fit(everyone)
        outputs = 1 if labels == 2 else labels
        columns = rows.columns(model, outputs)
        tokens = [f"~t{number}" for number in range(4)]
        head = Head("intent", tuple("abc"[:outputs]), 0, 1.0, context=True)
        kept = columns.astype(np.float32)
        ours = Judge(kept[:6], tokens, kept[6:-1], kept[-1], [head])
        theirs = model.decision_function(rows._rows).reshape(300, -1)
        mine = ours.weigh(said, [[t for t, on in zip(tokens, flags, strict=True) if on] for flags in around])
        assert np.abs(mine - theirs).max() < 1e-3
        assert np.ptp(theirs) > 1


def test_tokens_that_it_never_saw_add_nothing(
    judged: Learned,
) -> None:
    found, _, logits, _ = judged
    said = judge.said(HEADS, logits[:1], YES_NO)
    assert np.array_equal(found.judge.weigh(said, [[]]), found.judge.weigh(said, [["~never"]]))


def test_kept_and_read_again_it_is_the_same(judged: Learned, tmp_path: Path) -> None:
    found, _, logits, contexts = judged
    kept: dict[str, Any] = dict(found.judge.arrays())
    np.savez(tmp_path / "judge.npz", **kept)
    with np.load(tmp_path / "judge.npz") as arrays:
        again = Judge.of(arrays, found.judge.facts())
    said = judge.said(HEADS, logits[5:6], YES_NO)
    assert np.array_equal(again.weigh(said, contexts[5:6]), found.judge.weigh(said, contexts[5:6]))
    assert again.heads == found.judge.heads


def test_inputs_stay_numbers() -> None:
    for size in (80.0, -80.0):
        logits = np.full((1, 37), size, dtype=np.float32)
        logits[0, 0] = -size
        said = judge.said(HEADS, logits, YES_NO)
        assert np.all(np.isfinite(said))
        assert said.shape == (1, len(judge.names(HEADS)))


def test_a_town_is_in_one_fold_and_utterances_are_in_all() -> None:
    examples = _examples()
    folds = judgefit.folds(examples)
    assert set(folds.tolist()) == set(range(judgefit.FOLDS))
    of_town = {name: {int(f) for f, e in zip(folds, examples, strict=True) if e.town == name} for name in TOWNS}
    assert all(len(found) == 1 for found in of_town.values())
    lone = Counter(int(f) for f, e in zip(folds, examples, strict=True) if not e.town)
    assert max(lone.values()) - min(lone.values()) <= 3


def test_few_towns_are_dealt_message_by_message() -> None:
    examples = [e for e in _examples() if e.town in {"alpha", ""}]
    folds = judgefit.folds(examples)
    assert len({int(f) for f, e in zip(folds, examples, strict=True) if e.town == "alpha"}) == judgefit.FOLDS


def test_a_temperature_softens_who_is_too_sure() -> None:
    draw = np.random.default_rng(3)
    truth = draw.integers(0, 2, 2000)
    right = draw.random(2000) < 0.8
    logits = np.zeros((2000, 2))
    logits[np.arange(2000), np.where(right, truth, 1 - truth)] = 9.0
    assert temperature(logits, truth) > 4
