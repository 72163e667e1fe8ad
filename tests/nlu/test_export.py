"""What Rasa is taught: the same examples as the embedded engine, in words that it cannot misread."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.tables import leaves
from nlu import corpus, generate
from nlu.corpus import Example
from nlu.export import SEED, annotated, capped, export, lookup, settled
from nlu.types import INTENTS
from nlu.wording import as_rasa_reads, fits, intent_name, meaning

pytestmark = pytest.mark.xdist_group("export")  # one process makes what they share

LEAVES = leaves()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "not" / "there yet"
    export(folder, LEAVES, ["水岸华庭", "南门", "小区"])
    return folder


@pytest.fixture(scope="module")
def blocks(written: Path) -> list[dict[str, Any]]:
    content: Any = yaml.safe_load((written / "nlu.yml").read_text(encoding="utf-8"))
    return list(content["nlu"])


def lines(block: dict[str, Any]) -> list[str]:
    found = block["examples"].splitlines()
    assert all(line.startswith("- ") for line in found)
    return [line.removeprefix("- ") for line in found]


def intents(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [block for block in blocks if "intent" in block]


def test_every_intent_has_examples_and_a_meaning(written: Path, blocks: list[dict[str, Any]]) -> None:
    names = {block["intent"] for block in intents(blocks)}
    expected = {intent_name("report", leaf) for leaf in LEAVES} | set(INTENTS) - {"report"}
    assert names == expected
    assert all(meaning(name) is not None and "/" not in name for name in names)
    domain: Any = yaml.safe_load((written / "domain.yml").read_text(encoding="utf-8"))
    assert set(domain["intents"]) == expected
    assert set(domain["entities"]) == corpus.ENTITIES


def test_a_text_means_one_thing_and_none_is_a_command(blocks: list[dict[str, Any]]) -> None:
    texts = [corpus.annotated(line)[0] for block in intents(blocks) for line in lines(block)]
    assert len(texts) == len(set(texts)) > 7_000
    assert not [text for text in texts if not text.strip() or text.startswith("/")]


def test_only_our_annotations_are_read_as_such(blocks: list[dict[str, Any]]) -> None:
    for block in intents(blocks):
        for line in lines(block):
            plain, spans = corpus.annotated(line)
            assert not set("[]") & set(plain), line
            assert not (spans and block.get("metadata")), line


def test_what_nobody_annotated_says_so(blocks: list[dict[str, Any]]) -> None:
    marked = [block for block in intents(blocks) if "metadata" in block]
    assert all(block["metadata"] == {"annotated": False} for block in marked)
    assert {"chatter", "join", "detail"} <= {block["intent"] for block in marked}


def test_every_town_and_every_file_is_in_it(blocks: list[dict[str, Any]]) -> None:
    taught = {corpus.annotated(line)[0] for block in intents(blocks) for line in lines(block)}
    everything = corpus.everything(frozenset(LEAVES))
    examples = [e for e in everything if e.source != generate.FILE and not e.only]
    for source in {e.town for e in examples} - {""} | {e.source for e in examples if not e.town}:
        mine = [e for e in examples if source in (e.town, e.source)]
        there = {e for e in mine if as_rasa_reads(e.text).strip() in taught}
        assert len(there) > 0.6 * len(mine), source
        assert all(e in there for e in mine if e.leaf and fits(as_rasa_reads(e.text))), source


def test_nothing_to_measure_with_is_taught(blocks: list[dict[str, Any]]) -> None:
    taught = {corpus.annotated(line)[0] for block in intents(blocks) for line in lines(block)}
    apart = list(corpus.utterances(corpus.DATA / corpus.REGRESSION, frozenset(LEAVES)))
    assert len(apart) >= 600
    assert [example.text for example in apart if as_rasa_reads(example.text).strip() in taught] == []


def test_the_same_data_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    export(tmp_path, LEAVES, ["南门", "小区", "水岸华庭"])
    for name in ("nlu.yml", "domain.yml"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_names_of_places(blocks: list[dict[str, Any]]) -> None:
    (table,) = [block for block in blocks if "lookup" in block]
    assert table["lookup"] == "location"
    assert "水岸华庭" in lines(table)
    assert "小区" not in lines(table)
    assert lookup(["Ａ座", "12", "东", "東門", "东门"]) == ["a座", "东门"]


def test_the_commonest_meaning_counts_and_chatter_where_two_are_as_common() -> None:
    def said(text: str, intent: str, times: int = 1) -> list[Example]:
        return [Example(text=text, intent=intent, town="x")] * times

    found = settled(
        [*said("好的", "detail"), *said("好的", "chatter"), *said("在几楼", "detail", 2), *said("在几楼", "chatter")]
    )
    assert {example.text: example.intent for example in found} == {"好的": "chatter", "在几楼": "detail"}


def test_an_annotated_one_stands_for_its_equals() -> None:
    spans = ((0, 2, "location"),)
    town = Example(text="３栋停水", intent="report", leaf="utility.water", town="x")
    lone = Example(text="3栋停水", intent="report", leaf="utility.water", spans=spans)
    (found,) = settled([town, lone])
    assert annotated(found) == "[3栋](location)停水"


def test_reports_of_an_unknown_kind_and_commands_are_left_out() -> None:
    unknown = Example(text="停水又停电", intent="report", town="x")
    assert settled([unknown, Example(text="/::)", intent="chatter"), Example(text=" ", intent="chatter")]) == []
    assert settled([Example("水管爆了", "report", "utility.water", only="matter")]) == []


def test_talk_is_capped_by_a_repeatable_draw() -> None:
    talk = [Example(text=str(number), intent="chatter", town="x") for number in range(100)]
    others = [Example(text="a", intent="chatter"), Example(text="b", intent="join", town="x")]

    def is_talk(example: Example) -> bool:
        return bool(example.town) and example.intent == "chatter"

    found = capped([*talk, *others], is_talk, 10)
    assert len(found) == 12
    assert found[-2:] == others
    assert found == capped([*talk, *others], is_talk, 10)
    assert found != [*talk[:10], *others], SEED
    assert capped(talk, is_talk, 100) == talk


def test_brackets_of_residents_are_no_annotation() -> None:
    example = Example(text="[捂脸](笑) 3栋\n停水", intent="chatter", spans=((8, 10, "location"),))
    assert annotated(example) == "〔捂脸〕(笑) [3栋](location) 停水"
