"""What a replay made of a town, held against the town's gold; the formats stand in docs/nlu.md.

`python -m tests.benchmarks.score PACK=OUT.jsonl [PACK=OUT.jsonl …]`: several towns are counted as one.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from models.chat import ChatKind
from models.townpack import read_pack

Ticket = Mapping[str, Any]
# A figure as a share: its name, then the counted things above and below the line.
SHARES = (
    ("ticket precision", "matched", "found"),
    ("ticket recall", "matched", "gold"),
    ("right first time (of gold)", "right", "gold"),
    ("dispatchable (of gold)", "dispatchable", "gold"),
    ("category (of matched)", "category", "matched"),
    ("grid (of matched)", "grid", "matched"),
    ("place (of matched)", "place", "matched"),
    ("reporters (of matched)", "reporters", "matched"),
    ("urgent recall (of gold)", "urgent and said so", "urgent"),
    ("urgent precision (of matched)", "urgent and said so", "said urgent"),
    ("sensitive recall (of gold)", "sensitive and said so", "sensitive"),
    ("withdrawals right (of matched)", "withdrawn", "matched"),
    ("addressed answered", "answered", "addressed"),
)


@dataclass(frozen=True)
class Town:
    """What the figures need to know of a pack.

    messages: id and chat of every message. groups: chats that neighbours read. addressed: ids of messages that open
    no ticket and to which an answer is right.
    """

    messages: Sequence[tuple[str, str]]
    groups: frozenset[str]
    tickets: Sequence[Ticket]
    addressed: frozenset[str]


def read_town(folder: Path) -> Town:
    """A town pack with transcript.jsonl and gold.json."""
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
    return Town(
        [(row["id"], row["chat"]) for row in read_lines(folder / "transcript.jsonl")],
        frozenset(chat.code for chat in read_pack(folder).chats if chat.kind == ChatKind.GROUP),
        gold["tickets"],
        frozenset(gold.get("addressed", ())),
    )


def read_lines(file: Path) -> list[dict[str, Any]]:
    """JSON, one object a line; what `linsheng replay --out` wrote has a `kind` in each."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]


def pairs(gold: Sequence[Ticket], found: Sequence[Ticket]) -> list[tuple[Ticket, Ticket]]:
    """Tickets of the gold with their own ones, each used once. A pair shares a message; the best overlap goes first.

    Overlap is the share of common messages among all of both. Where it is equal, the one that has the opening message
    goes first, then the earlier ticket.
    """
    ranked = []
    for g, want in enumerate(gold):
        for f, have in enumerate(found):
            theirs, ours = set(want["messages"]), set(have["messages"])
            if common := theirs & ours:
                ranked.append((-len(common) / len(theirs | ours), want["opened_by"] not in ours, g, f))
    settled: dict[int, int] = {}
    for _, _, g, f in sorted(ranked):
        if g not in settled and f not in settled.values():
            settled[g] = f
    return [(gold[g], found[f]) for g, f in settled.items()]


def counts(town: Town, lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Everything that is counted, of one town. Counters of several towns may be added."""
    written = list(lines)
    found = [line for line in written if line["kind"] == "ticket"]
    triggers = [line.get("trigger") for line in written if line["kind"] == "reply"]
    matched = pairs(town.tickets, found)
    tally = Counter(gold=len(town.tickets), found=len(found), matched=len(matched))
    for mark in ("urgent", "sensitive"):
        tally[mark] = sum(_is(ticket, mark) for ticket in town.tickets)
        tally[f"{mark} and said so"] = sum(_is(want, mark) and _is(have, mark) for want, have in matched)
    tally["said urgent"] = sum(_is(have, "urgent") for _, have in matched)
    for want, have in matched:
        tally.update(_agreement(want, have))
    tally.update(_links(town.tickets, found, matched))
    tally.update(_manners(town, triggers))
    tally["over-merged"] = sum(_holds_several(ticket, town.tickets) for ticket in found)
    return tally


def _holds_several(found: Ticket, gold: Sequence[Ticket]) -> bool:
    """No single matter of the gold has all of a ticket's messages that belong to any matter."""
    told = {m for m in found["messages"] if any(m in ticket["messages"] for ticket in gold)}
    return bool(told) and not any(told <= set(ticket["messages"]) for ticket in gold)


def _is(ticket: Ticket, mark: str) -> bool:
    return bool(ticket.get(mark))


def _agreement(want: Ticket, have: Ticket) -> Counter[str]:
    """What of a matched ticket is as it should be."""
    same = {
        "category": want["category"] == have["category"],
        "grid": want["grid"] == have["grid"],
        "place": (want.get("place") or "") == (have.get("place") or ""),
        "reporters": set(want.get("reporters") or ()) == set(have.get("reporters") or ()),
        "withdrawn": _is(want, "withdrawn") == _is(have, "withdrawn"),
    }
    same["dispatchable"] = same["category"] and same["grid"]
    same["right"] = same["dispatchable"] and same["place"]
    return Counter({name: int(yes) for name, yes in same.items()})


def _links(gold: Sequence[Ticket], found: Sequence[Ticket], matched: Sequence[tuple[Ticket, Ticket]]) -> Counter[str]:
    """A link is a message in a ticket; one of a ticket without a counterpart is wrong."""
    common = sum(len(set(want["messages"]) & set(have["messages"])) for want, have in matched)
    wanted, had = (sum(len(set(ticket["messages"])) for ticket in side) for side in (gold, found))
    return Counter({"links": common, "links of gold": wanted, "links found": had})


def _manners(town: Town, triggers: Sequence[str | None]) -> Counter[str]:
    """Silence where nobody asked, an answer where somebody did. A group message of no matter is chatter."""
    meant = town.addressed.union(*(ticket["messages"] for ticket in town.tickets))
    chatter = [message for message, chat in town.messages if chat in town.groups and message not in meant]
    quiet, answered = set(chatter), set(triggers)
    return Counter({
        "messages": len(town.messages),
        "chatter": len(chatter),
        "false replies": sum(trigger in quiet for trigger in triggers),
        "addressed": len(town.addressed),
        "answered": len(town.addressed & answered),
    })  # fmt: skip


def figures(tally: Mapping[str, int]) -> dict[str, float]:
    """The figures by name. A share of nothing is NaN: it is neither good nor bad."""
    return {
        "messages": tally["messages"],
        "gold tickets": tally["gold"],
        "found tickets": tally["found"],
        "ticket F1": _share(2 * tally["matched"], tally["gold"] + tally["found"]),
        **{name: _share(tally[above], tally[below]) for name, above, below in SHARES},
        "message links F1": _share(2 * tally["links"], tally["links of gold"] + tally["links found"]),
        "false replies per 1,000 chatter": 1_000 * _share(tally["false replies"], tally["chatter"]),
        "over-merged tickets": tally["over-merged"],
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def main(arguments: Sequence[str]) -> int:
    """Prints the figures. arguments: PACK=OUT.jsonl each. Returns 2 when they are none of these."""
    if not arguments or not all("=" in one for one in arguments):
        Console(stderr=True).print(__doc__, markup=False, highlight=False)
        return 2
    tally: Counter[str] = Counter()
    for pack, _, out in (one.partition("=") for one in arguments):
        tally += counts(read_town(Path(pack)), read_lines(Path(out)))
    for name, value in figures(tally).items():
        Console().print(f"{name:34}{value:>9.3f}" if isinstance(value, float) else f"{name:34}{value:>9}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
