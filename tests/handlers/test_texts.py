"""The bot's sentences: every blank filled, every name that the code says is there, short enough for a group."""

import ast
import string
from pathlib import Path
from typing import Any

import pytest

from config.tables import TableError, mapping
from handlers import texts
from models.ticket import Status

ROOT = Path(__file__).parent.parent.parent
REPLIES: dict[str, Any] = mapping("replies.yaml")
SENTENCES = {name: text for name, text in REPLIES.items() if name not in texts.PARTS}
# Sentences that never stand in a group: to workers and staff, in direct chats.
NOT_IN_GROUPS = ("alert_", "worker_", "privacy_", "bind_")
# As long as such things are in life.
VALUES = {
    "who": "春芽",
    "where": "私信",
    "number": "LS00042", "place": "桂雨名苑西区地下车库", "category": "公共设施/楼道灯", "options": "1栋、2栋、3栋",
    "people": 12, "before": "LS00007", "department": "街道城建办", "level": "社区", "status": "网格员正在处理",
    "count": 3, "workers": "网格员小顾", "leaders": "秀英姐", "due": "今天18:00", "words": "还是没人来修",
    "worker": "网格员小顾", "into": "LS00007", "keeper": "柳岸社区", "days": 90, "called": "春**",
    "home": "柳岸花园6幢", "phones": "138****5678", "channels": "公众号、企业微信机器人", "messages": 12,
    "pictures": 3, "minutes": 10,
    "code": "1234 5678", "channel": "企业微信机器人", "time": "08:00", "group": "柳岸花园南区邻里群",
    "lines": "· LS00042 已接单。",
}  # fmt: skip


def blanks(sentence: str) -> set[str]:
    """The names in a sentence's braces."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def literals(folder: str, functions: frozenset[str]) -> set[tuple[str, str]]:
    """(file, first string argument) of every call of one of `functions` (of `handlers.texts`, or of a context or desk)
    in a package."""
    found = set()
    for file in sorted((ROOT / folder).rglob("*.py")):
        if "platform" in file.parts:
            continue  # the platforms' own words, not the bot's
        tree = ast.parse(file.read_text(encoding="utf-8"))
        ours = any(isinstance(node, ast.ImportFrom) and node.module == "handlers.texts" for node in ast.walk(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "") * ours
            if name not in functions:
                continue
            found |= {(f"{folder}/{file.name}", value) for first in node.args[:1] for value in words(first)}
    return found


def words(node: ast.expr) -> set[str]:
    """The strings that an argument can be: itself, or both sides of `"a" if x else "b"`."""
    if isinstance(node, ast.IfExp):
        return words(node.body) | words(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_a_sentence_is_filled_from_its_blanks_alone(name: str) -> None:
    needed = blanks(SENTENCES[name])
    assert needed <= set(VALUES), f"no example value for {needed - set(VALUES)}"
    said = texts.say(name, **{blank: VALUES[blank] for blank in needed})
    assert said.strip()
    assert "{" not in said
    assert "}" not in said


@pytest.mark.parametrize("name", sorted(name for name, text in SENTENCES.items() if blanks(text)))
def test_a_missing_value_is_named(name: str) -> None:
    with pytest.raises(TableError, match=name):
        texts.say(name)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(TableError, match="no_such"):
        texts.say("no_such")
    with pytest.raises(TableError, match="words"):
        texts.say("words")
    with pytest.raises(TableError, match="no_such"):
        texts.word("no_such")
    with pytest.raises(TableError, match="nowhere"):
        texts.word("photo", "nowhere")


def test_what_the_code_says_is_there() -> None:
    said = literals("handlers", frozenset({"say"})) | literals("bot", frozenset({"say"}))
    assert len({name for _, name in said}) > 20, "the search found nothing to check"
    assert [(file, name) for file, name in sorted(said) if name not in SENTENCES] == []


def test_the_words_the_code_uses_are_there() -> None:
    used = literals("handlers", frozenset({"word"})) | literals("bot", frozenset({"word"}))
    known = set(REPLIES["words"]) | {"button_"}
    assert used
    assert [(file, name) for file, name in sorted(used) if name not in known] == []


def test_every_sentence_is_used() -> None:
    """A sentence nobody says is one that the residents wait for, or one to delete."""
    code = "\n".join(
        file.read_text(encoding="utf-8") for folder in ("handlers", "bot") for file in (ROOT / folder).rglob("*.py")
    )
    strings = {n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert sorted(set(SENTENCES) - strings) == []


def test_every_status_has_its_words() -> None:
    assert set(REPLIES["statuses"]) == {status.value for status in Status}
    assert all(texts.word(status.value, "statuses") for status in Status)


@pytest.mark.parametrize("name", sorted(name for name in SENTENCES if not name.startswith(NOT_IN_GROUPS)))
def test_what_stands_in_a_group_is_short(name: str) -> None:
    assert len(SENTENCES[name].format(**VALUES)) <= 120
