"""Whether a candidate may take the place of the engine in force: both were asked the same, and this compares.

Pure: no engine is asked here, nothing is read or written. Every limit stands below with its reason; a verdict says what
was measured, on what, and what would have been allowed. Sources: paired bootstrap after Efron and Tibshirani (1993),
used as a test of not being worse; expected calibration error after Guo et al. (2017), ten bins of equal width.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEED = 20260302
RESAMPLES = 1_000
SURE = 0.95  # one-sided. Not worse means: not surely worse, and ...
WORSE = 0.01  # ... not lower by more than a point of macro-F1 as measured. To ask that it be surely above that would
# refuse everything: the order of the training data alone moves it by two (docs/learning.md).
CLASS_LOSS, CLASS_LEAST = 0.05, 20  # points of recall that a class may lose, from so many cases of it on
FEW = 20  # cases of a part below which nothing is concluded from it but urgent misses
TALK = 0.01  # of the talk, the share that may newly be taken for a report: silence is the promise
ECE_FINE, ECE_MORE, ECE_LEAST, BINS = 0.05, 0.01, 100, 10
SLOWER, SLOWER_MS = 1.25, 0.5  # times the p99 of the engine in force, and what a clock may be off
CHATTER, REPORT = "chatter", "report"
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """One message with what is true of it. part: where it is from. intent, leaf: "" where it is not known."""

    id: str
    part: str
    text: str
    intent: str
    leaf: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said. p, leaf_p: of its likeliest intent and category. report: of a report. truth: of the true
    intent. taken: at the thresholds in force it would open a ticket. alarm: ... an urgent one. ms: how long it took."""

    intent: str
    p: float
    leaf: str
    leaf_p: float
    report: float
    truth: float
    taken: bool
    alarm: bool
    ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line. current, candidate: what was measured, as text. limit: what was allowed. cases: ids behind it.
    judged: False where there was too little to conclude anything from; it has passed then."""

    check: str
    part: str
    current: str
    candidate: str
    limit: str
    passed: bool
    cases: tuple[str, ...] = ()
    judged: bool = True


Label = Callable[[Case], str]
Said = Callable[[Answer], str]
# What is counted as a class: the intent, the kind of matter, and the top of its kind.
KINDS: dict[str, tuple[Label, Said]] = {
    "intent": (lambda c: c.intent, lambda a: a.intent),
    "category": (lambda c: c.leaf, lambda a: a.leaf),
    "top category": (lambda c: c.leaf.partition(".")[0], lambda a: a.leaf.partition(".")[0]),
}


def judge(cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]) -> list[Verdict]:
    """All verdicts; the candidate may be promoted when every one has passed. The answers are to `cases`, one each."""
    found = [_urgent(cases, current, candidate)]
    parts = dict.fromkeys(case.part for case in cases)
    if not any(count >= FEW for count in Counter(case.part for case in cases).values()):
        found.append(Verdict("cases", "all", "", str(len(cases)), f"{FEW} of one part", False))
    for part in parts:
        mine = [i for i, case in enumerate(cases) if case.part == part]
        told = [cases[i] for i in mine], [current[i] for i in mine], [candidate[i] for i in mine]
        found += [_f1(part, kind, *told) for kind in ("intent", "category")]
        found += [_classes(part, kind, *told) for kind in KINDS]
        found += [_talk(part, *told), _calibration(part, *told)]
    return [*found, _latency(current, candidate)]


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Nothing speaks against it, and something was looked at."""
    return bool(verdicts) and all(verdict.passed for verdict in verdicts)


def _urgent(cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]) -> Verdict:
    rows = [(c, a, b) for c, a, b in zip(cases, current, candidate, strict=True) if c.urgent]
    new = tuple(c.id for c, a, b in rows if a.alarm and not b.alarm)
    was = f"{sum(not a.alarm for _, a, _ in rows)} of {len(rows)} missed"
    now = f"{sum(not b.alarm for _, _, b in rows)} of {len(rows)} missed, {len(new)} newly"
    return Verdict("urgent", "all", was, now, "0 newly missed", not new, new)


