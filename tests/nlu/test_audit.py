"""The audit of the training data: each planted fault is found, with its file, line and field, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli import nlu as command
from bot.cli import show
from config.tables import leaves
from nlu import audit, corpus, generate, towncheck
from nlu.audit import Fault
from nlu.corpus import Example

LEAVES = frozenset(leaves())
SLOTS = {"where": generate.Slot(("3栋", "北门"), "location")}


# --- planted faults -------------------------------------------------------------------------------------------------

BLOCK = "version: '3.1'\nnlu:\n- intent: {intent}\n{more}  examples: |\n    - 好的那就这样\n    {line}\n"


@pytest.mark.parametrize(
    ("intent", "more", "line", "at"),
    [
        ("report/no.such", "", "- 灯坏了", (3, "intent", "no.such")),
        ("report", "", "- 灯坏了", (3, "intent", "category")),
        ("no_such", "", "- 灯坏了", (3, "intent", "no_such")),
        ("status/no.such", "", "- 修好没", (3, "intent", "no.such")),
        ("report/city.pets", "  metadata: {urgend: true}\n", "- 狗咬人", (3, "metadata", "urgend")),
        ("report/city.pets", "  metadata: {urgent: 1}\n", "- 狗咬人", (3, "metadata", "neither")),
        ("chatter", "  metadata: {urgent: true}\n", "- 早", (3, "metadata", "talk")),
        ("report/city.pets", "  metadata: {only: kid}\n", "- 狗咬人", (3, "metadata", "kid")),
        ("report/city.pets", "  metadata: {hard: true}\n", "- 狗咬人", (3, "metadata", "hard")),
        ("chatter", "", "- ", (6, "examples", "empty")),
        ("chatter", "", "今天好热", (6, "examples", "'- '")),
        ("chatter", "", "- [3栋](locaton)好热", (6, "examples", "locaton")),
        ("chatter", "", "- [3栋]（location）好热", (6, "examples", "balanced")),
        ("chatter", "", "- [3栋(location)好热", (6, "examples", "balanced")),
        ("chatter", "", "- 3栋](location)好热", (6, "examples", "balanced")),
        ("chatter", "", "- [[3栋](location)门口](location)好热", (6, "examples", "balanced")),
        ("chatter", "", "- [3栋 ](location)好热", (6, "examples", "blank")),
        ("chatter", "", "- [，3栋](location)好热", (6, "examples", "mark")),
        ("chatter", "", "- [电梯](location)好热", (6, "examples", "电梯")),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, intent: str, more: str, line: str, at: tuple[int, str, str]
) -> None:  # fmt: skip
    file = tmp_path / "mine.yml"
    file.write_text(BLOCK.format(intent=intent, more=more, line=line), encoding="utf-8")
    lines, (fault,) = audit.read(file, LEAVES)
    number, field, word = at
    assert (fault.file, fault.line, fault.field) == ("mine.yml", number + bool(more) * (field == "examples"), field)
    assert word in fault.message
    assert str(fault).startswith(f"mine.yml:{number}: field `{field}`: ")
    assert len(lines) == (field == "examples")


@pytest.mark.parametrize(
    "text", ["nlu: [", "nlu:\n- x\n", "other: 1\n", "", "nlu:\n- intent: chatter\n  examples: 早\n"]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yml").write_text(text, encoding="utf-8")
    lines, faults = audit.read(tmp_path / "mine.yml", LEAVES)
    assert (lines, [fault.file for fault in faults]) == ([], ["mine.yml"])


@pytest.mark.parametrize(
    "line", ["- 又来了[吐][捂脸]", "- [图片] (刚拍的)", "- 【通知】停水(8:00到12:00)", "- @bot [3栋](location)呢"]
)
def test_what_residents_write_is_no_fault(tmp_path: Path, line: str) -> None:
    (tmp_path / "mine.yml").write_text(BLOCK.format(intent="chatter", more="", line=line), encoding="utf-8")
    lines, faults = audit.read(tmp_path / "mine.yml", LEAVES)
    assert faults == []
    assert [found.number for found in lines] == [5, 6]


def lines(folder: Path, text: str) -> list[audit.Line]:
    """The lines of `intent|metadata|text` rows, each a block of its own."""
    blocks = ["version: '3.1'\nnlu:\n"]
    for row in text.splitlines():
        intent, marks, words = row.split("|")
        blocks.append(f"- intent: {intent}\n  metadata: {marks}\n  examples: |\n    - {words}\n")
    (folder / "mine.yml").write_text("".join(blocks), encoding="utf-8")
    found, faults = audit.read(folder / "mine.yml", LEAVES)
    assert faults == []
    return found


@pytest.mark.parametrize(
    ("other", "field", "word"),
    [
        ("chatter|{}|3栋 电梯又停了", "intent", "chatter here and report/facility.elevator in mine.yml:6"),
        ("report/facility.access|{}|3栋电梯又停了", "intent", "report/facility.access here"),
        ("report/facility.elevator|{urgent: true}|3棟電梯又停了", "metadata", "other marks"),
        ("report/facility.elevator|{}|３栋电梯又停了", "examples", "stands in mine.yml:6 already"),
    ],
)
def test_contradictions(tmp_path: Path, other: str, field: str, word: str) -> None:
    found = lines(tmp_path, f"report/facility.elevator|{{}}|3栋电梯又停了\n{other}\nchatter|{{}}|今天好热")
    (fault,) = audit.contradictions(found)
    assert (fault.line, fault.field) == (10, field)
    assert word in fault.message


@pytest.mark.parametrize("learned", ["三单元楼道灯黑了8天", "三单元楼道灯黑了30天", "5栋楼道灯黑了30天"])
def test_a_line_to_measure_with_is_not_learned_either(tmp_path: Path, learned: str) -> None:
    kept = lines(tmp_path, f"report/facility.lighting|{{}}|{learned}\nchatter|{{}}|今天好热")
    training = [
        ("some.yml:7", Example("5栋楼道灯黑了8天", "report")),
        ("some.yml:8", Example("三单元楼道灯黑了8天", "report")),
    ]
    (fault,) = audit.learned(kept, training)
    assert (fault.line, fault.field) == (6, "examples")
    assert "some.yml:" in fault.message


def test_marks_against_a_town(tmp_path: Path) -> None:
    mine = lines(tmp_path, "report/safety.fire|{urgent: true}|三单元冒烟了\nreport/safety.gas|{urgent: true}|有煤气味")
    theirs = [Example(text, "report", leaf, town="here", source="m1")
              for text, leaf in [("三单元冒烟了", "safety.fire"), ("有煤气味", "safety.fire")]]  # fmt: skip
    (fault,) = audit.against_towns(mine, theirs)
    assert (fault.line, fault.field) == (6, "metadata")
    assert "here: m1" in fault.message


def test_frames_without_words_are_named(tmp_path: Path) -> None:
    (fault,) = audit.unfillable(
        lines(tmp_path, "report/city.pets|{}|{who}被狗咬\nreport/city.pets|{}|{where}有狗"), SLOTS
    )
    assert (fault.line, fault.field) == (6, "examples")


# --- planted faults of towns ----------------------------------------------------------------------------------------

TABLES = {
    "grids.csv": "code,parent,level,name,kind,households\n"
    "G,,1,东街道,街道,\nG1,G,2,一格,楼宇,90\nG2,G,2,二格,楼宇,80\n",
    "places.csv": "code,name,aliases,kind,parent,grid,lon,lat\n"
    "P1,东苑3栋,三栋,building,,G1,,\nP2,东苑9栋,,building,,G2,,\n",
    "people.csv": "code,name,role,grid,department,home,channel,user\nr1,小李,resident,G1,,P1,wechat,u1\n",
    "chats.csv": "channel,chat,kind,grid,name\nwechat,g1,group,G1,一群\n",
    "routes.csv": "category,grid,department\nfacility,G,城管\n",
}
SAID = (("m1", "u1", "三栋电梯又停了"), ("m2", "u2", "今天好热"), ("m3", "u2", "我家也是"), ("m4", "u1", "修好没有"))
Files = dict[str, Any]


@pytest.fixture
def files() -> Files:
    """A town without faults, before it is written."""
    transcript = [
        {"id": name, "at": f"2026-03-02T07:3{n}:00+08:00", "channel": "wechat", "chat": "g1", "sender": sender,
         "type": "text", "text": text}
        for n, (name, sender, text) in enumerate(SAID)
    ]  # fmt: skip
    ticket = {
        "id": "T1", "messages": ["m1", "m3"], "opened_by": "m1", "category": "facility.elevator", "grid": "G1",
        "place": "P1", "urgent": False, "reporters": ["u1", "u2"], "withdrawn": False, "sensitive": False,
    }  # fmt: skip
    labels = {"m1": "report", "m3": "join", "m4": "status"}
    return {"transcript": transcript, "gold": {"tickets": [ticket], "addressed": ["m4"]}, "labels": labels}


def written(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True)
    for name, text in TABLES.items():
        (folder / name).write_text(text, encoding="utf-8")
    transcript = "".join(json.dumps(message, ensure_ascii=False) + "\n" for message in files["transcript"])
    (folder / "transcript.jsonl").write_text(transcript, encoding="utf-8")
    (folder / "gold.json").write_text(json.dumps(files["gold"], indent=1), encoding="utf-8")
    rows = "".join(f"{name},{intent}\n" for name, intent in files["labels"].items())
    (folder / "labels.csv").write_text(f"id,intent\n{rows}", encoding="utf-8")
    return folder


def test_a_whole_town_has_no_faults(tmp_path: Path, files: Files) -> None:
    assert towncheck.check(written(tmp_path / "here", files), LEAVES) == []


def ticket(**changes: object) -> Callable[[Files], None]:
    return lambda files: files["gold"]["tickets"][0].update(changes)


def label(name: str, intent: str | None) -> Callable[[Files], None]:
    return lambda files: files["labels"].update({name: intent}) if intent else files["labels"].pop(name)


def message(number: int, **changes: object) -> Callable[[Files], None]:
    return lambda files: files["transcript"][number].update(changes)


@pytest.mark.parametrize(
    ("plant", "file", "line", "field", "word"),
    [
        (label("m9", "detail"), "labels.csv", 5, "id", "m9"),
        (label("m3", "joyn"), "labels.csv", 3, "intent", "joyn"),
        (label("m3", None), "labels.csv", 0, "intent", "m3 belongs to T1 and is without a label"),
        (label("m3", "chatter"), "labels.csv", 3, "intent", "m3 belongs to T1 and is chatter"),
        (label("m3", "status"), "labels.csv", 3, "intent", "m3 belongs to T1"),
        (label("m1", None), "labels.csv", 0, "intent", "m1 opens T1"),
        (label("m1", "detail"), "labels.csv", 2, "intent", "m1 opens T1 and is detail"),
        (label("m2", "detail"), "labels.csv", 5, "intent", "m2 is detail, belongs to nothing"),
        (label("m4", None), "labels.csv", 0, "intent", "m4 is addressed and chatter"),
        (ticket(category="facility"), "gold.json", 4, "category", "facility"),
        (ticket(grid="G9"), "gold.json", 4, "grid", "G9"),
        (ticket(place="P9"), "gold.json", 4, "place", "P9"),
        (ticket(place="P2"), "gold.json", 4, "place", "G2"),
        (ticket(opened_by="m2"), "gold.json", 4, "opened_by", "m2"),
        (ticket(messages=["m1", "m3", "m8"]), "gold.json", 4, "messages", "m8"),
        (ticket(reporters=[]), "gold.json", 4, "reporters", "none"),
        (ticket(reporters=["u1", "u7"]), "gold.json", 4, "reporters", "u7"),
        (lambda files: files["gold"]["tickets"][0].pop("urgent"), "gold.json", 4, "urgent", "urgent"),
        (lambda files: files["gold"]["tickets"].append(files["gold"]["tickets"][0]), "gold.json", 4, "id", "twice"),
        (lambda files: files["gold"]["addressed"].append("m3"), "gold.json", 22, "addressed", "T1"),
        (lambda files: files["gold"]["addressed"].append("m9"), "gold.json", 22, "addressed", "m9"),
        (message(1, at="2026-03-02T07:00:00+08:00"), "transcript.jsonl", 2, "at", "earlier"),
        (message(1, at="2026-03-02T07:31:00"), "transcript.jsonl", 2, "at", "offset"),
        (message(1, at="soon"), "transcript.jsonl", 2, "at", "no time"),
        (message(1, chat="g2"), "transcript.jsonl", 2, "chat", "g2"),
        (message(1, type="sticker"), "transcript.jsonl", 2, "type", "sticker"),
        (message(1, text=" "), "transcript.jsonl", 2, "text", "none"),
        (message(1, sender=""), "transcript.jsonl", 2, "sender", "none"),
        (message(1, quote="m4"), "transcript.jsonl", 2, "quote", "m4"),
        (message(1, recalls="m4"), "transcript.jsonl", 2, "recalls", "m4"),
        (message(1, id="m1"), "transcript.jsonl", 2, "id", "m1"),
    ],
)
def test_a_fault_of_a_town_is_found(
    tmp_path: Path, files: Files, plant: Callable[[Files], None], file: str, line: int, field: str, word: str
) -> None:
    plant(files)
    faults = towncheck.check(written(tmp_path / "here", files), LEAVES)
    assert [
        f for f in faults if (f.file, f.line, f.field) == (f"towns/here/{file}", line, field) and word in f.message
    ], [str(fault) for fault in faults]


@pytest.mark.parametrize("file", ["gold.json", "transcript.jsonl", "labels.csv"])
def test_a_file_of_a_town_that_is_none(tmp_path: Path, files: Files, file: str) -> None:
    folder = written(tmp_path / "here", files)
    (folder / file).write_text("{,\n", encoding="utf-8")
    assert f"towns/here/{file}" in {fault.file for fault in towncheck.check(folder, LEAVES)}
    (folder / file).unlink()
    assert f"towns/here/{file}" in {fault.file for fault in towncheck.check(folder, LEAVES)}


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Training data of our own: one town, one file."""
    written(tmp_path / "towns" / "here", files)
    (tmp_path / "mine.yml").write_text(BLOCK.format(intent="chatter", more="", line="- 明天吃什么"), encoding="utf-8")
    monkeypatch.setattr(corpus, "DATA", tmp_path)
    monkeypatch.setattr(show.out, "width", 160)
    return tmp_path


