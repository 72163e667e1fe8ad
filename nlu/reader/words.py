"""What the second reader is asked: the words of a message with its places masked, and its context as tokens."""

from dataclasses import dataclass

from nlu import features
from nlu.corpus import Example
from nlu.normalize import normalize
from nlu.types import Context, Span

# A mask that means something to an encoder: it has read 某处 often, a private character never.
_SPOKEN = str.maketrans({features.NAME: "某处", features.BUILDING: "某楼", features.HOME: "我家"})


@dataclass(frozen=True, slots=True)
class Asked:
    """words: normalised, places spoken as 某处 and 某楼. tokens: those of `nlu.features.tokens`."""

    words: str
    tokens: tuple[str, ...] = ()


def asked(masked: str, tokens: list[str]) -> Asked:
    """A message as the embedded engine has it: `masked` by `nlu.features.mask`, with its context tokens."""
    return Asked(masked.translate(_SPOKEN), tuple(tokens))


def asked_of(example: Example) -> Asked:
    """The same of a training example; the places that are marked in it count as names of the town."""
    text = normalize(example.text)
    spans = features.places(text, example.names, heard=(example.context or Context()).kind == "voice")
    for start, end, entity in example.spans:
        if entity == "location" and not any(s.start < end and start < s.end for s in spans):
            spans.append(Span(start, end, "location", text[start:end], ("",)))
    spans.sort(key=lambda span: span.start)
    masked = features.mask(text, spans)
    return asked(masked, features.tokens(example.context or Context(), masked, spans))
