"""What the engine made of a message, as plain JSON: kept with the ticket that it opened, so that a correction later can
say what was wrong in what."""

from dataclasses import fields
from typing import Any

from nlu.types import Context, Matter, Understanding

INTENTS_KEPT = 3
CALMED = "calmed"  # in a ticket's reading: staff have said that it is not urgent
DIGITS = 4
_DEFAULTS = {field.name: field.default for field in fields(Context)}


def heard_in(context: Context) -> dict[str, Any]:
    """The fields of a context that differ from their defaults; `nlu.lessons.context_of` gives it back."""
    return {name: value for name, default in _DEFAULTS.items() if (value := getattr(context, name)) != default}


def said_of(understanding: Understanding, matter: Matter) -> dict[str, Any]:
    """{intents: {name: p}, categories: [[code, p]], urgent, sensitive, flags}: the likeliest ones, of one matter."""
    likeliest = sorted(understanding.intents.items(), key=lambda item: -item[1])[:INTENTS_KEPT]
    return {
        "intents": {name: round(share, DIGITS) for name, share in likeliest},
        "categories": [[code, round(share, DIGITS)] for code, share in matter.categories],
        "urgent": round(understanding.urgent, DIGITS),
        "sensitive": round(understanding.sensitive, DIGITS),
        "flags": list(understanding.flags),
    }


def reading(understanding: Understanding, matter: Matter, context: Context) -> dict[str, Any]:
    """All of it, for `Ticket.reading`: `said_of`, beside the engine's name and version and the context."""
    return said_of(understanding, matter) | {"engine": understanding.engine, "context": heard_in(context)}