def test_the_command_counts(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = CliRunner().invoke(command.app, ["data", "--near"])
    assert told.exit_code == 0, told.output
    assert "Faults: 0. Copies: 0. 74 categories and intents have fewer than 120 lines." in told.output
    assert CliRunner().invoke(command.app, ["data", "--strict"]).exit_code == 1


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("mine.yml", "- 明天", "- [电梯](location)明天", "mine.yml:6: field `examples`"),
        ("towns/here/labels.csv", "m3,join", "m3,chatter", "towns/here/labels.csv:3: field `intent`"),
        ("towns/here/places.csv", "building,,G2", "building,,G7", "towns/here/places.csv:3: field `grid`"),
    ],
)
def test_the_command_fails_on_a_fault(own: Path, file: str, before: str, after: str, said: str) -> None:
    text = (own / file).read_text(encoding="utf-8")
    assert before in text
    (own / file).write_text(text.replace(before, after), encoding="utf-8")
    told = CliRunner().invoke(command.app, ["data"])
    assert told.exit_code == 1
    assert said in told.output


def test_a_fault_says_where() -> None:
    assert str(Fault("a.yml", 3, "examples", "is empty")) == "a.yml:3: field `examples`: is empty"
    assert str(Fault("a.yml", 0, "nlu", "cannot be read")) == "a.yml: field `nlu`: cannot be read"
