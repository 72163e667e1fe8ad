"""From corrections to an engine in force: trained, judged, promoted, taken back; refused where it must be."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from bot import gate_cases, gate_report, retraining, training
from bot.gate_cases import HELD, LEARNED
from bot.retraining import Judged
from bot.training import Following, is_trained
from config.tables import leaves
from models.base import utc_now
from models.correction import Correction, CorrectionKind
from models.database import Database
from nlu import artefact, corpus, gate, lessons, store
from nlu.corpus import BadData, Example
from nlu.embedded import EmbeddedEngine
from nlu.gate import Answer, Case
from nlu.gazetteer import NOWHERE
from nlu.heads import Heads
from nlu.store import NotPossible
from nlu.types import Utterance
from tests.bot.test_cli import Shell, cells, home_db, shell
from tests.bot.test_cli_corrections import town

pytestmark = pytest.mark.xdist_group("retraining")  # one process makes what they share

__all__ = ["home_db", "shell", "town"]  # fixtures
NOW = datetime(2026, 3, 2, tzinfo=UTC)
KNOWN = leaves()
# In no training data: what they are can only be learned from corrections.
JARGON = [
    f"{who}{what}呱唧呱唧啦"
    for who in ("咱这", "那头", "楼前", "西边", "东边")
    for what in ("嘎嘣铃", "嘎嘣条", "嘎嘣盒", "嘎嘣罩")
]


@pytest.fixture(scope="module")
def small() -> list[Example]:
    """A part of the data that trains in a second."""
    known = frozenset(KNOWN)
    alone = [e for file in corpus.files() for e in corpus.utterances(file, known)]
    return [*alone[::20], *list(corpus.town(corpus.towns()[0]))[::3]]


@pytest.fixture(scope="module")
def base(small: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a deployment whose engine is trained on that part."""
    home = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "everything", lambda known, **_: list(small))
        EmbeddedEngine.shipped(home, KNOWN)
    return home


