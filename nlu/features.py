"""A message as the heads see it: its text with places masked, and tokens for its context."""

import re
from bisect import bisect_left
from collections.abc import Sequence

from nlu import grammar
from nlu.gazetteer import Gazetteer
from nlu.types import Context, Names, Span

NAME, BUILDING, HOME = "\ue000", "\ue001", "\ue002"
_DIGITS = re.compile(r"\d")
_SPACES = re.compile(r"[\s,，。.、;；:：~～]+")
_BOT = re.compile(r"@(?:bot|邻声|小邻)\s?")
_AT = re.compile(r"@\S{1,12}\s?")
UNIT_WORD = re.compile(r"号楼|号院|栋|幢|座|排|楼|单元|号")
NUMERAL = re.compile(r"[\da-z零〇一二两三四五六七八九十百]")
LONGEST = 240


def places(text: str, names: Names, *, heard: bool = False) -> list[Span]:
    """Places in a normalised text: the town's names, and numbered buildings beside or between them.

    heard: it is a voice transcript; then names count that only sound like it, too.
    """
    exact = names.find(text)
    if heard and isinstance(names, Gazetteer):
        exact = names.sounds.beside(text, exact)
    found = [span for span in exact if not _unit(text, span)]
    for building in grammar.buildings(text):
        if not any(span.start < building.end and building.start < span.end for span in found):
            found.append(Span(building.start, building.end, "location", text[building.start : building.end]))
    return sorted(found, key=lambda span: span.start)


def _unit(text: str, span: Span) -> bool:
    """A name that is only the unit after a number: the quarter called 号楼, in 5号楼."""
    return span.start > 0 and bool(UNIT_WORD.match(span.text)) and bool(NUMERAL.match(text[span.start - 1]))


def mask(text: str, spans: Sequence[Span]) -> str:
    """`text` with every place as one character, digits alike, white space and marks folded, the bot's name gone."""
    parts: list[str] = []
    last = 0
    for span in spans:
        if span.start >= last:
            parts += text[last : span.start], NAME if span.codes else BUILDING
            last = span.end
    out = "".join([*parts, text[last:]])
    if "@" in out:
        out = _AT.sub("@", _BOT.sub("", out))
    return _DIGITS.sub("0", _SPACES.sub(" ", out))[:LONGEST].strip()


def masked(text: str, spans: Sequence[Span]) -> tuple[str, list[int]]:
    """The same, and for each of its characters (and for its end) the position in `text` where it begins."""
    parts: list[str] = []
    at: list[int] = []
    last = 0
    for span in spans:
        if span.start < last:
            continue
        parts += [text[last : span.start], NAME if span.codes else BUILDING]
        at += [*range(last, span.start), span.start]
        last = span.end
    parts.append(text[last:])
    at += range(last, len(text) + 1)
    out = "".join(parts)
    for pattern, instead in ((_BOT, ""), (_AT, "@"), (_SPACES, " ")):
        if pattern.search(out):
            out, at = _replaced(pattern, instead, out, at)
    out = _DIGITS.sub("0", out)[:LONGEST]
    lead = len(out) - len(out.lstrip())
    out = out.strip()
    return out, at[lead : lead + len(out) + 1]


def _replaced(pattern: re.Pattern[str], instead: str, text: str, at: list[int]) -> tuple[str, list[int]]:
    parts: list[str] = []
    kept: list[int] = []
    last = 0
    for match in pattern.finditer(text):
        parts += [text[last : match.start()], instead]
        kept += [*at[last : match.start()], *([at[match.start()]] if instead else [])]
        last = match.end()
    return "".join([*parts, text[last:]]), [*kept, *at[last:]]


_AGES = {
    "own": (3, 15, 60, 1440),
    "chat": (5, 30, 240),
    "photo": (5, 15),
    "pause": (1, 5, 60),
    "before": (1, 3, 10, 30),
}
_ECHOES = (0.0, 0.15, 0.3)


_NO_AGE = {name: f"~{name}:{'more' if name == 'pause' else 'none'}" for name in _AGES}
_BUCKETS = {name: [*(f"~{name}:{limit}" for limit in limits), f"~{name}:more"] for name, limits in _AGES.items()}


def _bucket(name: str, age: float | None) -> str:
    return _NO_AGE[name] if age is None else _BUCKETS[name][bisect_left(_AGES[name], age)]


def _step(share: float) -> int:
    return sum(share > limit for limit in _ECHOES)


def tokens(context: Context, text: str, spans: Sequence[Span]) -> list[str]:
    """The context as features. They begin with `~`, which no n-gram does after normalisation of marks."""
    found = [
        _bucket("own", context.own_ticket),
        _bucket("chat", context.chat_ticket),
        _bucket("photo", context.own_photo),
        _bucket("pause", context.pause),
        _bucket("before", context.before),
        f"~role:{context.role}",
        f"~kind:{context.kind}",
        f"~direct:{context.direct}",
        f"~bot:{context.mentioned}",
        f"~quote:{context.quotes}",
        f"~asked:{context.asked}",
        f"~length:{min(len(text) // 6, 8)}",
        f"~place:{bool(spans)}",
        f"~home:{grammar.says_home(text)}",
    ]
    if context.before is not None:
        found += [
            f"~before-kind:{context.before_kind}",
            f"~before-asks:{context.before_asks}",
            f"~echo:{_step(context.echo)}",
            f"~echoes:{_step(context.echoes)}",
        ]
    if context.direct:
        found.append(f"~direct-own:{context.own_ticket is not None}")
    return found
