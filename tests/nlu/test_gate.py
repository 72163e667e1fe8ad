"""The gate: every reason to refuse a candidate, each with a candidate made worse in just that way."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nlu import gate
from nlu.gate import Answer, Case, Verdict

LEAVES = ("facility.elevator", "facility.lighting", "utility.water", "safety.gas")


def cases(part: str = "regression", each: int = 40) -> list[Case]:
    """So many reports of four kinds, half of the gas urgent, and twice as much talk."""
    found = [
        Case(f"{part} {leaf} {n}", part, f"{leaf} {n}", "report", leaf, urgent=leaf == "safety.gas" and n % 2 == 0)
        for leaf in LEAVES
        for n in range(each)
    ]
    return found + [Case(f"{part} talk {n}", part, f"talk {n}", "chatter") for n in range(2 * each)]


def right(case: Case) -> Answer:
    """All of it right, and as sure as it may be."""
    report = case.intent == "report"
    leaf = case.leaf or LEAVES[0]
    return Answer(case.intent, 0.98, leaf, 0.9, 0.98 if report else 0.02, 0.98, report, case.urgent, 1.0)


def spoilt(told: Sequence[Case], which: Callable[[Case], bool], share: int = 1, **change: object) -> list[Answer]:
    """Right, but for every `share`-th of some."""
    found, count = [], 0
    for case in told:
        hit = which(case)
        count += hit
        said = right(case)
        found.append(replace(said, **change) if hit and count % share == 0 else said)  # type: ignore[arg-type]
    return found


def failed(told: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]) -> set[str]:
    verdicts = gate.judge(told, current, candidate)
    refused = {verdict.check for verdict in verdicts if not verdict.passed}
    assert gate.passed(verdicts) == (not refused)
    return refused


def found(told: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer], check: str) -> Verdict:
    return next(verdict for verdict in gate.judge(told, current, candidate) if verdict.check == check)


def test_the_same_engine_passes() -> None:
    told = cases()
    assert failed(told, [right(c) for c in told], [right(c) for c in told]) == set()


def test_an_urgent_one_newly_missed_is_refused_however_many_are_newly_found() -> None:
    told = cases()
    urgent = [c.id for c in told if c.urgent]
    current = spoilt(told, lambda c: c.id in urgent[5:], alarm=False)
    candidate = spoilt(told, lambda c: c.id == urgent[0], alarm=False)
    assert failed(told, current, candidate) == {"urgent"}
    verdict = found(told, current, candidate, "urgent")
    assert (verdict.cases, verdict.current, verdict.candidate) == (
        (urgent[0],),
        "15 of 20 missed",
        "1 of 20 missed, 1 newly",
    )


def test_an_urgent_one_that_both_miss_is_no_new_one() -> None:
    told = cases()
    missed = spoilt(told, lambda c: c.urgent, 2, alarm=False)
    assert failed(told, missed, missed) == set()


def test_worse_intents_are_refused() -> None:
    told = cases()
    current = [right(c) for c in told]
    candidate = spoilt(told, lambda c: True, 25, intent="ask")  # 4 of 100, in every class
    assert failed(told, current, candidate) == {"macro-F1, intent"}
    assert failed(told, candidate, candidate) == set()


def test_a_point_may_be_lost_if_it_is_not_surely_lost() -> None:
    told = cases(each=400)
    luck = [c.id for c in told if c.intent == "report"][:10]
    other = [c.id for c in told if c.intent == "report"][10:23]
    current = spoilt(told, lambda c: c.id in luck, intent="ask", p=0.5)
    candidate = spoilt(told, lambda c: c.id in other, intent="ask", p=0.5)
    assert failed(told, current, candidate) == set()  # 10 gained, 13 lost: it may be chance
    assert failed(told, [right(c) for c in told], candidate) == {"macro-F1, intent"}  # a point, and none gained


def test_worse_categories_are_refused() -> None:
    told = cases()
    candidate = spoilt(told, lambda c: bool(c.leaf), 25, leaf="city.noise")
    assert failed(told, [right(c) for c in told], candidate) == {"macro-F1, category"}


def test_a_class_that_loses_is_refused_even_where_the_others_gain() -> None:
    told = cases()
    current = spoilt(told, lambda c: c.leaf in LEAVES[1:], 4, leaf="city.noise")
    candidate = spoilt(told, lambda c: c.leaf == LEAVES[0], 10, leaf="city.noise")
    assert failed(told, current, candidate) == {"each category"}
    verdict = found(told, current, candidate, "each category")
    assert (verdict.current, verdict.candidate) == ("facility.elevator 1.000", "facility.elevator 0.900")
    assert len(verdict.cases) == 4


def test_five_points_exactly_may_be_lost() -> None:
    told = cases(each=20)
    candidate = spoilt(told, lambda c: c.leaf == LEAVES[0], 20, leaf="facility.lighting")
    assert "each category" not in failed(told, [right(c) for c in told], candidate)
    twice = spoilt(told, lambda c: c.leaf == LEAVES[0], 10, leaf="facility.lighting")
    assert "each category" in failed(told, [right(c) for c in told], twice)


def test_a_small_class_may_lose() -> None:
    told = [*cases(), *cases("regression", 19)[:19]]
    told = [c if i < len(cases()) else replace(c, id=f"x{i}", leaf="city.noise") for i, c in enumerate(told)]
    candidate = spoilt(told, lambda c: c.leaf == "city.noise", 10, leaf="facility.lighting")
    assert "each category" not in failed(told, [right(c) for c in told], candidate)


def test_talk_taken_for_reports_is_refused() -> None:
    told = cases()
    candidate = spoilt(told, lambda c: c.intent == "chatter", 40, taken=True)
    assert failed(told, [right(c) for c in told], candidate) == {"talk taken for a report"}
    assert found(told, [right(c) for c in told], candidate, "talk taken for a report").cases == (
        "regression talk 39",
        "regression talk 79",
    )


def test_a_candidate_that_is_surer_than_it_is_right_is_refused() -> None:
    told = cases()
    current = spoilt(told, lambda c: True, 10, intent="ask", p=0.5)
    candidate = [replace(said, p=0.999) for said in current]
    assert failed(told, current, candidate) == {"calibration error"}


def test_a_slower_candidate_is_refused() -> None:
    told = cases()
    current = [right(c) for c in told]
    assert failed(told, current, [replace(said, ms=1.7) for said in current]) == set()
    assert failed(told, current, [replace(said, ms=1.8) for said in current]) == {"p99 a message"}


def test_every_part_counts_by_itself() -> None:
    told = [*cases("regression"), *cases("corrections")]
    current = spoilt(told, lambda c: c.part == "corrections" and c.intent == "report", 2, intent="chatter")
    candidate = spoilt(told, lambda c: c.part == "regression", 12, intent="ask")
    refused = {
        (v.check, v.part) for v in gate.judge(told, current, candidate) if not v.passed and v.check.startswith("macro")
    }
    assert refused == {("macro-F1, intent", "regression")}


def test_of_few_cases_nothing_is_concluded_but_urgent_misses() -> None:
    few = [*cases(), *[c for c in cases("corrections", 4) if c.leaf]]
    mine = [c.id for c in few if c.part == "corrections"]
    bad = spoilt(few, lambda c: c.id in mine, intent="chatter", leaf="city.noise", taken=False)
    assert failed(few, [right(c) for c in few], bad) == set()
    missed = spoilt(few, lambda c: c.id in mine and c.urgent, alarm=False)
    assert failed(few, [right(c) for c in few], missed) == {"urgent"}


def test_nothing_asked_is_nothing_passed() -> None:
    assert failed([], [], []) == {"cases"}
    assert not gate.passed([])
    assert "cases" in failed(cases(each=2), *[[right(c) for c in cases(each=2)]] * 2)


def test_what_is_not_known_is_not_counted() -> None:
    told = [*cases(), *[Case(f"u{n}", "regression", "", "", "") for n in range(50)]]
    candidate = spoilt(told, lambda c: not c.intent, intent="report", taken=True, leaf="city.noise")
    assert failed(told, [right(c) for c in told], candidate) == set()


def test_the_bootstrap_is_paired_and_repeatable() -> None:
    draw = np.random.default_rng(1)
    truth = [str(n) for n in draw.integers(0, 5, 400)]
    noisy = [t if draw.random() < 0.7 else "0" for t in truth]
    better = [t if n == t or draw.random() < 0.2 else n for t, n in zip(truth, noisy, strict=True)]
    classes = sorted(set(truth))
    one, two, high = gate.bootstrap(truth, noisy, better, classes)
    assert one < two < one + high
    assert gate.bootstrap(truth, better, noisy, classes)[2] < 0, "what is surely worse is not seen"
    assert (one, two, high) == gate.bootstrap(truth, noisy, better, classes)
    assert gate.bootstrap(truth, noisy, noisy, classes)[2] == pytest.approx(0)


def test_macro_f1_agrees_with_the_library() -> None:
    from sklearn.metrics import f1_score  # noqa: PLC0415

    draw = np.random.default_rng(2)
    truth = [str(n) for n in draw.integers(0, 6, 300)]
    said = [t if draw.random() < 0.6 else str(draw.integers(0, 9)) for t in truth]
    classes = sorted(set(truth))
    theirs = f1_score(truth, said, labels=classes, average="macro")
    assert gate.bootstrap(truth, said, said, classes)[0] == pytest.approx(theirs)


def test_confusion_and_recalls() -> None:
    labels, rows = gate.confusion(["a", "a", "b"], ["a", "c", "b"])
    assert (labels, rows) == (["a", "b", "c"], [[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert gate.recalls(["a", "a", "b"], ["a", "b", "b"]) == {"a": (2, 0.5, 1.0), "b": (1, 1.0, 0.5)}


def test_calibration_error_of_what_is_known() -> None:
    told = cases(each=10)
    answers = [replace(right(c), p=0.75, intent=c.intent if n % 2 else "ask") for n, c in enumerate(told)]
    assert gate.calibration_error(told, answers) == pytest.approx(0.25)
    assert gate.calibration_error([], []) == 0.0


def test_the_worst_misses_come_first() -> None:
    told = cases(each=5)
    answers = [right(c) for c in told]
    answers[0] = replace(answers[0], leaf="city.noise")  # another kind
    answers[6] = replace(answers[6], intent="ask")
    answers[-1] = replace(answers[-1], intent="report")
    answers[15] = replace(answers[15], alarm=False)  # urgent
    found_ = gate.worst(told, answers)
    assert next((case.id, what) for case, _, what in found_) == (told[15].id, "urgent")
    assert {what for _, _, what in found_[1:3]} == {"intent"}
    assert [case.id for case, _, what in found_ if what == "category"] == [told[0].id]
    assert len(gate.worst(told, answers, 2)) == 2
