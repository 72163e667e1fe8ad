"""How the project speaks with Rasa: the names of intents, and the text as both sides must see it.

What is exported for training and what is asked later go through the same two functions, so that they cannot differ.
"""

from nlu.normalize import normalize
from nlu.types import INTENTS

REPORT = "report_"
FALLBACK = "nlu_fallback"  # Rasa's name for: I am not sure
LONGEST = 500  # characters; Rasa reads in one thread, and somebody else waits for it meanwhile
# Rasa's own marks, taken out of residents' words: its annotation is [words](entity), and （ has become ( by then.
# Every kind of line break and blank becomes a space: an example is one line.
_PLAIN = {ord("["): "〔", ord("]"): "〕"} | dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA1), 0x2005, 0x2028, 0x2029], " "
)


def intent_name(intent: str, leaf: str = "") -> str:
    """Rasa's name of an intent: `chatter`, `report_facility.elevator`. It allows no `/`."""
    return f"{REPORT}{leaf}" if intent == "report" and leaf else intent


def meaning(name: str) -> tuple[str, str] | None:
    """(intent, leaf or "") of Rasa's name; None for its fallback and for names that are not ours."""
    if name.startswith(REPORT):
        return "report", name.removeprefix(REPORT)
    return (name, "") if name in INTENTS else None


def as_rasa_reads(text: str) -> str:
    """`text` as Rasa is taught and asked: normalised, one line, without its marks; as long as before."""
    return normalize(text).translate(_PLAIN)


def fits(text: str) -> bool:
    """Whether Rasa may be asked about `as_rasa_reads(text)`.

    Not what is blank (it answers 500), and never what begins with a slash: it takes that for a command and is sure of
    it, so that WeChat's `/::)` would hide a report, and `/report_safety.fire` would be one.
    """
    bare = text.strip()
    return bool(bare) and not bare.startswith("/") and len(text) <= LONGEST