@pytest.fixture
def home(shell: Shell, base: Path, small: list[Example], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, with that engine; little is asked by the gate."""
    shutil.copytree(base / "nlu", shell.home / "nlu")
    monkeypatch.setattr(corpus, "everything", lambda known, **_: list(small))
    asked = list(gate_cases.regression(KNOWN))[::12]
    monkeypatch.setattr(gate_cases, "regression", lambda known: iter(asked))
    yield shell.home
    structlog.reset_defaults()


def corrected(db: Database, texts: Sequence[str] = JARGON, category: str = "facility.lighting") -> None:
    """A day apart, each of a ticket that was given another category."""

    def write(session: object) -> None:
        for number, text in enumerate(texts):
            said = {"channel": "web", "chat": "g", "message": f"c{number}", "role": "report", "text": text}
            session.add(  # type: ignore[attr-defined]
                Correction(
                    at=NOW + timedelta(days=number), by="C01", kind=CorrectionKind.MISSED, words=[said],
                    said={"intents": {"report": 0.1}}, after={"intent": "report", "category": category},
                )
            )  # fmt: skip

    db.tx(write)


@pytest.fixture
def candidate(home: Path, town: Database) -> str:
    """Trained on corrections."""
    corrected(town)
    return retraining.retrain(home, KNOWN, town, NOW).id


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Case, Answer], Answer]) -> None:
    """The candidate answers otherwise; the one in force, which is asked first, as it does."""
    asked = gate_cases.ask
    seen: list[int] = []

    def ask(engine: EmbeddedEngine, case: Case, example: Example, names: object) -> Answer:
        seen.append(1)
        said = replace(asked(engine, case, example, names), ms=1.0)  # type: ignore[arg-type]
        return change(case, said) if len(seen) % 2 == 0 else said

    monkeypatch.setattr(gate_cases, "ask", ask)


def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both answer alike: the gate passes whatever was trained."""
    asked = gate_cases.ask
    kept: dict[str, Answer] = {}

    def ask(engine: EmbeddedEngine, case: Case, example: Example, names: object) -> Answer:
        return kept.setdefault(case.id, asked(engine, case, example, names))  # type: ignore[arg-type]

    monkeypatch.setattr(gate_cases, "ask", ask)


def test_it_learns_the_older_part_and_keeps_the_newer(home: Path, town: Database) -> None:
    corrected(town)
    seen: list[tuple[str, float]] = []
    found = retraining.retrain(home, KNOWN, town, NOW, lambda what, share: seen.append((what, share)))
    assert (found.fresh, found.removed, len(found.learned), len(found.held)) == (True, [], 14, 6)
    assert max(one.at for one in found.learned) < min(one.at for one in found.held)
    assert any(share > 0.5 for _, share in seen)
    folder = store.folder_of(home, found.id)
    assert [len(lessons.read(folder / name, NOWHERE)) for name in (LEARNED, HELD)] == [14, 6]
    assert store.running(home, KNOWN) == store.shipped(home, KNOWN), "nothing changes by it"

    engine = EmbeddedEngine.shipped(home, KNOWN)
    better = EmbeddedEngine(Heads.load(folder))
    assert better.heads.facts["data"] == found.id
    text = [Utterance(found.held[-1].example.text)]
    before, after = engine.parse(text, NOWHERE)[0], better.parse(text, NOWHERE)[0]
    assert before.p("report") < 0.5 < after.p("report")
    assert after.matters[0].category == "facility.lighting"
    assert after.engine == f"embedded:{found.id}"


def test_the_same_again_is_the_same_candidate_and_more_is_another(home: Path, town: Database, candidate: str) -> None:
    again = retraining.retrain(home, KNOWN, town, NOW)
    assert (again.id, again.fresh) == (candidate, False)
    corrected(town, ["嘀里嘟噜的墙皮全掉光了呀", "叽里咕噜的下水道堵死了呀"], "facility.building")
    other = retraining.retrain(home, KNOWN, town, NOW)
    assert other.id != candidate
    assert other.removed == [candidate]
    assert store.candidates(home) == [other.id]


def test_nothing_to_learn_from(home: Path, town: Database) -> None:
    with pytest.raises(NotPossible, match="nothing to learn from"):
        retraining.retrain(home, KNOWN, town, NOW)
    with pytest.raises(NotPossible, match="nothing to learn from"):
        retraining.retrain(home, KNOWN, None, NOW)


def test_words_that_were_taken_back_leave_older_candidates_too(home: Path, town: Database, candidate: str) -> None:
    store.promote(home, candidate, NOW)
    file = store.folder_of(home, candidate) / LEARNED
    assert JARGON[0] in file.read_text("utf-8")

    def take_back(session: object) -> None:
        row = session.get_one(Correction, 1)  # type: ignore[attr-defined]
        row.words = [row.words[0] | {"text": ""}]
        session.add(row)  # type: ignore[attr-defined]

    town.tx(take_back)
    retraining.retrain(home, KNOWN, town, NOW)
    assert JARGON[0] not in file.read_text("utf-8")
    assert JARGON[1] in file.read_text("utf-8")


def test_promoted_only_after_its_own_gate(
    home: Path, candidate: str, monkeypatch: pytest.MonkeyPatch, town: Database
) -> None:  # fmt: skip
    with pytest.raises(NotPossible, match="no gate of"):
        retraining.promote(home, KNOWN, candidate, NOW)
    alike(monkeypatch)
    found = retraining.judge(home, KNOWN, candidate, NOWHERE)
    assert found.passed
    assert {case.part for case in found.cases} == {"regression", "corrections"}
    assert retraining.promote(home, KNOWN, candidate, NOW) == store.shipped(home, KNOWN).name
    assert EmbeddedEngine.ready(home, KNOWN).heads.facts["data"] == candidate
    for again in (retraining.promote, lambda *_: retraining.judge(home, KNOWN, candidate, NOWHERE)):
        with pytest.raises(NotPossible, match="is in force already"):
            again(home, KNOWN, candidate, NOW)

    # Another candidate was judged against what was in force then: that says nothing about now.
    corrected(town, ["嘀里嘟噜的墙皮全掉光了呀"], "facility.building")
    other = retraining.retrain(home, KNOWN, town, NOW).id
    old = store.folder_of(home, other) / f"gate-{store.shipped(home, KNOWN).name}.json"
    store.put(old, {"data": artefact.fingerprint(KNOWN), "passed": True, "towns": [], "verdicts": []})
    with pytest.raises(NotPossible, match=f"no gate of {other} against {candidate}"):
        retraining.promote(home, KNOWN, other, NOW)


def test_a_gate_of_other_data_does_not_count(home: Path, candidate: str) -> None:
    file = store.folder_of(home, candidate) / f"gate-{store.shipped(home, KNOWN).name}.json"
    store.put(file, {"data": "older", "passed": True, "towns": [], "verdicts": []})
    with pytest.raises(NotPossible, match="no gate of"):
        retraining.promote(home, KNOWN, candidate, NOW)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda case, said: replace(said, alarm=False), "urgent"),
        (lambda case, said: replace(said, intent="ask") if case.intent == "report" else said, "macro-F1, intent"),
        (lambda case, said: replace(said, leaf="city.noise"), "macro-F1, category"),
        (lambda case, said: replace(said, intent="chatter") if case.intent == "report" else said, "each intent"),
        (lambda case, said: replace(said, taken=True), "talk taken for a report"),
        (lambda case, said: replace(said, ms=9.0), "p99 a message"),
    ],
)
def test_a_worse_candidate_is_refused(
    home: Path, candidate: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[Case, Answer], Answer], check: str
) -> None:  # fmt: skip
    alike(monkeypatch)
    asked = list(gate_cases.regression(KNOWN))
    more = [(replace(c, id=f"{c.id} {n}"), e) for n in range(3) for c, e in asked]
    monkeypatch.setattr(gate_cases, "regression", lambda known: iter(more))
    spoil(monkeypatch, change)
    found = retraining.judge(home, KNOWN, candidate, NOWHERE)
    assert check in {verdict.check for verdict in found.verdicts if not verdict.passed}
    with pytest.raises(NotPossible, match=f"has not passed its gate: .*{check}"):
        retraining.promote(home, KNOWN, candidate, NOW)
    assert store.promoted(home) == store.SHIPPED