def _f1(
    part: str, kind: str, cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]
) -> Verdict:  # fmt: skip
    truth, was, now = _labels(kind, cases, current, candidate)
    name = f"macro-F1, {kind}"
    if len(truth) < FEW:
        return _few(name, part, len(truth))
    classes = sorted(set(truth))
    one, two, high = bootstrap(truth, was, now, classes)
    good = two - one >= -WORSE - EPSILON and high >= -EPSILON
    limit = f"at least {one - WORSE:.3f}, not surely worse"
    return Verdict(name, part, f"{one:.3f}", f"{two:.3f} (surely under {high:+.3f})", limit, good)


def bootstrap(
    truth: Sequence[str], current: Sequence[str], candidate: Sequence[str], classes: Sequence[str]
) -> tuple[float, float, float]:
    """(macro-F1 of one, of the other, above what the difference surely is not: its upper one-sided 95 % bound).

    Cases are drawn with a fixed seed, the same ones for both. classes: those that are averaged, each as much."""
    index = {name: i for i, name in enumerate(classes)}
    other = len(classes)
    size = other + 1
    gold = np.array([index[name] for name in truth])
    pairs = [gold * size + np.array([index.get(name, other) for name in said]) for said in (current, candidate)]
    draw = np.random.default_rng(SEED)
    differences = np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        rows = draw.integers(0, len(gold), len(gold))
        one, two = (_macro(pair[rows], size) for pair in pairs)
        differences[turn] = two - one
    one, two = (_macro(pair, size) for pair in pairs)
    return one, two, float(np.quantile(differences, SURE))


def _macro(pairs: NDArray[np.int64], size: int) -> float:
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    right = np.diag(counts)[:-1]
    gold, said = counts.sum(axis=1)[:-1], counts.sum(axis=0)[:-1]
    there = gold > 0
    return float((2 * right[there] / (gold + said)[there]).mean())


def recalls(truth: Sequence[str], said: Sequence[str]) -> dict[str, tuple[int, float, float]]:
    """By class: (cases, recall, precision); a precision of nothing is 1."""
    gold, found = Counter(truth), Counter(said)
    right = Counter(one for one, two in zip(truth, said, strict=True) if one == two)
    return {
        name: (count, right[name] / count, right[name] / found[name] if found[name] else 1.0)
        for name, count in sorted(gold.items())
    }


def _classes(
    part: str, kind: str, cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]
) -> Verdict:  # fmt: skip
    truth, was, now = _labels(kind, cases, current, candidate)
    before, after = recalls(truth, was), recalls(truth, now)
    name = f"each {kind}"
    large = [one for one, (count, _, _) in before.items() if count >= CLASS_LEAST]
    if not large:
        return _few(name, part, max((count for count, _, _ in before.values()), default=0))
    worst = min(large, key=lambda one: after[one][1] - before[one][1])
    lost = before[worst][1] - after[worst][1]
    cases_ = [c for c in cases if KINDS[kind][0](c)]
    ids = tuple(
        c.id for c, t, a, b in zip(cases_, truth, was, now, strict=True) if t == worst and a == worst and b != worst
    )
    return Verdict(
        name, part, f"{worst} {before[worst][1]:.3f}", f"{worst} {after[worst][1]:.3f}",
        f"recall lower by {CLASS_LOSS:.2f} at most", lost <= CLASS_LOSS + EPSILON,
        ids if lost > 0 else (),
    )  # fmt: skip


def _talk(part: str, cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]) -> Verdict:
    rows = [(c, a, b) for c, a, b in zip(cases, current, candidate, strict=True) if c.intent == CHATTER]
    if len(rows) < FEW:
        return _few("talk taken for a report", part, len(rows))
    was, now = sum(a.taken for _, a, _ in rows) / len(rows), sum(b.taken for _, _, b in rows) / len(rows)
    new = tuple(c.id for c, a, b in rows if b.taken and not a.taken)
    limit = f"at most {was + TALK:.3f}"
    return Verdict("talk taken for a report", part, f"{was:.3f}", f"{now:.3f}", limit, now <= was + TALK + EPSILON, new)


