"""The training data: whole, well formed, and nothing in it that somebody wants to measure with."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.tables import leaves
from nlu import corpus
from nlu.corpus import BadData, Example, annotated
from nlu.types import INTENTS

ROOT = Path(__file__).parent.parent.parent
KEPT_APART = (ROOT / ".." / "shared" / "bench" / "towns", ROOT / ".." / "shared" / "data")
LEAVES = frozenset(leaves())
FILES = sorted(corpus.DATA.glob("*.yml"))
SHORT = 6  # people everywhere say 电梯坏了


@pytest.fixture(scope="module")
def alone() -> list[Example]:
    """All lone utterances."""
    return [example for file in FILES for example in corpus.utterances(file, LEAVES)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_loads(file: Path) -> None:
    found = list(corpus.utterances(file, LEAVES))
    assert found
    assert all(example.text.strip() == example.text != "" for example in found)
    for example in found:
        ends = [0, *(end for _, end, _ in example.spans)]
        assert all(start >= end for (start, _, _), end in zip(example.spans, ends, strict=False)), example.text
        assert all(0 <= start < end <= len(example.text) for start, end, _ in example.spans), example.text
        assert not re.search(r"\]\(|\[[^\]]*\]\((?:location|object)", example.text)


def test_there_is_enough(alone: list[Example]) -> None:
    assert len(LEAVES) == 59
    assert len(alone) >= 1_500
    counts = Counter(example.leaf for example in alone if example.intent == "report")
    assert {leaf: counts[leaf] for leaf in sorted(LEAVES) if counts[leaf] < 20} == {}
    assert {intent for intent in INTENTS if intent not in {example.intent for example in alone}} == set()


def test_no_utterance_means_two_things(alone: list[Example]) -> None:
    meant: dict[str, set[tuple[str, str]]] = {}
    for example in alone:
        meant.setdefault(example.text, set()).add((example.intent, example.leaf))
    assert {text: meanings for text, meanings in meant.items() if len(meanings) > 1} == {}


def test_there_are_towns_enough() -> None:
    sizes = {folder.name: len(messages(folder)) for folder in corpus.towns()}
    assert len([size for size in sizes.values() if size >= 300]) >= 3, sizes


def messages(folder: Path) -> list[dict[str, object]]:
    with (folder / "transcript.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("folder", corpus.towns(), ids=lambda folder: folder.name)
def test_a_town_loads(folder: Path) -> None:
    found = list(corpus.town(folder))
    ids = {message["id"] for message in messages(folder)}
    assert len(ids) == len(messages(folder))
    assert {example.leaf for example in found} - {""} <= LEAVES
    assert {example.intent for example in found} <= set(INTENTS)
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
    assert {message for ticket in gold["tickets"] for message in ticket["messages"]} <= ids
    with (folder / "labels.csv").open(encoding="utf-8-sig", newline="") as rows:
        assert {row["id"] for row in csv.DictReader(rows)} <= ids
    opened = {ticket["opened_by"] for ticket in gold["tickets"]}
    assert {example.source for example in found if example.intent == "report"} <= opened | labelled(folder)


def labelled(folder: Path) -> set[str]:
    """Messages whose label says report though they opened nothing of their own."""
    with (folder / "labels.csv").open(encoding="utf-8-sig", newline="") as rows:
        return {row["id"] for row in csv.DictReader(rows) if row["intent"] == "report"}


@pytest.mark.parametrize(
    ("line", "plain", "spans"),
    [
        ("[3栋](location)[电梯](object)坏了", "3栋电梯坏了", ((0, 2, "location"), (2, 4, "object"))),
        ("电梯坏了", "电梯坏了", ()),
        ("又来了[吐]", "又来了[吐]", ()),
        ("", "", ()),
    ],
)
def test_annotation(line: str, plain: str, spans: tuple[tuple[int, int, str], ...]) -> None:
    assert annotated(line) == (plain, spans)


@pytest.mark.parametrize("line", ["[3栋](place)坏了", "[3栋](location)[[电梯](object", "3栋](location)坏了"])
def test_bad_annotation_is_named(line: str) -> None:
    with pytest.raises(BadData, match="3栋"):
        annotated(line)


@pytest.mark.parametrize(
    "block",
    ["report", "report/no.such", "no_such", "report/facility.elevator\n  examples: |\n    电梯坏了", ],
    ids=["no leaf", "unknown leaf", "unknown intent", "no dash"],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path: Path, block: str) -> None:
    file = tmp_path / "mine.yml"
    examples = "" if "examples" in block else "\n  examples: |\n    - 电梯坏了"
    file.write_text(f'version: "3.1"\nnlu:\n- intent: {block}{examples}\n', encoding="utf-8")
    with pytest.raises(BadData, match=r"mine\.yml"):
        list(corpus.utterances(file, LEAVES))


def plain(text: str) -> str:
    return re.sub(r"\s+", "", text)


def masked(text: str) -> str:
    return re.sub(r"\d+", "0", plain(text))


def kept_apart(folder: Path) -> Iterator[str]:
    """Every text of a folder that is for measuring: messages of towns, lines of text files, cells of tables."""
    for file in sorted(folder.rglob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            yield message.get("text", "")
            yield from (item["text"] for item in message.get("forwarded", ()))
    for file in sorted(folder.rglob("*.csv")):
        if file.name == "union_train.csv":
            with file.open(encoding="utf-8-sig", newline="") as rows:
                yield from (cell for row in csv.reader(rows) for cell in row)
    for file in sorted(folder.rglob("*.txt")):
        text = file.read_text(encoding="utf-8")
        if file.parent.name == "address":  # one character and its tag a line, an empty line between
            yield from ("".join(line.split(" ")[0] for line in part.splitlines()) for part in text.split("\n\n"))
        else:
            yield from text.splitlines()


@pytest.mark.parametrize("folder", KEPT_APART, ids=lambda folder: folder.name)
def test_nothing_to_measure_with_stands_in_the_training_data(folder: Path) -> None:
    if not folder.is_dir():
        pytest.skip("the data to measure with are not on this machine")
    mine = {example.text for example in corpus.everything(LEAVES)}
    mine |= {line for text in mine for line in text.splitlines()}
    exact, alike = {plain(text) for text in mine}, {masked(text) for text in mine}
    theirs = [text for text in kept_apart(folder) if len(masked(text)) >= SHORT]
    assert len(theirs) > 200, "the search found nothing to compare"
    assert sorted({text for text in theirs if plain(text) in exact or masked(text) in alike}) == []
