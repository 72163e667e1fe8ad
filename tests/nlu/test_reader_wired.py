"""The second reader in the engine: whom it is asked about, what its word changes, what is said when it is missing."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot import doctor
from bot.cli.nlu import train
from bot.training import NotTrained
from config.decisions import decisions
from config.settings import SettingsError
from config.tables import leaves
from nlu import cuts, judge
from nlu.embedded import EmbeddedEngine
from nlu.gazetteer import NOWHERE
from nlu.head import Floats, Head
from nlu.heads import Heads
from nlu.judge import Judge
from nlu.reader import run
from nlu.reader.pieces import SPECIALS, Pieces
from nlu.reader.run import ALWAYS, Column, SecondReader
from nlu.reader.wanted import folder_of, wanted
from nlu.types import INTENTS, MATTER, Context, Understanding, Utterance

LEAVES = ("facility.elevator", "facility.lighting", "utility.water")
REPORT, CHATTER = INTENTS.index("report"), INTENTS.index("chatter")
# Of these the engine by itself is sure that it is talk, does not know, and is sure that it is a matter.
TALK, PERHAPS, SURE = Context(), Context(asked=True), Context(direct=True)
ALONE = [0.0, 0.5, 1.0]


class Session:
    """In place of ONNX Runtime: counts, and says of everything that it is talk, private, and of the last kind."""

    asked = 0

    def run(self, names: None, inputs: Mapping[str, Any]) -> list[Floats]:
        """One message."""
        self.asked += 1
        scores = np.zeros((1, len(INTENTS) + 2 + len(LEAVES)), dtype=np.float32)
        scores[0, CHATTER], scores[0, len(INTENTS)], scores[0, len(INTENTS) + 1], scores[0, -1] = 5, 9, 3, 4
        return [scores]


COLUMNS = [
    Column("intent", INTENTS, 0, 1.5), Column("urgent", ("True",), len(INTENTS)),
    Column("sensitive", ("True",), len(INTENTS) + 1), Column("leaf", LEAVES, len(INTENTS) + 2, 2.0),
]  # fmt: skip
PIECES = Pieces([*SPECIALS, "\u2581"], [0.0] * 4 + [-1.0], -9, {})
HELD = {
    "chatter": [(0.3, 0.3, 0.1), (0.99, 0.99, 0.6), (0.01, 0.01, 0.2)], "matter": [(0.5, 0.5, 0.9)],
    "leaf": [(0.1, 0.7, 0.8), (0.5, 0.4, 0.3)],
}  # fmt: skip


def reader(session: Session, band: tuple[float, float] = ALWAYS) -> SecondReader:
    """A reader that was told these scores."""
    return SecondReader(session, PIECES, COLUMNS, ("~asked:True",), {}, HELD, band)


@pytest.fixture
def heads() -> Heads:
    """Heads that see nothing, and a judge that goes by two tokens of the context."""
    own: list[Head] = []
    for name, labels in (("intent", INTENTS), ("words", INTENTS), ("leaf", LEAVES), ("urgent", ("True",)),
                         ("sensitive", ("True",)), ("danger", ("True",))):  # fmt: skip
        own.append(Head(name, labels, own[-1].stop if own else 0, 1.0, False))
    outputs = len(INTENTS) + 2
    bias = np.full(outputs, -9.0, dtype=np.float32)
    bias[[CHATTER, -2, -1]] = 9, 0, 0
    context = np.zeros((2, outputs), dtype=np.float32)
    context[:, REPORT] = 18, 36
    columns = {head.name: head for head in own}
    weighs = [Head("intent", INTENTS, 0, 2.0, True), Head("urgent", ("True",), outputs - 2, 1.0, True),
              Head("sensitive", ("True",), outputs - 1, 1.0, True)]  # fmt: skip
    nothing = np.zeros((len(judge.names(columns)), outputs), dtype=np.float32)
    made = Judge(nothing, ["~asked:True", "~direct:True"], context, bias, weighs)
    none = np.zeros((0, own[-1].stop), dtype=np.float32)
    scores = {name: np.array([0.25, 0.5, 0.75], dtype=np.float32) for name in ("chatter", "matter", "leaf")}
    return Heads({}, np.zeros(0, np.float32), none, np.zeros(own[-1].stop, np.float32), own, {"data": "x"}, scores,
                 None, made)  # fmt: skip


def ask(engine: EmbeddedEngine) -> list[Understanding]:
    """TALK, PERHAPS and SURE."""
    return engine.parse([Utterance("喏", context) for context in (TALK, PERHAPS, SURE)], NOWHERE)


def mass(answer: Understanding) -> float:
    """The share of a matter."""
    return sum(answer.intents[name] for name in MATTER)


def test_without_a_second_reader_the_engine_is_as_it_was(heads: Heads) -> None:
    engine = EmbeddedEngine(heads)
    assert [mass(answer) for answer in ask(engine)] == pytest.approx(ALONE, abs=0.01)
    assert engine.heads is heads


@pytest.mark.parametrize(("band", "asked"), [((0.05, 0.95), 1), ((0.05, 1.0), 2), (ALWAYS, 3)])
def test_only_the_messages_of_the_band_are_asked_about(heads: Heads, band: tuple[float, float], asked: int) -> None:
    session = Session()
    found = ask(EmbeddedEngine(heads, reader(session, band)))
    assert session.asked == asked
    alone = ask(EmbeddedEngine(heads))
    assert [a.intents == b.intents for a, b in zip(alone, found, strict=True)].count(False) == asked
    assert mass(found[1]) < 0.4
    assert {answer.engine for answer in found} == {"embedded:x+reader"}


def test_its_word_is_a_geometric_mean_with_what_the_judge_says(heads: Heads) -> None:
    alone, found = ask(EmbeddedEngine(heads))[1], ask(EmbeddedEngine(heads, reader(Session())))[1]
    ours = np.array([alone.intents[name] for name in INTENTS])
    theirs = COLUMNS[0].probabilities(Session().run(None, {})[0][0])
    powers = ours ** (1 - run.SHARES["intent"]) * theirs ** run.SHARES["intent"]
    assert [found.intents[name] for name in INTENTS] == pytest.approx(powers / powers.sum(), abs=1e-5)
    assert found.sensitive == pytest.approx(1 / (1 + np.exp(-3 * run.SHARES["sensitive"])), abs=1e-5)
    assert found.urgent == alone.urgent == 0.5, "in urgency it is not heard"
    sure = np.exp(4 / 2.0 * run.SHARES["leaf"])
    assert found.matters[0].category == LEAVES[-1]
    assert found.matters[0].categories[0][1] == pytest.approx(sure / (sure + 2), abs=1e-5)
    assert alone.matters[0].categories[0][1] == pytest.approx(1 / 3)


def test_the_parts_of_a_message_are_asked_about_one_by_one(heads: Heads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "cut", lambda *_: [[(0, 5), (5, 13)]])
    session = Session()
    message = Utterance("东边没水了 西边电梯也坏了吧", SURE)
    (found,) = EmbeddedEngine(heads, reader(session)).parse([message], NOWHERE)
    assert [matter.category for matter in found.matters] == [LEAVES[-1]] * 2
    assert session.asked == 3
    (outside,) = EmbeddedEngine(heads, reader(session, (0.05, 0.95))).parse([message], NOWHERE)
    assert len(outside.matters) == 2
    assert session.asked == 3, "what the engine is sure of is not asked about in parts either"


def test_the_credibility_is_that_of_the_measure_that_counts(heads: Heads) -> None:
    assert reader(Session()).scores["chatter"].tolist() == pytest.approx([0.1, 0.2, 0.6])
    assert reader(Session(), (0.2, 0.9)).scores["chatter"].tolist() == pytest.approx([0.01, 0.1, 0.99])
    engine = EmbeddedEngine(heads, reader(Session()))
    assert engine.heads.scores["chatter"].tolist() == pytest.approx([0.1, 0.2, 0.6])
    assert reader(Session(), (0.2, 0.9)).scores["leaf"].tolist() == pytest.approx([0.3, 0.7])
    answer = ask(engine)[1]
    assert answer.credible["chatter"] == pytest.approx(((np.array([0.1, 0.2, 0.6]) >= mass(answer)).sum() + 1) / 4)


# What is said when it is missing --------------------------------------------------------------------------------------


def written(home: Path, kinds: list[str]) -> None:
    """A folder that looks like a reader's, without its graph."""
    folder = folder_of(home)
    folder.mkdir(parents=True)
    about = {
        "facts": {}, "held": HELD, "tokens": [], "pieces": PIECES.about(),
        "heads": [["intent", INTENTS, 0, 1.0], ["leaf", kinds, len(INTENTS), 1.0]],
    }  # fmt: skip
    (folder / run.ABOUT).write_text(json.dumps(about), encoding="utf-8")


