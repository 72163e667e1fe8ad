"""What the engines learn from: enough, annotated rightly, and nothing in it that somebody wants to measure with."""

import csv
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.tables import leaves
from nlu import audit, corpus, generate, near, tally
from nlu.corpus import Example
from nlu.normalize import normalize
from nlu.tally import Data

pytestmark = pytest.mark.xdist_group("data")  # one process makes what they share

ROOT = Path(__file__).parents[2]
KEPT_APART = (ROOT / ".." / "shared" / "bench" / "towns", ROOT / ".." / "shared" / "data")
LEAVES = frozenset(leaves())
SHORT = 6  # characters; people everywhere say 电梯坏了
STICKER = re.compile(r"\[[^\[\]]{1,4}\]")  # and send [强][强]
TOWNS = [folder.name for folder in corpus.towns()]


@pytest.fixture(scope="module")
def data() -> Data:
    return tally.gather(LEAVES)


# --- what ships -----------------------------------------------------------------------------------------------------


def test_nothing_is_annotated_wrongly(data: Data) -> None:
    assert [str(fault) for fault in data.faults] == []


def test_nobody_copied(data: Data) -> None:
    assert [(one.source, two.source, one.text) for one, two, _, copy in tally.near_pairs(data) if copy] == []


def test_there_are_lines_enough_of_everything(data: Data) -> None:
    missing = {row.leaf: row.lines for row in tally.per_leaf(data, sorted(LEAVES)) if row.missing}
    assert missing | {row.intent: row.lines for row in tally.per_intent(data) if row.missing} == {}


def test_there_are_towns_enough() -> None:
    assert len(TOWNS) >= 24


@pytest.mark.parametrize("name", TOWNS)
def test_a_town_is_as_full_as_life(name: str) -> None:
    (row,) = tally.per_town([name])
    assert row.messages >= 300
    assert row.matters >= 45
    assert row.talk >= 0.6, "too little of it is talk"


def test_what_is_measured_on_is_never_learned() -> None:
    learned = corpus.everything(LEAVES)
    assert {example.source for example in learned}.isdisjoint({corpus.REGRESSION})
    assert (corpus.DATA / corpus.REGRESSION).is_file()
    kept, faults = audit.read(corpus.DATA / corpus.REGRESSION, LEAVES)
    assert len(kept) > 100
    assert faults == []
    assert {line.example.text for line in kept}.isdisjoint({example.text for example in learned})


def plain(text: str) -> str:
    return re.sub(r"\s+", "", normalize(text))


def masked(text: str) -> str:
    return re.sub(r"\d+", "0", plain(text))