def test_a_town_once_given_stays_in_the_gate(home: Path, candidate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alike(monkeypatch)
    folder = corpus.towns()[1]
    first = retraining.judge(home, KNOWN, candidate, NOWHERE, [folder])
    second = retraining.judge(home, KNOWN, candidate, NOWHERE)
    assert first.towns == second.towns == (str(folder),)
    assert folder.name in {case.part for case in second.cases}


def test_of_a_pack_without_labels_only_what_is_known_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(corpus.towns()[1], folder)
    labelled = {case.id: case.intent for case, _ in gate_cases.town(folder)}
    (folder / "labels.csv").unlink()
    found = {case.id: case.intent for case, _ in gate_cases.town(folder)}
    assert labelled.keys() == found.keys()
    assert all(found[id_] in ("", labelled[id_]) for id_ in found)
    assert {"report", "chatter", ""} == set(found.values())
    assert {labelled[id_] for id_ in found if not found[id_]}.isdisjoint({"report"})
    (folder / "gold.json").unlink()
    with pytest.raises(BadData, match=r"copy: there is no gold\.json"):
        list(gate_cases.town(folder))


def test_what_the_one_in_force_has_learned_is_not_asked(home: Path, candidate: str) -> None:
    folder = store.folder_of(home, candidate)
    held = lessons.read(folder / HELD, NOWHERE)
    lessons.write(folder / LEARNED, [*lessons.read(folder / LEARNED, NOWHERE), held[0]])
    found = retraining.judge(home, KNOWN, candidate, NOWHERE)
    assert {case.id for case in found.cases if case.part == "corrections"} == {one.key for one in held[1:]}


def test_one_for_other_features_is_passed_over(home: Path, candidate: str) -> None:
    store.promote(home, candidate, NOW)
    store.put(store.folder_of(home, candidate) / store.ABOUT, store.about(home, candidate) | {"reading": "of old"})
    assert EmbeddedEngine.ready(home, KNOWN).heads.facts["data"] == store.shipped(home, KNOWN).name
    with pytest.raises(NotPossible, match="was trained for other features"):
        retraining.judge(home, KNOWN, candidate, NOWHERE)
    with pytest.raises(NotPossible, match="was trained for other features"):
        retraining.promote(home, KNOWN, candidate, NOW)


def test_a_running_worker_takes_what_is_promoted(
    home: Path, candidate: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    now = [0.0]
    following = Following(home, KNOWN, EmbeddedEngine.ready(home, KNOWN), clock=lambda: now[0])

    def running() -> str:
        return following.parse([Utterance("路灯不亮")], NOWHERE)[0].engine.removeprefix("embedded:")

    first = store.shipped(home, KNOWN).name
    store.promote(home, candidate, NOW)
    assert running() == first, "it looks only now and then"
    now[0] += training.LOOK
    assert running() == candidate
    store.rollback(home, KNOWN, NOW)
    now[0] += training.LOOK
    assert running() == first

    (store.folder_of(home, candidate) / "heads.npz").write_bytes(b"torn")
    store.promote(home, candidate, NOW)
    now[0] += training.LOOK
    assert running() == first, "what cannot be read is not taken"
    monkeypatch.setattr(artefact, "reading", lambda known: "other code on the disk")
    now[0] += training.LOOK
    assert running() == first


def test_a_promoted_one_is_an_engine_without_the_shipped_one(home: Path, candidate: str) -> None:
    shutil.rmtree(store.shipped(home, KNOWN))
    assert not is_trained(home, KNOWN)
    store.promote(home, candidate, NOW)
    assert is_trained(home, KNOWN)


def page(**change: object) -> str:
    told = [
        Case("a", "regression", "路灯<script>alert(1)</script>&", "report", "facility.lighting", urgent=True),
        Case("b", "regression", "早", "chatter"),
    ]
    said = [
        Answer("chatter", 0.9, "city.noise", 0.8, 0.1, 0.1, False, False, 1.0),
        Answer("chatter", 0.9, "city.noise", 0.2, 0.1, 0.9, False, False, 1.0),
    ]
    better = [replace(said[0], alarm=True), said[1]]
    found = Judged("new", "old", (), told, better, said, gate.judge(told, better, said))
    return gate_report.render(replace(found, **change), "2026-03-02 08:00")  # type: ignore[arg-type]


def test_the_report_stands_alone_and_escapes_what_residents_said() -> None:
    text = page()
    assert "<script" not in text
    assert text.count("路灯&lt;script&gt;alert(1)&lt;/script&gt;&amp;") == 2  # the verdict's, and among the misses
    assert re.search(r"""(?:src|href)\s*=|url\(|@import|\son\w+=""", text) is None
    assert "prefers-color-scheme: dark" in text
    assert 'data-testid="outcome">not passed<' in text
    assert "公共设施/照明" in text
    assert text.count("<svg") == 2
    assert text.count('class="matrix"') == 2
    assert re.search(r'class="wrong s6">1<', text), "the report that was called talk"


def test_the_report_of_nothing() -> None:
    assert "None." in page(cases=[], current=[], candidate=[], verdicts=[])


def test_the_commands(shell: Shell, home: Path, town: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = shell("nlu", "gate")
    assert (code, err) == (1, "there is no candidate: `linsheng nlu retrain` makes one.\n")
    code, _, err = shell("nlu", "rollback")
    assert (code, err) == (1, "nothing is promoted: the engine of the data that ship is in force.\n")
    corrected(town)
    code, out, _ = shell("nlu", "retrain")
    id_ = cells(out, "candidate")[1]
    assert (code, cells(out, "to learn from")[1]) == (0, "14  report 14")
    assert shell("nlu", "promote", "nonesuch")[2].startswith("there is no candidate 'nonesuch'")
    assert shell("nlu", "promote")[2].startswith(f"no gate of {id_}")

    with monkeypatch.context() as patch:
        spoil(patch, lambda case, said: replace(said, intent="ask"))
        code, out, err = shell("nlu", "gate")
    assert (code, err) == (1, f"{id_} may not be promoted.\n")
    assert "macro-F1, intent" in out
    refused = shell("nlu", "promote")[2]
    assert refused.startswith(f"{id_} has not passed its gate: ")
    assert "macro-F1, intent (regression)" in refused

    alike(monkeypatch)
    report = home / "reports" / "gate.html"
    code, out, _ = shell("nlu", "gate", id_, "--report", str(report))
    assert (code, report.read_text("utf-8").startswith("<!doctype html>")) == (0, True)
    code, out, _ = shell("nlu", "promote")
    assert (code, out.startswith(f"{id_} is in force")) == (0, True)
    assert cells(shell("nlu", "history")[1], id_)[4] == "in force"
    code, out, _ = shell("nlu", "rollback")
    assert (code, out) == (0, f"{store.shipped(home, KNOWN).name} is in force.\n")
    code, out, _ = shell("nlu", "history")
    assert cells(out, store.shipped(home, KNOWN).name)[4] == "ships, in force"
    assert json.loads((home / "nlu" / "current.json").read_text("utf-8"))["current"] == ""
    assert utc_now() > NOW
