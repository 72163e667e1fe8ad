"""What is found in a message before the trained heads read it: its places, its words of alarm, the things it names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlu import cuts, features, lexicon
from nlu.normalize import normalize
from nlu.types import Context, Names, Span, Utterance

OBJECT = re.compile(
    r"电梯|路灯|楼道灯|声控灯|感应灯|单元门|电子门|门禁|道闸|窨井盖|井盖|下水道|污水管|雨水管|水管|化粪池|外墙|屋顶|栏杆|扶手|健身器材|滑梯|秋千|座椅|长椅|充电桩|充电棚|垃圾桶|垃圾房|垃圾亭|"
    r"消防栓|灭火器|消防通道|电线|变压器|配电箱|红绿灯|减速带|站牌|护栏|台阶|坡道|水表|电表|气表|暖气|宽带|快递柜|信箱|树|花坛|摄像头|监控"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A message, or a part of one, before the heads have read it. words: as written. text: normalised. seen: as the
    heads see it. tokens: of its context. alarms, whispers: what the lexicon finds."""

    words: str
    text: str
    spans: tuple[Span, ...]
    seen: str
    tokens: list[str]
    context: Context
    alarms: Sequence[lexicon.Entry] = ()
    whispers: Sequence[lexicon.Entry] = ()


def look_at(utterance: Utterance, names: Names) -> Look:
    """A message, normalised and with its places found."""
    text, context = normalize(utterance.text), utterance.context
    spans = features.places(text, names, heard=context.kind == "voice")
    seen = features.mask(text, spans)
    tokens = features.tokens(context, seen, spans)
    heard = lexicon.heard(text)
    return Look(utterance.text, text, tuple(spans), seen, tokens, context, heard["urgent"], heard["sensitive"])


def parts_of(look: Look, parts: Sequence[tuple[int, int]]) -> Iterator[Look]:
    """Parts of a message, by their characters in `look.seen`, each looked at as if it stood alone."""
    seen, at = features.masked(look.text, look.spans)
    for start, end in parts:
        first, last = at[start], at[end] if end < len(seen) else len(look.text)
        spans = cuts.inside(look.spans, first, last)
        part = features.mask(look.text[first:last], spans)
        tokens = features.tokens(look.context, part, spans)
        yield Look(look.words[first:last], look.text[first:last], spans, part, tokens, look.context)


def objects(text: str) -> list[Span]:
    """Things that a normalised text names: 电梯, 井盖."""
    return [Span(match.start(), match.end(), "object", match.group()) for match in OBJECT.finditer(text)]