def reliability(cases: Sequence[Case], answers: Sequence[Answer]) -> list[tuple[float, float, int]]:
    """By bin of sureness: (mean probability of the likeliest intent, share that is right, cases); empty ones left
    out."""
    found = []
    known = [(a.p, a.intent == c.intent) for c, a in zip(cases, answers, strict=True) if c.intent]
    for number in range(BINS):
        inside = [(p, right) for p, right in known if min(BINS - 1, int(p * BINS)) == number]
        if inside:
            found.append(
                (sum(p for p, _ in inside) / len(inside), sum(right for _, right in inside) / len(inside), len(inside))
            )
    return found


def calibration_error(cases: Sequence[Case], answers: Sequence[Answer]) -> float:
    """Expected calibration error of the likeliest intent: how far sureness and being right lie apart."""
    rows = reliability(cases, answers)
    whole = sum(count for _, _, count in rows)
    return sum(abs(p - right) * count for p, right, count in rows) / whole if whole else 0.0


def _calibration(part: str, cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]) -> Verdict:
    known = sum(bool(c.intent) for c in cases)
    if known < ECE_LEAST:
        return _few("calibration error", part, known)
    was, now = calibration_error(cases, current), calibration_error(cases, candidate)
    limit = max(ECE_FINE, was + ECE_MORE)
    return Verdict(
        "calibration error", part, f"{was:.3f}", f"{now:.3f}", f"at most {limit:.3f}", now <= limit + EPSILON
    )


def _latency(current: Sequence[Answer], candidate: Sequence[Answer]) -> Verdict:
    was, now = (float(np.quantile([a.ms for a in answers] or [0.0], 0.99)) for answers in (current, candidate))
    limit = was * SLOWER + SLOWER_MS
    return Verdict("p99 a message", "all", f"{was:.2f} ms", f"{now:.2f} ms", f"at most {limit:.2f} ms", now <= limit)


def _labels(
    kind: str, cases: Sequence[Case], current: Sequence[Answer], candidate: Sequence[Answer]
) -> tuple[list[str], list[str], list[str]]:
    """(true, said by one, said by the other) of the cases where the truth is known."""
    of, said = KINDS[kind]
    rows = [(of(c), said(a), said(b)) for c, a, b in zip(cases, current, candidate, strict=True) if of(c)]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def _few(check: str, part: str, count: int) -> Verdict:
    """Nothing is concluded from so few; the other parts have to."""
    return Verdict(check, part, "", f"{count} cases", "not judged: too few", True, judged=False)


def confusion(truth: Sequence[str], said: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """(labels, rows): how often each true label was called each label; both sides in the same order."""
    labels = sorted({*truth, *said})
    index = {name: i for i, name in enumerate(labels)}
    rows = [[0] * len(labels) for _ in labels]
    for one, two in zip(truth, said, strict=True):
        rows[index[one]][index[two]] += 1
    return labels, rows


def worst(cases: Sequence[Case], answers: Sequence[Answer], count: int = 20) -> list[tuple[Case, Answer, str]]:
    """The worst misses with what was missed: urgent ones first, then those of which the engine was surest."""
    found: list[tuple[float, int, str]] = []
    for i, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        if case.urgent and not answer.alarm:
            found.append((3.0 - answer.report, i, "urgent"))
        elif case.intent and case.intent != answer.intent:
            silent = REPORT in (case.intent, answer.intent)
            found.append((answer.p - answer.truth + silent, i, "intent"))
        elif case.leaf and case.leaf != answer.leaf:
            found.append((answer.leaf_p, i, "category"))
    found.sort(key=lambda row: (-row[0], row[1]))
    return [(cases[i], answers[i], what) for _, i, what in found[:count]]
