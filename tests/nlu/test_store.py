"""Which artefact is in force: changed at once or not at all, and taken back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from nlu import artefact, store
from nlu.head import Head
from nlu.heads import Heads
from nlu.store import NotPossible

LEAVES = ["facility.lighting"]
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def heads(name: str) -> Heads:
    weights = np.zeros((1, 1), dtype=np.float32)
    return Heads(
        {"灯": 0}, np.ones(1, dtype=np.float32), weights, weights[0], [Head("urgent", ("True",), 0, 1.0, False)],
        {"data": name},
    )  # fmt: skip


def made(home: Path, name: str, day: int = 0) -> str:
    """A candidate of `retrain`."""
    at = (NOW + timedelta(days=day)).isoformat()
    facts = {"at": at, "reading": artefact.reading(LEAVES), "shipped": "s", "learned": 1, "held": 0}
    store.save(home, name, heads(name), facts)
    return name


def age(home: Path, name: str) -> None:
    """As if the code had changed since."""
    about = store.about(home, name)
    store.put(store.folder_of(home, name) / store.ABOUT, about | {"reading": "old"})


def test_without_a_promotion_the_data_that_ship_count(tmp_path: Path) -> None:
    assert store.promoted(tmp_path) == store.SHIPPED
    assert store.running(tmp_path, LEAVES) == store.shipped(tmp_path, LEAVES)
    assert store.history(tmp_path) == []
    assert store.candidates(tmp_path) == []
    with pytest.raises(NotPossible, match="nothing is promoted"):
        store.rollback(tmp_path, LEAVES, NOW)


def test_promoted_and_taken_back_step_by_step(tmp_path: Path) -> None:
    for day, name in enumerate("abc"):
        made(tmp_path, name, day)
        store.promote(tmp_path, name, NOW)
        assert store.running(tmp_path, LEAVES) == store.folder_of(tmp_path, name)
    assert store.candidates(tmp_path) == ["c", "b", "a"]
    assert store.rollback(tmp_path, LEAVES, NOW) == "b"
    made(tmp_path, "d")
    store.promote(tmp_path, "d", NOW)
    assert [store.rollback(tmp_path, LEAVES, NOW) for _ in range(3)] == ["b", "a", store.SHIPPED]
    assert store.running(tmp_path, LEAVES) == store.shipped(tmp_path, LEAVES)
    with pytest.raises(NotPossible, match="nothing is promoted"):
        store.rollback(tmp_path, LEAVES, NOW)
    assert [(one.action, one.before, one.id) for one in store.history(tmp_path)][-5:] == [
        ("rollback", "c", "b"), ("promote", "b", "d"), ("rollback", "d", "b"), ("rollback", "b", "a"),
        ("rollback", "a", ""),
    ]  # fmt: skip


def test_a_crash_before_the_end_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        made(tmp_path, name)
    store.promote(tmp_path, "a", NOW)
    before = (tmp_path / "nlu" / store.POINTER).read_bytes()

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt(f"{self} was to become {target}")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        for change in (
            lambda: store.promote(tmp_path, "b", NOW), lambda: store.rollback(tmp_path, LEAVES, NOW),
        ):  # fmt: skip
            with pytest.raises(KeyboardInterrupt):
                change()
            assert (tmp_path / "nlu" / store.POINTER).read_bytes() == before
            assert store.promoted(tmp_path) == "a"
    store.promote(tmp_path, "b", NOW)
    assert [one.id for one in store.history(tmp_path)] == ["a", "b"]


def test_half_a_candidate_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a")

    def killed(self: Heads, folder: Path) -> None:
        raise KeyboardInterrupt(str(folder))

    monkeypatch.setattr(Heads, "save", killed)
    for name in ("a", "b"):  # made anew, and for the first time
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, name)
        assert store.unfit(tmp_path, name, LEAVES) == "is not there"
    assert store.candidates(tmp_path) == []


def test_one_for_other_code_or_categories_is_not_used(tmp_path: Path) -> None:
    store.promote(tmp_path, made(tmp_path, "a"), NOW)
    assert store.unfit(tmp_path, "a", LEAVES) == ""
    assert store.unfit(tmp_path, "a", [*LEAVES, "city.noise"]).startswith("was trained for other")
    assert store.running(tmp_path, [*LEAVES, "city.noise"]) == store.shipped(tmp_path, [*LEAVES, "city.noise"])
    age(tmp_path, "a")
    assert store.running(tmp_path, LEAVES) == store.shipped(tmp_path, LEAVES)


def test_back_past_those_that_cannot_be_used_any_more(tmp_path: Path) -> None:
    for name in "abc":
        store.promote(tmp_path, made(tmp_path, name), NOW)
    age(tmp_path, "b")
    assert store.rollback(tmp_path, LEAVES, NOW) == "a"
    assert store.rollback(tmp_path, LEAVES, NOW) == store.SHIPPED


def test_candidates_that_were_never_promoted_go(tmp_path: Path) -> None:
    for name in "abcd":
        made(tmp_path, name)
    heads("s").save(tmp_path / "nlu" / "s")  # of the data that ship
    store.promote(tmp_path, "a", NOW)
    store.promote(tmp_path, "b", NOW)
    assert store.tidy(tmp_path, "d") == ["c"]
    assert sorted(folder.name for folder in (tmp_path / "nlu").iterdir() if folder.is_dir()) == ["a", "b", "d", "s"]


def test_what_there_is_not_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="there is no candidate 'x'"):
        store.about(tmp_path, "x")


def test_the_pointer_says_what_is_in_force(tmp_path: Path) -> None:
    store.promote(tmp_path, made(tmp_path, "a"), NOW)
    assert json.loads((tmp_path / "nlu" / store.POINTER).read_text("utf-8")) == {
        "current": "a",
        "history": [{"at": "2026-03-02T00:00:00+00:00", "action": "promote", "id": "a", "before": ""}],
    }