def test_off_looks_for_nothing(tmp_path: Path) -> None:
    assert wanted("off", tmp_path, LEAVES) is None


@pytest.mark.parametrize("mode", ["uncertain", "all"])
def test_a_missing_one_names_the_setting_and_the_command(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SettingsError, match=rf"^LINSHENG_READER={mode}: .*`linsheng nlu train --reader`.*=off"):
        wanted(mode, tmp_path, LEAVES)


def test_one_for_other_categories_is_refused(tmp_path: Path) -> None:
    written(tmp_path, ["facility.elevator"])
    with pytest.raises(SettingsError, match="other labels of leaf: `linsheng nlu train --reader` again"):
        wanted("all", tmp_path, LEAVES)


def test_without_onnxruntime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, list(LEAVES))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingsError, match=r"LINSHENG_READER=all: .*pip install 'linsheng\[reader\]'"):
        wanted("all", tmp_path, LEAVES)


def test_the_setting_chooses_the_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, list(LEAVES))
    monkeypatch.setattr(run, "session", lambda file: Session())
    bands = [found.band for mode in ("uncertain", "all") if (found := wanted(mode, tmp_path, LEAVES))]
    assert bands == [(decisions().reader.low, decisions().reader.high), ALWAYS]
    assert 0 < bands[0][0] < bands[0][1] < 1


def test_doctor_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    for mode, state in (("off", doctor.OK), ("all", doctor.FAIL)):
        monkeypatch.setenv("LINSHENG_READER", mode)
        (found,) = [finding for finding in doctor.examine() if finding.check == "reader"]
        assert found.state == state
    assert "linsheng nlu train --reader" in found.said
    written(tmp_path, leaves())
    monkeypatch.setattr(run, "session", lambda file: Session())
    (found,) = [finding for finding in doctor.examine() if finding.check == "reader"]
    assert (found.state, found.said) == (doctor.OK, "asked about everything")


def test_tuning_without_torch_names_the_extra_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    for name in [name for name in sys.modules if name.startswith(("nlu.reader.make", "nlu.reader.tune"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("torch", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotTrained, match=r"is not installed: pip install 'linsheng\[reader-train\]'"):
        train(reader=True)
    assert not (tmp_path / "nlu").exists()
