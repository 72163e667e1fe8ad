"""The linear heads at run time against the library they were trained with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from config.tables import leaves
from nlu import artefact, calibrate, corpus, headfit, train
from nlu.bags import Bag, Bags, Matrix
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE
from nlu.grams import grams
from nlu.head import Floats, Head, probabilities
from nlu.heads import Heads
from nlu.normalize import normalize
from nlu.types import INTENTS, Context, Utterance

pytestmark = pytest.mark.xdist_group("heads")  # one process trains what they share
TASKS = {task.name: task for task in headfit.TASKS}


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """A part of the training data that trains in a second: some of every intent, and a town."""
    known = frozenset(leaves())
    alone = [e for file in sorted(corpus.DATA.glob("*.yml")) for e in corpus.utterances(file, known)]
    return train.with_contexts([*alone[::12], *list(corpus.town(corpus.towns()[0]))[::2]])


@pytest.fixture(scope="module")
def trained(examples: list[Example]) -> Heads:
    """Heads for every task."""
    return train.train(examples, leaves())


@pytest.fixture(scope="module")
def bags(examples: list[Example]) -> list[Bag]:
    """The features of 200 texts: of their words, and of their contexts."""
    return [train.bag(example) for example in examples[:: len(examples) // 200][:200]]


@pytest.mark.parametrize("name", TASKS)
def test_the_same_as_the_librarys_decision_function(examples: list[Example], bags: list[Bag], name: str) -> None:
    task = TASKS[name]

    def seen(rows: Bags) -> csr_matrix:
        return matrix.rows(rows.both if task.context else rows.words)

    picked = [example for example in examples if task.chosen(example)]
    learned = Bags.of([train.bag(example) for example in picked])
    matrix = Matrix(learned)
    labels = sorted({task.label(example) for example in picked})
    truth = np.array([labels.index(task.label(example)) for example in picked])
    model = calibrate.fit(seen(learned), truth, task.strength, np.ones(len(picked)))
    weights, bias = headfit._full(model, len(labels), len(matrix.vocabulary))
    head = Head(name, tuple(labels) if len(labels) > 2 else (labels[1],), 0, 1.0, task.context)
    heads = Heads(matrix.vocabulary, matrix.idf, weights, np.array(bias, dtype=np.float32), [head], {})
    theirs = model.decision_function(seen(learned.others(bags))).reshape(len(bags), -1)
    ours = heads.logits([words for words, _ in bags], [context for _, context in bags])
    assert len(bags) == 200
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-3
    assert np.ptp(theirs) > 1, "all texts look alike: nothing was compared"


def test_every_task_has_its_head(trained: Heads) -> None:
    assert set(trained.heads) == set(TASKS)
    assert trained.heads["leaf"].labels == tuple(leaves())
    assert trained.weights.shape == (len(trained.vocabulary), len(trained.bias))
    assert all(0.2 < head.temperature < 5.0 for head in trained.heads.values())


def test_probabilities_sum_to_one(trained: Heads, bags: list[Bag]) -> None:
    asked = [*bags, ([], [])]
    logits = trained.logits([words for words, _ in asked], [context for _, context in asked])
    for name, head in trained.heads.items():
        shares = trained.probabilities(name, logits)
        assert shares.shape == (len(asked), len(head.labels))
        assert np.all((shares >= 0) & (shares <= 1))
        if len(head.labels) > 1:
            assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_who_teaches_what_matter_it_is_does_not_teach_that_it_is_one(examples: list[Example]) -> None:
    learned = [example for example in examples if not example.only]
    more = Example(
        "蓝鲸跃出水面了 快派人来", "report", next(iter(leaves())), urgent=True, sensitive=True, only="matter"
    )
    told = [[*learned, *[made] * 40] for made in (more, replace(more, only=""))]
    found = []
    for row in told:
        bags = Bags.of([train.bag(example) for example in row])
        heads = headfit.learn(row, bags, leaves())
        (said,) = heads.read(bags.part([-1]))
        shares = {head.name: probabilities(head, said) for head in heads.heads}
        found.append(shares)
    alone, fully = found
    assert alone["leaf"].argmax() == fully["leaf"].argmax() == 0
    assert min(heard[name][0] for heard in found for name in ("urgent", "sensitive")) > 0.5
    assert alone["intent"][INTENTS.index("report")] < fully["intent"][INTENTS.index("report")]


def test_who_teaches_danger_alone_teaches_nothing_else(examples: list[Example]) -> None:
    learned = [example for example in examples if not example.only]
    more = Example("蓝鲸压住人了", "report", next(iter(leaves())), urgent=True, sensitive=True, only="danger")
    row = [*learned, *[more] * 40, *[replace(more, text="蓝鲸真好看", intent="chatter", leaf="", urgent=False)] * 40]
    bags = Bags.of([train.bag(example) for example in row])
    heads = headfit.learn(row, bags, leaves())
    (said,) = heads.read(bags.others([train.bag(more)]))
    shares = {head.name: probabilities(head, said) for head in heads.heads}
    assert shares["danger"][0] > 0.5 > shares["urgent"][0]
    assert shares["sensitive"][0] < 0.5
    assert shares["leaf"].argmax() != 0


def test_without_a_lone_line_of_danger_there_is_no_opinion_of_it(examples: list[Example]) -> None:
    row = [example for example in examples if example.town or not example.urgent]
    heads = headfit.learn(row, Bags.of([train.bag(example) for example in row]), leaves())
    assert {head.name: bool(heads.weights[:, head.start].any()) for head in heads.heads}["danger"] is False


def test_the_largest_logits_stay_numbers(trained: Heads) -> None:
    for size in (15.0, -15.0):
        logits: Floats = np.full_like(trained.bias, size)
        logits[0] = -size
        for name in trained.heads:
            assert np.all(np.isfinite(trained.probabilities(name, logits)))


def test_what_nobody_ever_said_is_the_bias(trained: Heads) -> None:
    for row in trained.logits([["\x00 never seen"], []], [["~never"], []]):
        assert np.array_equal(row, trained.bias)


def test_unknown_features_change_nothing(trained: Heads, bags: list[Bag]) -> None:
    words, context = bags[0]
    known, more = trained.logits([words, [*words, "\x00 never seen"]], [context, [*context, "~never"]])
    assert np.array_equal(known, more)


def test_only_heads_that_look_at_the_context_see_it(trained: Heads, bags: list[Bag]) -> None:
    with_it, without = trained.logits([bags[0][0]] * 2, [bags[0][1], []])
    for name, head in trained.heads.items():
        same = np.array_equal(with_it[head.start : head.stop], without[head.start : head.stop])
        assert same is not TASKS[name].context, name


def test_saved_and_loaded_it_is_the_same(trained: Heads, bags: list[Bag], tmp_path: Path) -> None:
    trained.save(tmp_path / "a")
    once = Heads.load(tmp_path / "a")
    assert once.vocabulary == trained.vocabulary
    assert once.heads == trained.heads
    assert once.facts == trained.facts
    seen = [words for words, _ in bags], [context for _, context in bags]
    for name in once.heads:
        # Weights are kept in half precision.
        kept, was = once.probabilities(name, once.logits(*seen)), trained.probabilities(name, trained.logits(*seen))
        assert np.abs(kept - was).max() < 5e-3
    once.save(tmp_path / "b")
    twice = Heads.load(tmp_path / "b")
    assert np.array_equal(once.weights, twice.weights)
    assert np.array_equal(once.idf, twice.idf)
    assert np.array_equal(once.bias, twice.bias)


def test_half_an_artefact_is_none(trained: Heads, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Heads.load(tmp_path)
    trained.save(tmp_path)
    (tmp_path / "heads.json").unlink()
    with pytest.raises(FileNotFoundError):
        Heads.load(tmp_path)


def test_the_same_data_train_the_same_heads(examples: list[Example], trained: Heads) -> None:
    again = train.train(examples, leaves())
    assert again.vocabulary == trained.vocabulary
    assert np.allclose(again.weights, trained.weights, atol=1e-5)


def test_the_fingerprint_follows_the_categories() -> None:
    assert artefact.fingerprint(leaves()) == artefact.fingerprint(leaves())
    assert artefact.fingerprint(leaves()) != artefact.fingerprint(leaves()[1:])


def test_a_text_is_the_sum_of_its_n_grams(trained: Heads, examples: list[Example]) -> None:
    texts = [normalize(example.text) for example in examples[:: len(examples) // 100]]
    for read, added in zip(trained.read(texts), trained.sums([grams(text) for text in texts]), strict=True):
        assert read == pytest.approx(added, rel=1e-5, abs=1e-3)


def test_a_binary_head_is_never_too_sure_to_be_a_number(trained: Heads) -> None:
    for size, share in ((1e6, 1.0), (-1e6, 0.0)):
        assert trained.probabilities("urgent", np.full_like(trained.bias, size)).tolist() == [share]


def test_what_stands_beside_a_message_changes_nothing(trained: Heads, examples: list[Example]) -> None:
    engine = EmbeddedEngine(trained)
    asked = [Utterance(example.text, example.context or Context()) for example in examples[::7]]
    asked += [Utterance("3栋电梯坏了 另外门口的路灯也不亮 还有垃圾没人收"), Utterance(""), Utterance("着火了快来人")]
    together = engine.parse(asked, NOWHERE)
    assert together == [said for utterance in asked for said in engine.parse([utterance], NOWHERE)]
    assert together == [*reversed(engine.parse(asked[::-1], NOWHERE))]
    assert any(len(said.matters) > 1 for said in together), "nothing was cut"
    assert engine.parse([], NOWHERE) == []
