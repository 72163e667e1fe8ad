"""Misannotation in the training towns: transcript, gold and labels held against one another.

The five tables of a town pack are checked by `models.townpack`; this is about what was said and what it means.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from nlu.audit import Fault
from nlu.types import INTENTS

TYPES = frozenset({"text", "image", "voice", "video", "location", "file", "recall", "card"})
# What a message may be labelled by where it stands. The one that opens a matter is trained on as a report whatever its
# label says; a service that somebody orders, and a matter that a leader passes on, are matters too.
OPENS = frozenset({"report", "order", "relay"})
BELONGS = frozenset({"report", "detail", "join", "relay", "withdraw", "refuse", "correct"})
ADDRESSED = frozenset({"work", "status", "ask", "rate", "order", "human", "privacy"})
KEYS = ("id", "messages", "opened_by", "category", "grid", "place", "urgent", "reporters", "withdrawn", "sensitive")


class Town:
    """The files of one town. Reads what can be read; `faults` names what cannot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, int] = {}
        self._transcript()
        self.gold, self.gold_lines = self._gold()
        self.labels: dict[str, str] = {}
        self.label_lines: dict[str, int] = {}
        self._labels()

    def fault(self, file: str, line: int, field: str, message: str) -> None:
        """Note one."""
        self.faults.append(Fault(f"towns/{self.folder.name}/{file}", line, field, message))

    @property
    def tickets(self) -> list[dict[str, Any]]:
        """The matters of the gold."""
        return [ticket for ticket in self.gold.get("tickets", []) if all(key in ticket for key in KEYS)]

    @property
    def owned(self) -> dict[str, list[str]]:
        """The matters of each message that belongs to one."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for ticket in self.tickets:
            for message in ticket["messages"]:
                found[message].append(ticket["id"])
        return found

    def rows(self, file: str) -> list[dict[str, str]]:
        """A table of the pack; empty where it is not there, which `models.townpack` tells."""
        if not (self.folder / file).is_file():
            return []
        with (self.folder / file).open(encoding="utf-8-sig", newline="") as rows:
            return list(csv.DictReader(rows))

    def _text(self, file: str) -> str:
        try:
            return (self.folder / file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.fault(file, 0, "file", f"cannot be read: {error}")
            return ""

    def _transcript(self) -> None:
        for number, line in enumerate(self._text("transcript.jsonl").splitlines(), 1):
            try:
                message = json.loads(line)
                if message["id"] in self.messages:
                    self.fault("transcript.jsonl", number, "id", f"{message['id']} was there before")
                self.messages[message["id"]] = message
                self.lines[message["id"]] = number
            except (ValueError, KeyError, TypeError) as error:
                self.fault("transcript.jsonl", number, "id", f"is no message: {error}")

    def _gold(self) -> tuple[dict[str, Any], dict[str, int]]:
        text = self._text("gold.json")
        try:
            gold = json.loads(text) if text else {}
        except ValueError as error:
            self.fault("gold.json", getattr(error, "lineno", 0), "file", str(error))
            return {}, {}
        lines: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if found := re.search(r'"id"\s*:\s*"([^"]+)"', line):
                lines.setdefault(found[1], number)
        for ticket in gold.get("tickets", []):
            if missing := [key for key in KEYS if key not in ticket]:
                self.fault("gold.json", lines.get(ticket.get("id"), 0), missing[0], f"there is no {', '.join(missing)}")
        return gold, lines

    def _labels(self) -> None:
        text = self._text("labels.csv")
        if text and text.splitlines()[0] != "id,intent":
            self.fault("labels.csv", 1, "id", "the header is `id,intent`")
            return
        for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
            name, intent = row["id"], row["intent"]
            if name not in self.messages:
                self.fault("labels.csv", number, "id", f"there is no message {name!r}")
            if name in self.labels:
                self.fault("labels.csv", number, "id", f"{name} stands in line {self.label_lines[name]} already")
            if intent not in INTENTS:
                self.fault("labels.csv", number, "intent", f"there is no intent {intent!r}")
            self.labels[name], self.label_lines[name] = intent, number


def check(folder: Path, leaves: frozenset[str]) -> list[Fault]:
    """Every fault of one town, by file and line."""
    town = Town(folder)
    _messages(town)
    for ticket in town.tickets:
        for field, message in _ticket(town, ticket, leaves):
            town.fault("gold.json", town.gold_lines.get(ticket["id"], 0), field, f"{ticket['id']}: {message}")
    names = [ticket["id"] for ticket in town.tickets]
    for name in sorted({name for name in names if names.count(name) > 1}):
        town.fault("gold.json", town.gold_lines.get(name, 0), "id", f"{name} is there twice")
    _addressed(town)
    _meanings(town)
    return sorted(town.faults)


def _messages(town: Town) -> None:
    chats = {row["chat"] for row in town.rows("chats.csv")}
    last: datetime | None = None
    before: set[str] = set()
    for name, message in town.messages.items():
        for field, wrong in _message(message, chats, before):
            town.fault("transcript.jsonl", town.lines[name], field, f"{name}: {wrong}")
        before.add(name)
        try:
            at = datetime.fromisoformat(message["at"])
        except (KeyError, ValueError):
            town.fault("transcript.jsonl", town.lines[name], "at", f"{name}: is no time")
            continue
        if at.tzinfo is None:
            town.fault("transcript.jsonl", town.lines[name], "at", f"{name}: has no offset")
        elif last and at < last:
            town.fault("transcript.jsonl", town.lines[name], "at", f"{name}: is earlier than the line above")
        last = at if at.tzinfo else last


def _message(message: dict[str, Any], chats: set[str], before: set[str]) -> Iterator[tuple[str, str]]:
    if message.get("chat") not in chats:
        yield "chat", f"there is no chat {message.get('chat')!r}"
    if not message.get("sender"):
        yield "sender", "there is none"
    if message.get("type") not in TYPES:
        yield "type", f"there is no type {message.get('type')!r}"
    if message.get("type") == "text" and not (message.get("text") or "").strip():
        yield "text", "there is none"
    for key in ("quote", "recalls"):
        if message.get(key) and message[key] not in before:
            yield key, f"{message[key]} is no earlier message"


def _ticket(town: Town, ticket: dict[str, Any], leaves: frozenset[str]) -> Iterator[tuple[str, str]]:
    grids = {row["code"]: row["parent"] for row in town.rows("grids.csv")}
    places = {row["code"]: row["grid"] for row in town.rows("places.csv")}
    if ticket["category"] not in leaves:
        yield "category", f"there is no category {ticket['category']!r}"
    if ticket["grid"] not in grids:
        yield "grid", f"there is no grid {ticket['grid']!r}"
    if ticket["place"] is not None and ticket["place"] not in places:
        yield "place", f"there is no place {ticket['place']!r}"
    elif ticket["place"]:
        chain, grid = [], ticket["grid"]
        while grid and grid not in chain:
            chain.append(grid)
            grid = grids.get(grid, "")
        if places[ticket["place"]] not in chain:
            yield "place", f"{ticket['place']} lies in {places[ticket['place']]}, the matter in {ticket['grid']}"
    if ticket["opened_by"] not in ticket["messages"]:
        yield "opened_by", f"{ticket['opened_by']} is not among its messages"
    for message in ticket["messages"]:
        if message not in town.messages:
            yield "messages", f"there is no message {message}"
    senders = {town.messages[message]["sender"] for message in ticket["messages"] if message in town.messages}
    if not ticket["reporters"]:
        yield "reporters", "there is none"
    for reporter in ticket["reporters"]:
        if reporter not in senders:
            yield "reporters", f"{reporter} wrote none of its messages"


def _addressed(town: Town) -> None:
    owned = town.owned
    line = next((n for n, text in enumerate(town._text("gold.json").splitlines(), 1) if '"addressed"' in text), 0)
    for name in town.gold.get("addressed", []):
        if name not in town.messages:
            town.fault("gold.json", line, "addressed", f"there is no message {name}")
        elif name in owned:
            town.fault("gold.json", line, "addressed", f"{name} belongs to {', '.join(owned[name])}")
        elif town.labels.get(name) not in ADDRESSED:
            said = town.labels.get(name, "chatter")
            town.fault("labels.csv", town.label_lines.get(name, 0), "intent", f"{name} is addressed and {said}")


def _meanings(town: Town) -> None:
    """Each label against where its message stands in the gold."""
    owned = town.owned
    opened = {ticket["opened_by"] for ticket in town.tickets}
    addressed = set(town.gold.get("addressed", []))
    for name in town.messages:
        intent, line = town.labels.get(name, ""), town.label_lines.get(name, 0)
        where = ", ".join(owned.get(name, []))
        if name in opened:
            if intent not in OPENS:
                wrong = f"{name} opens {where} and is {intent or 'without a label'}"
                town.fault("labels.csv", line, "intent", wrong)
        elif name in owned:
            if intent not in BELONGS:
                wrong = f"{name} belongs to {where} and is {intent or 'without a label'}"
                town.fault("labels.csv", line, "intent", wrong)
        elif intent in INTENTS and intent != "chatter" and name not in addressed:
            town.fault("labels.csv", line, "intent", f"{name} is {intent}, belongs to nothing and is not addressed")
