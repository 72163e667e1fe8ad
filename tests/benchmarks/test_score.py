"""The figures of understanding, on a pack and an output written by hand."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.result import SHARED
from tests.benchmarks.score import counts, figures, main, pairs, read_lines, read_town
from tests.databases import DEMO

ANOTHER = SHARED / "bench" / "score.py"
PACK = {
    "grids.csv": "code,parent,level,name,kind,households\nA,,1,街道,街道,20\nA-1,A,2,社区,社区,20\n",
    "places.csv": "code,name,aliases,kind,parent,grid,lon,lat\nP1,东苑,,estate,,A-1,,\nP2,西苑,,estate,,A-1,,\n",
    "people.csv": "code,name,role,grid,department,home,channel,user\nu1,甲,resident,A-1,,,web,u1\n",
    "chats.csv": "channel,chat,kind,grid,name\nweb,g,group,A-1,群\nweb,d-u1,direct,,甲\n",
    "routes.csv": "category,grid,department\n",
}


def ticket(name: str, *messages: str, **values: object) -> dict[str, Any]:
    """A ticket of the gold or, with its kind, of a replay."""
    plain: dict[str, Any] = {
        "kind": "ticket", "id": name, "messages": list(messages), "opened_by": messages[0],
        "category": "facility.lighting", "grid": "A-1", "place": "P1", "urgent": False, "reporters": ["u1"],
        "withdrawn": False, "sensitive": False,
    }  # fmt: skip
    return plain | values


def reply(trigger: str | None, chat: str = "g") -> dict[str, Any]:
    return {"kind": "reply", "chat": chat, "trigger": trigger, "text": "收到"}


GOLD = [
    ticket("T1", "m1", "m2", urgent=True, reporters=["u1", "u2"]),
    ticket("T2", "m3", category="facility.elevator", sensitive=True, place=None),
    ticket("T3", "m4", "m5", withdrawn=True),
    ticket("T4", "m6", urgent=True, sensitive=True),
]
OUT = [
    ticket("LS1", "m1", "m2", "m5", urgent=True, reporters=["u2", "u1"]),  # all as it should be, but for one message
    ticket("LS2", "m3", urgent=True, sensitive=True, place=""),  # another kind; the place is rightly unknown
    ticket("LS3", "m4", grid="A", place="P2"),  # elsewhere, and still open
    ticket("LS4", "m7"),  # talk
    reply("m1"), reply("m7"), reply("m7"), reply("m9", "d-u1"), reply("m8"), reply(None),
]  # fmt: skip


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Eleven messages: m1 to m6 of matters, m7 and m10 talk, m8 and m11 said to the bot, m9 in a direct chat."""
    for name, text in PACK.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    rows = [{"id": f"m{n}", "chat": "d-u1" if n == 9 else "g"} for n in range(1, 12)]
    (tmp_path / "transcript.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    gold = {"tickets": GOLD, "addressed": ["m8", "m11"]}
    (tmp_path / "gold.json").write_text(json.dumps(gold), encoding="utf-8")
    return tmp_path


def written(folder: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    out = folder / "out.jsonl"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return out


def test_every_figure_counted_by_hand(town: Path) -> None:
    assert figures(counts(read_town(town), OUT)) == pytest.approx({
        "messages": 11, "gold tickets": 4, "found tickets": 4,
        "ticket precision": 3 / 4, "ticket recall": 3 / 4, "ticket F1": 3 / 4,
        "right first time (of gold)": 1 / 4, "dispatchable (of gold)": 1 / 4,
        "category (of matched)": 2 / 3, "grid (of matched)": 2 / 3, "place (of matched)": 2 / 3,
        "reporters (of matched)": 1, "message links F1": 2 * (4 / 6) * (4 / 6) / (4 / 6 + 4 / 6),
        "urgent recall (of gold)": 1 / 2, "urgent precision (of matched)": 1 / 2,
        "sensitive recall (of gold)": 1 / 2, "withdrawals right (of matched)": 2 / 3,
        "false replies per 1,000 chatter": 1_000, "addressed answered": 1 / 2, "over-merged tickets": 1,
    })  # fmt: skip


def test_the_best_overlap_goes_first() -> None:
    gold = [ticket("T1", "m1", "m2"), ticket("T2", "m3", "m4")]
    wide, narrow = ticket("LS1", "m1", "m2", "m3"), ticket("LS2", "m1")
    found = [(want["id"], have["id"]) for want, have in pairs(gold, [narrow, wide])]
    assert found == [("T1", "LS1")], "T2 has nothing but what is taken, and LS2 no second counterpart"


def test_of_equal_ones_the_opening_message_decides() -> None:
    late, early = ticket("LS1", "m2"), ticket("LS2", "m1")
    assert [have["id"] for _, have in pairs([ticket("T1", "m1", "m2")], [late, early])] == ["LS2"]


def test_a_share_of_nothing_is_no_figure(town: Path) -> None:
    found = figures(counts(read_town(town), []))
    assert math.isnan(found["grid (of matched)"])
    assert found["ticket F1"] == found["ticket recall"] == found["addressed answered"] == 0


def test_two_towns_are_counted_as_one(town: Path) -> None:
    one = counts(read_town(town), OUT)
    both = figures(one + counts(read_town(town), []))
    assert (both["gold tickets"], both["ticket recall"], both["ticket precision"]) == (8, 3 / 8, 3 / 4)


def test_the_gold_itself_is_faultless() -> None:
    demo = read_town(DEMO)
    perfect = [dict(one, kind="ticket") for one in demo.tickets] + [reply(name) for name in demo.addressed]
    found = figures(counts(demo, perfect))
    silent = found.pop("false replies per 1,000 chatter")
    shares = {name: value for name, value in found.items() if isinstance(value, float) and not math.isnan(value)}
    assert silent == 0
    assert len(shares) > 8
    assert set(shares.values()) == {1.0}


def test_the_command_says_them(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{town}={written(town, OUT)}"]) == 0
    assert "ticket F1                             0.750" in capsys.readouterr().out
    assert main([]) == 2


@pytest.mark.skipif(not ANOTHER.is_file(), reason="the other scorer is not at hand")
def test_another_scorer_says_the_same(town: Path) -> None:
    out = written(town, OUT)
    command = [sys.executable, str(ANOTHER), "--json", str(town), str(out)]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603 - our own arguments
    ours = figures(counts(read_town(town), read_lines(out)))
    assert len(ours) == 20
    assert ours == pytest.approx({name: theirs[name] for name in ours}, nan_ok=True)
