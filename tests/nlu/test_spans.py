"""Places by their form: what the CRF is shown, what it says, and what becomes of it in an understanding."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from config.tables import leaves
from nlu import corpus, embedded, spanfit, spans, train
from nlu.corpus import Example
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE, Gazetteer
from nlu.heads import Heads
from nlu.spans import FORM, LONGEST, Spotter
from nlu.types import MATTER, Context, Span, Understanding, Utterance

pytestmark = pytest.mark.xdist_group("spans")  # one process trains what they share
DIRECT = Context(direct=True)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """All that the engine learns from."""
    return list(corpus.everything(frozenset(leaves())))


@pytest.fixture(scope="module")
def spotter(examples: list[Example]) -> Spotter:
    found = spanfit.learn(examples)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def engine(examples: list[Example], spotter: Spotter) -> EmbeddedEngine:
    """Heads of every fifth example, with the CRF of all of them."""
    heads = train.train([replace(e, spans=()) for e in examples[::5]], leaves())
    assert heads.spotter is not None  # the towns' names alone
    heads.spotter = spotter
    return EmbeddedEngine(heads)


def ask(engine: EmbeddedEngine, text: str, names: Gazetteer = NOWHERE) -> Understanding:
    return engine.parse([Utterance(text, DIRECT)], names)[0]


def places(found: Understanding) -> list[Span]:
    return [span for span in found.spans if span.kind == "location"]


@pytest.mark.parametrize("text", ["从九月二十摘到现在 没发钱", "我妈在网上刷单被骗了三万", "瓦飞去半片", "坏了", ""])
def test_without_a_word_of_where_there_is_no_place(spotter: Spotter, text: str) -> None:
    assert spotter.find(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("老榕树那里路灯不亮", "老榕树那里"),
        ("老供销社后门垃圾堆成山了没人收", "老供销社后门"),
        ("菜市场门口污水横流", "菜市场门口"),
        ("沿河步道的护栏断了一截", "沿河步道"),
    ],
)
def test_a_place_that_nobody_knows(spotter: Spotter, text: str, said: str) -> None:
    found = spotter.find(text)
    assert [(span.kind, span.codes, span.how) for span in found] == [("location", (), FORM)] * len(found)
    assert any(span.start < text.index(said) + len(said) and text.index(said) < span.end for span in found), found
    assert all(text[span.start : span.end] == span.text for span in found)


@pytest.mark.parametrize("text", ["", " ", "好的谢谢", "，。！", "a"])
def test_nothing_where_there_is_no_place(spotter: Spotter, text: str) -> None:
    assert spotter.find(text) == []


def test_on_lines_never_learned_from(spotter: Spotter) -> None:
    found = total = 0
    for example in corpus.utterances(corpus.DATA / corpus.REGRESSION, frozenset(leaves())):
        said = spotter.find(example.text)
        for start, end, entity in example.spans:
            if entity == "location":
                total += 1
                found += any(span.start < end and start < span.end for span in said)
    assert total > 200
    assert found / total > 0.7  # the grammar alone: a quarter


def test_what_is_learned(examples: list[Example]) -> None:
    rows = list(spanfit.learned(examples))
    assert rows == list(spanfit.learned(examples)), "not repeatable"
    assert len(rows) > 1500
    assert all(0 <= start < end <= len(text) for text, found in rows for start, end, _ in found)
    assert all(left[1] <= right[0] for _, found in rows for left, right in pairwise(found))
    told = [replace(e, corrected=True) for e in examples if e.town]
    assert list(spanfit.learned(told)) == [], "what staff put right is marked nowhere"
    assert spanfit.learn(told) is None


def test_names_of_a_town_are_changed_for_others() -> None:
    town = Gazetteer([("蓝田苑", "P1"), ("小广场", "P2")])
    here = [
        Example(f"{n}号 蓝田苑旁边的灯不亮", "report", "facility.lighting", town="t", names=town, source=str(n))
        for n in range(60)
    ]
    there = [Example("小广场积水", "report", "utility.drainage", town="u", names=town)] * 60
    rows = list(spanfit.learned([*here, *there]))
    said = {text[start:end] for text, found in rows for start, end, _ in found}
    assert {"蓝田苑旁边", "小广场旁边"} <= said, "the words of where belong to the place, whatever its name"


def test_tags_and_back() -> None:
    marked = [(0, 2, "location"), (2, 3, "location"), (5, 7, "object")]
    tags = spans.tagged(7, marked)
    assert tags == ["B-l", "I-l", "B-l", "O", "O", "B-o", "I-o"]
    assert list(spans.untagged(tags)) == [(0, 2, "l"), (2, 3, "l"), (5, 7, "o")]
    assert list(spans.untagged(["O", "I-l", "I-l", "I-o"])) == [(1, 3, "l"), (3, 4, "o")]


def test_one_row_of_features_a_character() -> None:
    text = "3栋门口 a座"
    assert len(spans.observed(text)) == len(text)
    assert spans.observed("3栋") == spans.observed("7栋"), "digits are alike"


def test_a_long_text_is_read_in_part(spotter: Spotter) -> None:
    assert all(span.end <= LONGEST for span in spotter.find("老榕树那里路灯不亮 " * 100))


def test_only_where_nothing_else_is_found(engine: EmbeddedEngine) -> None:
    text = "老供销社后门的路灯不亮了"
    bare = ask(engine, text)
    assert [(span.how, span.codes) for span in places(bare)] == [(FORM, ())]
    known = ask(engine, text, Gazetteer([("老供销社", "P1")]))
    assert [(span.how, span.codes) for span in places(known)] == [("name", ("P1",))]
    assert [span.how for span in places(ask(engine, f"3栋 {text}"))] == ["name"]


def test_only_in_what_may_be_a_matter(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "老供销社后门的路灯不亮了"
    likely = ask(engine, text).p(*MATTER)
    for least, said in ((likely - 0.01, 1), (likely + 0.01, 0)):
        monkeypatch.setattr(embedded, "FORM_LEAST", least)
        assert len(places(ask(engine, text))) == said


def test_it_changes_nothing_else(engine: EmbeddedEngine, spotter: Spotter) -> None:
    lines = [e.text for e in corpus.utterances(corpus.DATA / corpus.REGRESSION, frozenset(leaves()))][:150]
    with_ = [ask(engine, line) for line in lines]
    engine.heads.spotter = None
    without = [ask(engine, line) for line in lines]
    engine.heads.spotter = spotter
    bare = [replace(found, spans=tuple(span for span in found.spans if span.how != FORM)) for found in with_]
    assert bare == without
    assert with_ != without


def test_kept_beside_the_heads(engine: EmbeddedEngine, spotter: Spotter, tmp_path: Path) -> None:
    engine.heads.save(tmp_path)
    again = Heads.load(tmp_path).spotter
    assert again is not None
    assert again.model == spotter.model
    (tmp_path / spans.FILE).unlink()
    assert Heads.load(tmp_path).spotter is None  # of an older artefact
    assert places(ask(EmbeddedEngine(Heads.load(tmp_path)), "老供销社后门的路灯不亮了")) == []