def said(folder: Path) -> Iterator[str]:
    """Every text in the transcripts under a folder."""
    for file in sorted(folder.rglob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            yield message.get("text") or ""
            yield from (item["text"] for item in message.get("forwarded", ()))


def kept_apart(folder: Path) -> Iterator[str]:
    """Every text of a folder that is for measuring: messages of towns, lines of text files, cells of tables."""
    yield from said(folder)
    for file in sorted(folder.rglob("union_train.csv")):
        with file.open(encoding="utf-8-sig", newline="") as rows:
            yield from (cell for row in csv.reader(rows) for cell in row)
    for file in sorted(folder.rglob("*.txt")):
        text = file.read_text(encoding="utf-8")
        if file.parent.name == "address":  # one character and its tag a line, an empty line between
            yield from ("".join(line.split(" ")[0] for line in part.splitlines()) for part in text.split("\n\n"))
        else:
            yield from text.splitlines()


@pytest.mark.parametrize("folder", KEPT_APART, ids=lambda folder: folder.name)
def test_nothing_to_measure_with_stands_in_the_data(folder: Path) -> None:
    if not folder.is_dir():
        pytest.skip("the data to measure with are not on this machine")
    written = [e.text for file in sorted(corpus.DATA.glob("*.yml")) for e in corpus.utterances(file, LEAVES)]
    made = [e.text for e in corpus.everything(LEAVES)]
    whole = [*written, *made, *said(corpus.DATA / "towns"), *said(ROOT / "tests" / "benchmarks" / "towns")]
    mine = {line for text in whole for line in (text, *text.splitlines())}
    exact, alike = {plain(text) for text in mine}, {masked(text) for text in mine}
    theirs = [text for text in kept_apart(folder) if len(STICKER.sub("", masked(text))) >= SHORT]
    assert len(theirs) > 200, "the search found nothing to compare"
    assert sorted({text for text in theirs if plain(text) in exact or masked(text) in alike}) == []


def test_the_towns_set_aside_are_not_learned() -> None:
    learned = {line for e in corpus.everything(LEAVES) for line in (masked(e.text), *map(masked, e.text.splitlines()))}
    theirs = [
        text for text in said(ROOT / "tests" / "benchmarks" / "towns") if len(STICKER.sub("", masked(text))) > SHORT
    ]
    assert len(theirs) > 800
    assert sorted({text for text in theirs if masked(text) in learned}) == []


# --- the generator --------------------------------------------------------------------------------------------------

SLOTS = {"where": generate.Slot(("3栋", "北门"), "location"), "when": generate.Slot(("昨晚", "今早上"))}


def frames(*lines: str) -> list[Example]:
    found = []
    for line in lines:
        text, spans = corpus.annotated(line)
        found.append(Example(text, "report", "facility.elevator", spans=spans, source=generate.FILE))
    return found


@pytest.mark.parametrize("share", [generate.SHARE, 0.1, generate.MOST, 1.0])
def test_generated_lines_are_at_most_a_fifth_and_the_same_each_time(share: float) -> None:
    file = corpus.DATA / generate.FILE
    written = [example for path in corpus.files() for example in corpus.utterances(path, LEAVES)]
    ours, slots = list(corpus.utterances(file, LEAVES)), generate.slots(file)
    made = generate.filled(ours, slots, written, share=share)
    assert len(made) == int(min(share, 0.2) * len(written))
    assert made == generate.filled(ours, slots, written, share=share)
    texts = [example.text for example in made]
    assert len(set(texts)) == len(texts)
    assert set(texts).isdisjoint(example.text for example in written)
    assert not [text for text in texts if "{" in text]
    if share >= 0.1:
        assert made != generate.filled(ours, slots, written, share=share, seed=1)


def test_everything_holds_no_frame_and_at_most_a_fifth_of_generated_lines() -> None:
    learned = corpus.everything(LEAVES)
    made = [example for example in learned if example.source == generate.FILE]
    alone = [example for example in learned if not example.town and example.source != generate.FILE]
    assert len(made) == int(generate.SHARE * len(alone)) <= len(alone) / 5
    assert not [example for example in learned if not example.town and generate.SLOT.search(example.text)]


def test_spans_move_with_the_words() -> None:
    (frame,) = frames("{when}{where}的[电梯](object)又停了 {when}")
    for number in range(20):
        line = generate.fill(frame, SLOTS, random.Random(number))
        place, thing = [(line.text[start:end], entity) for start, end, entity in line.spans]
        assert place in {("3栋", "location"), ("北门", "location")}
        assert thing == ("电梯", "object")


def test_a_frame_that_has_said_all_is_passed_over() -> None:
    made = generate.filled(frames("{where}停了"), SLOTS, frames(*["x"] * 100), share=0.2)
    assert sorted(example.text for example in made) == ["3栋停了", "北门停了"]


@pytest.mark.parametrize("line", ["{who}停了", "[{where}电梯](object)停了"], ids=["unknown slot", "inside a mark"])
def test_a_frame_that_cannot_be_filled_is_named(line: str) -> None:
    with pytest.raises(generate.BadFrames, match="停了"):
        generate.fill(frames(line)[0], SLOTS, random.Random(0))


# --- near-duplicates ------------------------------------------------------------------------------------------------


def example(text: str, *, intent: str = "report", town: str = "") -> Example:
    return Example(text, intent, town=town)


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("3栋电梯又停了半个钟头", "12号楼电梯又停了半个钟头", True),
        ("电梯停了25分钟没人来修", "电梯停了4分钟,没人来修", True),
        ("电梯又停了半个钟头 没人管", "電梯又停了半個鐘頭 沒人管", True),
        ("路口的红绿灯四面全黑了一早上", "路口的红绿灯四面全黑了一早上呢", True),
        ("路口的红绿灯四面全黑了一早上", "河边的路灯有一排不亮了", False),
        ("好的好的", "好的好的", False),
    ],
)
def test_near(one: str, two: str, alike: bool) -> None:
    keys = [near.key(example(text)) for text in (one, two)]
    assert bool(near.pairs(keys, ["", ""])) == alike


def test_neighbours_of_one_town_may_repeat_one_another() -> None:
    keys = ["路口的红绿灯四面全黑了"] * 4
    assert near.pairs(keys, ["a", "a", "a", "a"]) == []
    assert [(p.first, p.second) for p in near.pairs(keys, ["a", "b", "b", ""])] == [(0, 1), (0, 3)]


def test_no_pair_is_missed() -> None:
    draw = random.Random(1)
    keys = list(dict.fromkeys("".join(draw.choices("水电气灯门", k=draw.randint(6, 9))) for _ in range(300)))
    found = {(pair.first, pair.second) for pair in near.pairs(keys, [""] * len(keys), 0.6)}
    sets = [near.bigrams(key) for key in keys]
    alike = {
        (i, j) for j in range(len(keys)) for i in range(j) if len(sets[i] & sets[j]) >= 0.6 * len(sets[i] | sets[j])
    }
    assert alike
    assert found == alike
