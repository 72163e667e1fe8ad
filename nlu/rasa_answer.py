"""What Rasa's answer means: its intents as ours, its entities as spans, laid over what the embedded engine found.

Knows no transport; `bot.rasa_engine` asks, and this reads.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nlu import lexicon
from nlu.corpus import ENTITIES
from nlu.normalize import normalize
from nlu.types import INTENTS, Matter, Span, Understanding
from nlu.wording import meaning

KEPT_CATEGORIES = 5
SURE_KIND = 0.5  # below it the words of an alarm say what kind of matter it is
LEAST = 1e-6  # a probability of reports from which the shares of their kinds mean something


class Garbage(Exception):
    """The answer is none that a Rasa server with our model gives; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. intents: of each of INTENTS, summing to 1. categories: (leaf, share), best first; may be empty.

    spans: places and things in the text that was asked, left to right, none overlapping another of its kind.
    """

    intents: Mapping[str, float]
    categories: tuple[tuple[str, float], ...]
    spans: tuple[Span, ...] = ()


def read(payload: Any, text: str, leaves: Collection[str]) -> Reply:
    """The answer of /model/parse to `text`. leaves: the categories there are; a model may know others.

    Rasa's fallback is passed over: what it is unsure of shows in the probabilities, and the handlers' thresholds
    decide. Raises Garbage.
    """
    if not isinstance(payload, Mapping) or payload.get("text") != text:
        raise Garbage("it does not repeat the text")
    intents, kinds = dict.fromkeys(INTENTS, 0.0), dict.fromkeys(leaves, 0.0)
    for name, share in _ranking(payload.get("intent_ranking")):
        if known := meaning(name):
            intents[known[0]] += share
            if known[1] in kinds:
                kinds[known[1]] += share
    total, reports = sum(intents.values()), sum(kinds.values())
    if total <= 0:
        raise Garbage("it knows none of our intents")
    best = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:KEPT_CATEGORIES]
    return Reply(
        intents={name: share / total for name, share in intents.items()},
        categories=tuple((leaf, share / reports) for leaf, share in best) if reports > LEAST else (),
        spans=merged(_spans(payload.get("entities") or [], text)),
    )


def _ranking(found: Any) -> Iterable[tuple[str, float]]:
    if not isinstance(found, list):
        raise Garbage("it has no intent_ranking")
    for row in found:
        name, share = (row.get("name"), row.get("confidence")) if isinstance(row, Mapping) else (None, None)
        if not isinstance(name, str) or isinstance(share, bool) or not isinstance(share, int | float):
            raise Garbage("an intent without name or confidence")
        if not 0 <= share <= 1.000001:  # also false for NaN
            raise Garbage("a confidence that is no probability")
        yield name, float(share)


def _spans(found: Any, text: str) -> Iterable[Span]:
    for row in found if isinstance(found, list) else [None]:
        if not isinstance(row, Mapping):
            raise Garbage("an entity that is none")
        kind, start, end = row.get("entity"), row.get("start"), row.get("end")
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
            raise Garbage("an entity outside of the text")
        if kind in ENTITIES:
            yield Span(start, end, str(kind), text[start:end])


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans of one kind that overlap become one over all of them: Rasa's extractors each report what they find."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.kind, span.start, -span.end)):
        last = out[-1] if out else None
        if last and last.kind == span.kind and span.start < last.end:
            if span.end > last.end:
                out[-1] = Span(
                    last.start, span.end, last.kind, last.text + span.text[last.end - span.start :], last.codes
                )
        else:
            out.append(span)
    return tuple(sorted(out, key=lambda span: (span.start, span.kind)))


def combined(own: Understanding, reply: Reply, text: str) -> Understanding:
    """Rasa's intents, kinds and entities; the rest as the embedded engine has it in `own`, for Rasa has none of it.

    The rest: urgency and privacy with the lexicon, the codes of the town's places, and the cut into several matters
    (each then keeps the kind it was cut by). Where an alarm's words speak for a kind, and Rasa is unsure of its own,
    they are heard.
    """
    spans = beside(own.spans, reply.spans)
    matters = own.matters
    alarmed = any(entry.leaf for entry in lexicon.fired("urgent", normalize(text)))
    if len(matters) == 1:
        unsure = not reply.categories or (alarmed and reply.categories[0][1] < SURE_KIND)
        categories = matters[0].categories if unsure else reply.categories
        places = tuple(span for span in spans if span.kind == "location")
        matters = (Matter(matters[0].text, categories, places),)
    return replace(own, intents=dict(reply.intents), matters=matters, spans=spans, engine="rasa")


def beside(own: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The town's own names as they are, for they carry the codes; of the rest, what overlaps as one."""
    coded = [span for span in own if span.codes]
    rest = [span for span in (*own, *others) if not span.codes]
    free = [s for s in rest if not any(s.kind == c.kind and s.start < c.end and c.start < s.end for c in coded)]
    return tuple(sorted((*coded, *merged(free)), key=lambda span: (span.start, span.kind)))
