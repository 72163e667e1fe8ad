"""The hashes follow all that training and reading run through."""

import ast
from pathlib import Path

import pytest

from nlu import artefact, corpus

HERE = Path(artefact.__file__).parent
# They name what is trained and where it lies; a change in them changes no number.
ASIDE = {"artefact.py", "__init__.py"}


def reached(start: set[str]) -> set[str]:
    """Modules of nlu that these import, and so on."""
    found, left = set(start), list(start)
    while left:
        for node in ast.walk(ast.parse((HERE / left.pop()).read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module == "nlu":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nlu."):
                names = [node.module.removeprefix("nlu.")]
            new = {f"{name}.py" for name in names} - found
            found |= new
            left += new
    return found - ASIDE


def test_all_that_training_runs_through() -> None:
    assert reached({"train.py"}) <= set(artefact.CODE)


def test_all_that_reading_runs_through() -> None:
    assert reached({"features.py", "heads.py", "gazetteer.py", "timeline.py"}) <= set(artefact.READING)
    assert set(artefact.READING) <= set(artefact.CODE)


@pytest.mark.parametrize("name", sorted({*artefact.CODE, *artefact.READING}))
def test_a_change_in_any_of_them_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in artefact.CODE:
        (tmp_path / other).write_bytes((HERE / other).read_bytes())
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(artefact, "HERE", tmp_path)
    monkeypatch.setattr(corpus, "DATA", tmp_path / "data")
    before = artefact.fingerprint(["a"]), artefact.reading(["a"])
    (tmp_path / name).write_bytes((HERE / name).read_bytes() + b"\n")
    after = artefact.fingerprint(["a"]), artefact.reading(["a"])
    assert before[0] != after[0]
    assert (before[1] != after[1]) is (name in artefact.READING)


def test_other_data_are_another_artefact_that_reads_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = artefact.fingerprint(["a"]), artefact.reading(["a"])
    monkeypatch.setattr(artefact, "HERE", HERE)
    monkeypatch.setattr(corpus, "DATA", HERE / "data" / "towns" / "haibin")
    assert artefact.fingerprint(["a"]) != before[0]
    assert artefact.reading(["a"]) == before[1]
